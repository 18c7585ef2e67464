package kube_test

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
)

// An app with two pods that is reachable only inside the cluster.
func ExampleNewWebApp() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		_, err := kube.NewWebApp(ctx, "web", &kube.WebAppArgs{
			Namespace: pulumi.String("shop"),
			Container: kube.Container{
				Image: pulumi.String("ghcr.io/example/shop:1.4.2"), Port: 8080,
				Resources: kube.Resources{CPURequest: "100m", MemoryLimit: "128Mi"},
			},
			Scaling:               kube.Scaling{Fixed: 2},
			AllowFrom:             []kube.Peer{{Namespace: "checkout"}},
			Shutdown:              kube.Shutdown{LoadBalancerDelay: 5},
			RolloutTimeoutSeconds: 120,
		})
		return err
	})
}

// An app with an autoscaler behind an Application Load Balancer, with the credentials of a bucket as files.
func ExampleNewWebApp_scaledOnEKS() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		_, err := kube.NewWebApp(ctx, "web", &kube.WebAppArgs{
			Namespace: pulumi.String("shop"),
			Container: kube.Container{
				Image: pulumi.String("ghcr.io/example/shop:1.4.2"), Port: 8080,
				Probes:        kube.HTTPProbes("/livez", "/readyz"),
				Metrics:       &kube.Metrics{Port: 9090},
				Env:           map[string]pulumi.StringInput{"LOG_LEVEL": pulumi.String("info")},
				WritablePaths: []string{"/tmp"},
				Resources:     kube.Resources{CPURequest: "250m", MemoryLimit: "256Mi"},
			},
			Bindings: []kube.Binding{{
				Files:   []kube.SecretFiles{{Dir: "/etc/bucket", Secret: kube.SecretRef{Name: pulumi.String("bucket")}}},
				AllowTo: []kube.Peer{{Anyone: true, Ports: []int{443}}},
			}},
			Scaling: kube.Scaling{
				Min: 2, Max: 20, TargetCPUUtilization: 60, ScaleUpPercent: 900, ScaleDownWindowSeconds: 300,
				ScaleDownPercent: 50, ScaleDownPeriodSeconds: 60,
			},
			Ingress: &kube.IngressSpec{Class: "alb", Hosts: []string{"shop.example.com"}, ALB: &kube.ALB{
				Controller: kube.EKSAutoMode, Scheme: "internet-facing", TLSPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
				CertificateARN: pulumi.String("arn:aws:acm:eu-central-1:111122223333:certificate/example"),
			}},
			AllowFrom:             []kube.Peer{{CIDRs: pulumi.ToStringArray([]string{"10.0.0.0/20"})}},
			Shutdown:              kube.Shutdown{LoadBalancerDelay: 25},
			RolloutTimeoutSeconds: 600,
		})
		return err
	})
}

func ExampleNewNamespace() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		namespace, err := kube.NewNamespace(ctx, "namespace", &kube.NamespaceArgs{
			Name: "shop", ALBController: kube.EKSAutoMode, PodSecurityVersion: "v1.34",
		})
		if err != nil {
			return err
		}
		ctx.Export("namespace", namespace.Name)
		return nil
	})
}

// A Redis in the cluster, and the connection to it.
func ExampleNewRedis() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		namespace, password := pulumi.String("shop"), pulumi.String("from the configuration")
		secret, err := kube.NewRedisSecret(ctx, "redis", &kube.RedisSecretArgs{Namespace: namespace, Password: password})
		if err != nil {
			return err
		}
		server, err := kube.NewRedis(ctx, "redis", &kube.RedisArgs{
			Namespace: namespace, Secret: secret, Clients: []map[string]string{kube.WebAppPods("web")},
			Image: "docker.io/redis:8.2", Resources: kube.Resources{CPURequest: "100m", MemoryLimit: "256Mi"},
			StorageSize: "2Gi", Protect: true, Fsync: redis.FsyncEverySecond,
		})
		if err != nil {
			return err
		}
		binding := secret.Bind(server.Connection, redis.Environment{Host: "REDIS_HOST", PasswordFile: "REDIS_PASSWORD_FILE"})
		_ = binding // for kube.WebAppArgs.Bindings
		return nil
	})
}

// A Redis outside the cluster, whose certificate is signed by a private authority.
func ExampleNewRedisSecret() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		secret, err := kube.NewRedisSecret(ctx, "redis", &kube.RedisSecretArgs{
			Namespace: pulumi.String("shop"), Password: pulumi.String("from the configuration"),
			CA: pulumi.String("-----BEGIN CERTIFICATE-----..."),
		})
		if err != nil {
			return err
		}
		elsewhere := redis.Connection{Host: pulumi.String("redis.example.com"), Port: 6380, TLS: true, Username: "shop"}
		binding := secret.Bind(elsewhere, redis.Environment{Host: "REDIS_HOST", PasswordFile: "REDIS_PASSWORD_FILE",
			CAFile: "REDIS_CA"})
		_ = binding // for kube.WebAppArgs.Bindings
		return nil
	})
}

// A token in a variable of the app's pods, which are replaced when the token changes.
func ExampleNewSecret() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		secret, err := kube.NewSecret(ctx, "payment", &kube.SecretArgs{
			Namespace: pulumi.String("shop"),
			Data:      map[string]pulumi.StringInput{"token": pulumi.String("from the configuration")},
		})
		if err != nil {
			return err
		}
		binding := kube.Binding{SecretEnv: map[string]kube.SecretKey{"PAYMENT_TOKEN": {Secret: secret.Ref, Key: "token"}}}
		_ = binding // for kube.WebAppArgs.Bindings
		return nil
	})
}

// An Ingress for a Service that another program created.
func ExampleNewIngress() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		ingress, err := kube.NewIngress(ctx, "docs", &kube.IngressArgs{
			Namespace: pulumi.String("docs"),
			Spec:      kube.IngressSpec{Class: "traefik", Hosts: []string{"docs.example.com"}, TLSSecret: "docs-tls"},
		})
		if err != nil {
			return err
		}
		ctx.Export("url", ingress.URL)
		return nil
	})
}

// An autoscaler for a Deployment that another program created.
func ExampleNewAutoscaler() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		_, err := kube.NewAutoscaler(ctx, "worker", &kube.AutoscalerArgs{
			Namespace: pulumi.String("shop"), Container: "main",
			Scaling: kube.Scaling{
				Min: 1, Max: 5, TargetCPUUtilization: 70, ScaleUpPercent: 100, ScaleDownWindowSeconds: 300,
				ScaleDownPercent: 100, ScaleDownPeriodSeconds: 60,
			},
		})
		return err
	})
}

func ExampleNewALBClass() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		class, err := kube.NewALBClass(ctx, "alb", &kube.ALBClassArgs{Name: "alb", Controller: kube.EKSAutoMode})
		if err != nil {
			return err
		}
		_ = class.Ready // for kube.WebAppArgs.IngressController, so that load balancers are deleted before their class
		return nil
	})
}

func ExampleNewKindProvider() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		provider, err := kube.NewKindProvider(ctx, "cluster", kube.KindCluster{Context: "kind-shop"})
		if err != nil {
			return err
		}
		_, err = kube.NewNamespace(ctx, "namespace", &kube.NamespaceArgs{Name: "shop"}, pulumi.Providers(provider))
		return err
	})
}

// aws.LookupCluster returns the values that AWS reports.
func ExampleNewEKSProvider() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		provider, err := kube.NewEKSProvider(ctx, "cluster", kube.EKSCluster{
			Name: pulumi.String("production"), Region: "eu-central-1",
			RoleARN:              "arn:aws:iam::111122223333:role/deploy",
			Endpoint:             pulumi.String("https://example.gr7.eu-central-1.eks.amazonaws.com"),
			CertificateAuthority: pulumi.String("LS0tLS1CRUdJTi..."),
			ARN:                  pulumi.String("arn:aws:eks:eu-central-1:111122223333:cluster/production"),
		})
		if err != nil {
			return err
		}
		_, err = kube.NewNamespace(ctx, "namespace", &kube.NamespaceArgs{Name: "shop"}, pulumi.Providers(provider))
		return err
	})
}
