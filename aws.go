package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/component"
	"example.com/scaleout/internal/config"
)

// provideCertificate requests a certificate for the host of the ALB if the configuration asks for a new one.
func provideCertificate(b *component.Builder, target *config.Kubernetes) error {
	route := target.Web.Route
	if route == nil || route.ALB == nil {
		return nil
	}
	if target.Certificate != nil {
		route.ALB.CertificateARN = component.Create(b, aws.NewCertificate, webName, target.Certificate).ARN
	}
	if route.ALB.CertificateARN != nil || route.ALB.Scheme != "internet-facing" {
		return nil
	}
	// A change of the certificate's source may have left none. It is no error: a trial may do without.
	return b.Context.Log.Warn("the load balancer is on the internet and serves plain HTTP: "+
		"neither certificateArn nor hostedZoneId is set", nil)
}

// createElastiCache creates an ElastiCache in the VPC of the cluster's nodes.
func createElastiCache(
	b *component.Builder, cfg *config.Config, args *aws.ElastiCacheArgs, eks *aws.Cluster,
) redis.Connection {
	args.Password, args.VPC = cfg.RedisPassword, eks.VPC
	others, _ := args.Clients.(pulumi.StringArray)
	args.Clients = append(pulumi.StringArray{eks.SecurityGroup}, others...)
	if args.Subnets == nil {
		args.Subnets = eks.Subnets
	}
	return component.Create(b, aws.NewElastiCache, "redis", args).Connection
}
