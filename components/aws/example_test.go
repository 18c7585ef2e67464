package aws_test

import (
	awsprovider "github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/aws"
)

// A repository that keeps the newest fifty images, and the credentials of its registry.
func ExampleNewECRRepository() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		repository, err := aws.NewECRRepository(ctx, "app", &aws.ECRRepositoryArgs{Name: "team/app", KeepImages: 50})
		if err != nil {
			return err
		}
		ctx.Export("repository", repository.URL)
		ctx.Export("username", pulumi.String(aws.ECRUser))
		ctx.Export("password", aws.ECRToken(ctx))
		return nil
	})
}

// A certificate for all names below a domain.
func ExampleNewCertificate() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		certificate, err := aws.NewCertificate(ctx, "apps", &aws.CertificateArgs{
			Domain: "*.apps.example.com", ZoneID: pulumi.String("Z0123456789ABCDEFGHIJ"),
		})
		if err != nil {
			return err
		}
		ctx.Export("certificate", certificate.ARN) // once it is issued
		return nil
	})
}

// A DNS name for a load balancer, such as the address of an Ingress.
func ExampleNewLoadBalancerRecord() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		_, err := aws.NewLoadBalancerRecord(ctx, "web", &aws.LoadBalancerRecordArgs{
			Host: "web.example.com", ZoneID: pulumi.String("Z0123456789ABCDEFGHIJ"),
			Target: pulumi.String("k8s-web-0123456789.eu-central-1.elb.amazonaws.com"),
		})
		return err
	})
}

// A cache that is reachable only from the cluster's nodes.
func ExampleNewElastiCache() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		cluster := aws.LookupCluster(ctx, pulumi.String("production"))
		cache, err := aws.NewElastiCache(ctx, "sessions", &aws.ElastiCacheArgs{
			Name: "sessions", Engine: "valkey", EngineVersion: "8.0", BackupDays: 7, Protect: true,
			Password: pulumi.String("a secret of the configuration"), Access: "on ~session:* -@all +get +set +expire",
			VPC: cluster.VPC, Subnets: cluster.Subnets, Clients: pulumi.StringArray{cluster.SecurityGroup},
			Replicas: &aws.ElastiCacheReplicas{
				NodeType: "cache.t4g.small", Count: 1, MaintenanceWindow: "sun:03:00-sun:04:00",
			},
		})
		if err != nil {
			return err
		}
		ctx.Export("redis", cache.Connection.Host)
		return nil
	})
}

// A cluster in another region, looked up through an explicit provider.
func ExampleLookupCluster() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		ireland, err := awsprovider.NewProvider(ctx, "ireland", &awsprovider.ProviderArgs{Region: pulumi.String("eu-west-1")})
		if err != nil {
			return err
		}
		cluster := aws.LookupCluster(ctx, pulumi.String("production"), pulumi.Provider(ireland))
		ctx.Export("endpoint", cluster.Endpoint)
		return nil
	})
}
