package config

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/aws"
)

// ElastiCache is a Redis that AWS runs for this stack. Its Subnets are nil for those of the cluster.
type ElastiCache struct {
	aws.ElastiCacheArgs
	// Others are security groups that may connect besides the cluster's own.
	Others []string
}

// https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateUser.html
const maxElastiCachePassword = 128

// elastiCache is nil if the Redis is another one.
func (d *decoder) elastiCache(target string) *ElastiCache {
	e := &ElastiCache{
		ElastiCacheArgs: aws.ElastiCacheArgs{
			Name: d.Text("elasticacheName"), Engine: d.Text("elasticacheEngine"),
			EngineVersion: d.Text("elasticacheEngineVersion"), BackupDays: d.Integer("elasticacheBackupDays"),
			KMSKeyARN: d.Text("elasticacheKmsKeyArn"), Access: d.Text("elasticacheAccess"), Protect: d.Boolean("elasticacheProtect"),
		},
		Others: d.List("elasticacheClients"),
	}
	replicas := &aws.ElastiCacheReplicas{
		NodeType: d.Text("elasticacheNodeType"), Count: d.Integer("elasticacheReplicas"),
		MaintenanceWindow: d.Text("elasticacheMaintenanceWindow"), FinalSnapshot: d.Text("elasticacheFinalSnapshot"),
	}
	serverless := &aws.ElastiCacheServerless{
		MaxGigabytes: d.Integer("elasticacheMaxGigabytes"), MaxECPUs: d.Integer("elasticacheMaxEcpus"),
	}
	kind, subnets := d.Text("elasticacheKind"), d.List("elasticacheSubnets")
	if e.Name == "" {
		return nil
	}
	switch kind {
	case "replicas":
		e.Replicas = replicas
	case "serverless":
		e.Serverless = serverless
	default:
		d.Problem("elasticacheKind", "got %s, want replicas or serverless", d.Shown("elasticacheKind"))
		return nil
	}
	if len(subnets) > 0 {
		e.Subnets = pulumi.ToStringArray(subnets)
	}
	if target != "eks" {
		d.Problem("elasticacheName", "got %s, but only target eks has ElastiCache; leave it empty", d.Shown("elasticacheName"))
	}
	d.Check("elasticache", e.ValidateSettings())
	if e.Access == "" {
		d.Problem("elasticacheAccess", `got "", must be an access string such as "on ~cart:* -@all +@read +@write +@connection"`)
	}
	if password := d.Optional("redisPassword"); len(password) > maxElastiCachePassword || strings.ContainsAny(password, `,"/@`) {
		d.Problem("redisPassword", `must have at most %d characters with elasticacheName, none of them , " / or @`, maxElastiCachePassword)
	}
	d.checkIDs("elasticacheSubnets", "subnet", subnets)
	d.checkIDs("elasticacheClients", "sg", e.Others)
	return e
}
