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
	e, replicas, serverless := &ElastiCache{}, &aws.ElastiCacheReplicas{}, &aws.ElastiCacheServerless{}
	d.Fill("elasticache", &e.ElastiCacheArgs)
	d.Fill("elasticache.replicas", replicas)
	d.Fill("elasticache.serverless", serverless)
	e.Others = d.List("elasticacheClients")
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
		d.Refuse("elasticacheKind", "want replicas or serverless")
		return nil
	}
	if len(subnets) > 0 {
		e.Subnets = pulumi.ToStringArray(subnets)
	}
	d.RefuseIf(target != "eks", "elasticacheName", "but only target eks has ElastiCache; leave it empty")
	d.Check("elasticache", e.Validate())
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
