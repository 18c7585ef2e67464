package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/config"
)

// routeWithCertificate returns the route of the configuration, with a new certificate for the host if none is given.
func routeWithCertificate(ctx *pulumi.Context, target *config.Kubernetes) (*kube.Route, error) {
	route := target.Web.Route
	if route == nil || route.ALB == nil {
		return route, nil
	}
	secured, alb := *route, *route.ALB
	secured.ALB = &alb
	if target.Certificate != nil {
		certificate, err := aws.NewCertificate(ctx, webName, target.Certificate)
		if err != nil {
			return nil, err
		}
		alb.CertificateARN = certificate.ARN
	}
	return &secured, warnOfPlainHTTP(ctx, &alb)
}

// warnOfPlainHTTP warns if a change of the certificate's source has left none. It is no error: a trial may do without.
func warnOfPlainHTTP(ctx *pulumi.Context, alb *kube.ALB) error {
	if alb.CertificateARN != nil || alb.Scheme != "internet-facing" {
		return nil
	}
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
	ctx *pulumi.Context, cfg *config.Config, settings *config.ElastiCache, eks *aws.Cluster,
) (redis.Connection, error) {
	args := settings.ElastiCacheArgs
	args.Password, args.VPC = cfg.RedisPassword, eks.VPC
	args.Clients = append(pulumi.StringArray{eks.SecurityGroup}, pulumi.ToStringArray(settings.Others)...)
	if args.Subnets == nil {
		args.Subnets = eks.Subnets
	}
	cache, err := aws.NewElastiCache(ctx, "redis", &args)
	if err != nil {
		return redis.Connection{}, err
	}
	return cache.Connection, nil
}
