// Command eks runs a third-party container on Amazon EKS: behind an Application Load Balancer with HTTPS, scaled by
// CPU, with an ElastiCache that only this app may use.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
)

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	name, region := pulumi.String("production"), "eu-central-1"
	eks := aws.LookupCluster(ctx, name)
	provider, err := kube.NewEKSProvider(ctx, "cluster", kube.EKSCluster{
		Name: name, Region: region,
		Endpoint: eks.Endpoint, CertificateAuthority: eks.CertificateAuthority, ARN: eks.ARN,
	})
	if err != nil {
		return err
	}
	cluster := pulumi.Providers(provider)
	namespace, err := kube.NewNamespace(ctx, "shop", &kube.NamespaceArgs{
		Name: "shop", ALBController: kube.EKSAutoMode,
	}, cluster)
	if err != nil {
		return err
	}
	cache, err := provideCache(ctx, eks, namespace, cluster)
	if err != nil {
		return err
	}
	app, err := kube.NewWebApp(ctx, "shop", &kube.WebAppArgs{
		Namespace: namespace.Name,
		Labels:    map[string]string{"team": "shop"},
		Container: kube.Container{
			Image:     pulumi.String(config.Require(ctx, "image")),
			Port:      8080,
			Probes:    kube.HTTPProbes("/live", "/ready"),
			Env:       map[string]pulumi.StringInput{"CURRENCY": pulumi.String("EUR")},
			Resources: kube.Resources{CPURequest: "250m", MemoryLimit: "256Mi"},
		},
		Bindings: []kube.Binding{cache},
		Scaling: kube.Scaling{
			Min: 3, Max: 20, TargetCPUUtilization: 60, ScaleUpPercent: 900,
			ScaleDownWindowSeconds: 300, ScaleDownPercent: 10, ScaleDownPeriodSeconds: 60,
		},
		Ingress: &kube.IngressSpec{Class: "alb", Hosts: []string{"shop.example.com"}, ALB: &kube.ALB{
			Controller: kube.EKSAutoMode, Scheme: "internet-facing",
			CertificateARN: pulumi.String(config.Require(ctx, "certificateArn")),
			TLSPolicy:      "ELBSecurityPolicy-TLS13-1-2-2021-06",
		}},
		AllowFrom:             []kube.Peer{{CIDRs: pulumi.ToStringArray([]string{"10.0.0.0/20", "10.0.16.0/20"})}},
		Shutdown:              kube.Shutdown{LoadBalancerDelay: 25, LongestRequest: 30},
		RolloutTimeoutSeconds: 600,
		Placement:             kube.Placement{Architecture: "amd64"},
	}, cluster)
	if err != nil {
		return err
	}
	ctx.Export("url", app.URL)
	return nil
}

// provideCache creates an ElastiCache in the nodes' VPC and binds it to the variables that the shop reads.
func provideCache(
	ctx *pulumi.Context, eks aws.Cluster, namespace *kube.Namespace, cluster pulumi.ResourceOption,
) (kube.Binding, error) {
	password := config.RequireSecret(ctx, "redisPassword")
	secret, err := kube.NewRedisSecret(ctx, "cache", &kube.RedisSecretArgs{
		Namespace: namespace.Name, Password: password,
	}, cluster)
	if err != nil {
		return kube.Binding{}, err
	}
	cache, err := aws.NewElastiCache(ctx, "cache", &aws.ElastiCacheArgs{
		Name: "shop", Username: "shop", Password: password, Access: "on ~cart:* -@all +@read +@write +@connection",
		VPC: eks.VPC, Subnets: eks.Subnets, Clients: pulumi.StringArray{eks.SecurityGroup},
		Engine: "valkey", EngineVersion: "8.0", BackupDays: 7, Protect: true,
		Replicas: &aws.ElastiCacheReplicas{NodeType: "cache.t4g.small", Count: 1, MaintenanceWindow: "sun:03:00-sun:04:00"},
	})
	if err != nil {
		return kube.Binding{}, err
	}
	return secret.Bind(cache.Connection, redis.Environment{
		Host: "CACHE_HOST", Port: "CACHE_PORT", TLS: "CACHE_TLS", Username: "CACHE_USER",
		PasswordFile: "CACHE_PASSWORD_FILE",
	}), nil
}
