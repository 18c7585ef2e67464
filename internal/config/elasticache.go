package config

import (
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
)

// ElastiCache is a Redis that AWS runs for this stack.
type ElastiCache struct {
	components.ElastiCacheSettings
	// Subnets it is in; nil for those of the cluster.
	Subnets pulumi.StringArrayInput
	// Clients are security groups that may connect besides the cluster's own.
	Clients []string
}

// https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateUser.html
const maxElastiCachePassword = 128

// elastiCache is nil if the Redis is another one.
func (d *decoder) elastiCache(target string) *ElastiCache {
	e := &ElastiCache{
		ElastiCacheSettings: components.ElastiCacheSettings{
			Name: d.Text("elasticacheName"), Engine: d.Text("elasticacheEngine"),
			EngineVersion: d.Text("elasticacheEngineVersion"), BackupDays: d.Integer("elasticacheBackupDays"),
			KMSKeyARN: d.Text("elasticacheKmsKeyArn"), Protect: d.Boolean("elasticacheProtect"),
		},
		Clients: d.List("elasticacheClients"),
	}
	replicas := &components.ElastiCacheReplicas{
		NodeType: d.Text("elasticacheNodeType"), Count: d.Integer("elasticacheReplicas"),
		MaintenanceWindow: d.Text("elasticacheMaintenanceWindow"), FinalSnapshot: d.Text("elasticacheFinalSnapshot"),
	}
	serverless := &components.ElastiCacheServerless{
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
	d.Check(e.Validate(), map[string]string{
		"name": "elasticacheName", "engine": "elasticacheEngine", "engineVersion": "elasticacheEngineVersion",
		"backupDays": "elasticacheBackupDays", "kmsKeyArn": "elasticacheKmsKeyArn", "nodeType": "elasticacheNodeType",
		"replicas": "elasticacheReplicas", "maintenanceWindow": "elasticacheMaintenanceWindow",
		"finalSnapshot": "elasticacheFinalSnapshot", "maxGigabytes": "elasticacheMaxGigabytes", "maxEcpus": "elasticacheMaxEcpus",
	})
	if password := d.Optional("redisPassword"); len(password) > maxElastiCachePassword || strings.ContainsAny(password, `,"/@`) {
		d.Problem("redisPassword", `must have at most %d characters with elasticacheName, none of them , " / or @`, maxElastiCachePassword)
	}
	d.checkIDs("elasticacheSubnets", "subnet", subnets)
	d.checkIDs("elasticacheClients", "sg", e.Clients)
	return e
}
