package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/config"
)

// requestCertificate has a certificate issued for the host, if none is given.
func requestCertificate(ctx *pulumi.Context, target *config.Kubernetes) error {
	if target.Certificate == nil {
		return nil
	}
	certificate, err := components.NewCertificate(ctx, webName, target.Certificate)
	if err != nil {
		return err
	}
	target.Web.Route.ALB.CertificateARN = certificate.ARN
	return nil
}

// warnOfPlainHTTP tells who may have lost a certificate while changing where it is from. It may be wanted, for a trial.
func warnOfPlainHTTP(ctx *pulumi.Context, alb *components.ALB) error {
	if alb == nil || alb.CertificateARN != nil || alb.Scheme != "internet-facing" {
		return nil
	}
	return ctx.Log.Warn("the load balancer is on the internet and serves plain HTTP: neither certificateArn nor hostedZoneId is set", nil)
}

// nameLoadBalancer leads the host to the load balancer that the Ingress has become.
func nameLoadBalancer(ctx *pulumi.Context, target *config.Kubernetes, web *components.WebApp) error {
	if target.Alias == nil {
		return nil
	}
	_, err := components.NewAlias(ctx, webName, &components.AliasArgs{
		Host: target.Alias.Host, ZoneID: target.Alias.Zone, Target: web.Address,
	})
	return err
}

// createElastiCache has AWS run the Redis, next to the cluster's nodes.
func createElastiCache(
	ctx *pulumi.Context, cfg *config.Config, target *config.Kubernetes, namespace *components.Namespace, cluster pulumi.ResourceOption,
) (components.RedisConnection, error) {
	network := components.LookupEKSNetwork(ctx, target.Cluster.EKS)
	args := &components.ElastiCacheArgs{
		Namespace: namespace.Name, Password: cfg.RedisPassword, Access: components.AppRedisAccess,
		VPC: network.VPC, Subnets: network.Subnets, Clients: clientsOf(network, target.ElastiCache.Clients),
		ElastiCacheSettings: target.ElastiCache.ElastiCacheSettings,
	}
	if target.ElastiCache.Subnets != nil {
		args.Subnets = target.ElastiCache.Subnets
	}
	redis, err := components.NewElastiCache(ctx, "redis", args, cluster)
	if err != nil {
		return components.RedisConnection{}, err
	}
	return redis.Connection, nil
}

// clientsOf are the security groups of the cluster's nodes and some others.
func clientsOf(network components.EKSNetwork, others []string) pulumi.StringArray {
	return append(pulumi.StringArray{network.SecurityGroup}, pulumi.ToStringArray(others)...)
}

// exportCapacity shows what the pods ask for, beside what the nodes may have.
func exportCapacity(ctx *pulumi.Context, c config.Capacity) {
	requests := pulumi.StringMap{
		"atMin":          pulumi.String(c.Demand.AtMin.String()),
		"atMax":          pulumi.String(c.Demand.AtMax.String()),
		"atMaxInRollout": pulumi.String(c.Demand.AtMaxInRollout.String()),
	}
	if c.CPULimit != pulumi.String("") {
		requests["nodeLimits"] = pulumi.Sprintf("%s CPU, %s", c.CPULimit, c.MemoryLimit)
	}
	ctx.Export("requests", requests)
}
