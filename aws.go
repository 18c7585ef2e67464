package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/config"
)

// provideCertificate requests a certificate for the host of the ALB if the configuration asks for a new one.
func provideCertificate(ctx *pulumi.Context, target *config.Kubernetes) error {
	route := target.Web.Route
	if route == nil || route.ALB == nil {
		return nil
	}
	if target.Certificate != nil {
		certificate, err := aws.NewCertificate(ctx, webName, target.Certificate)
		if err != nil {
			return err
		}
		route.ALB.CertificateARN = certificate.ARN
	}
	if route.ALB.CertificateARN != nil || route.ALB.Scheme != "internet-facing" {
		return nil
	}
	// A change of the certificate's source may have left none. It is no error: a trial may do without.
	return ctx.Log.Warn("the load balancer is on the internet and serves plain HTTP: "+
		"neither certificateArn nor hostedZoneId is set", nil)
}

// nameLoadBalancer creates the DNS record that points the host to the load balancer of the Ingress.
func nameLoadBalancer(ctx *pulumi.Context, target *config.Kubernetes, web *kube.WebApp) error {
	if target.Record == nil {
		return nil
	}
	target.Record.Target = web.Address
	_, err := aws.NewLoadBalancerRecord(ctx, webName, target.Record)
	return err
}

// createElastiCache creates an ElastiCache in the VPC of the cluster's nodes.
func createElastiCache(
	ctx *pulumi.Context, cfg *config.Config, args *aws.ElastiCacheArgs, eks *aws.Cluster,
) (redis.Connection, error) {
	args.Password, args.VPC = cfg.RedisPassword, eks.VPC
	others, _ := args.Clients.(pulumi.StringArray)
	args.Clients = append(pulumi.StringArray{eks.SecurityGroup}, others...)
	if args.Subnets == nil {
		args.Subnets = eks.Subnets
	}
	cache, err := aws.NewElastiCache(ctx, "redis", args)
	if err != nil {
		return redis.Connection{}, err
	}
	return cache.Connection, nil
}
