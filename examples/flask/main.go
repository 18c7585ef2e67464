// Command flask builds the Python app in app/ and runs it in a kind cluster with Traefik, scaled by CPU, with a Redis
// whose password is in a variable. The app has no metrics and no shutdown variables.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/config"

	"example.com/scaleout/components/image"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
)

func main() { pulumi.Run(program) }

// name is the name of the app, which the network policy of Redis refers to before the app exists.
const name = "flask"

func program(ctx *pulumi.Context) error {
	provider, err := kube.NewKindProvider(ctx, "cluster", kube.KindCluster{Context: "kind-scaleout"})
	if err != nil {
		return err
	}
	cluster := pulumi.Providers(provider)
	built, err := image.New(ctx, name, &image.Args{
		Repository: pulumi.String("localhost:5001/flask"), Context: "./app", Platform: "linux/amd64",
	})
	if err != nil {
		return err
	}
	namespace, err := kube.NewNamespace(ctx, name, &kube.NamespaceArgs{Name: name}, cluster)
	if err != nil {
		return err
	}
	store, err := runRedis(ctx, namespace, cluster)
	if err != nil {
		return err
	}
	app, err := kube.NewWebApp(ctx, name, &kube.WebAppArgs{
		Namespace: namespace.Name,
		Container: kube.Container{
			Image:     built.Ref,
			Port:      8000,
			Probes:    kube.HTTPProbes("/live", "/ready"),
			Resources: kube.Resources{CPURequest: "100m", MemoryLimit: "192Mi"},
		},
		Bindings:              []kube.Binding{store},
		Scaling:               kube.Scaling{Min: 2, Max: 6, TargetCPUUtilization: 50, ScaleDownWindowSeconds: 60},
		Ingress:               &kube.IngressSpec{Class: "traefik", Hosts: []string{"flask.localhost"}, PublicPort: 8080},
		AllowFrom:             []kube.Peer{{Namespace: "traefik"}},
		Shutdown:              kube.Shutdown{LoadBalancerDelay: 5},
		RolloutTimeoutSeconds: 120,
	}, cluster)
	if err != nil {
		return err
	}
	ctx.Export("url", app.URL)
	return nil
}

// runRedis runs a Redis in the namespace and binds it to the variables that the app reads.
func runRedis(ctx *pulumi.Context, namespace *kube.Namespace, cluster pulumi.ResourceOption) (kube.Binding, error) {
	secret, err := kube.NewRedisSecret(ctx, "redis", &kube.RedisSecretArgs{
		Namespace: namespace.Name, Password: config.RequireSecret(ctx, "redisPassword"),
	}, cluster)
	if err != nil {
		return kube.Binding{}, err
	}
	server, err := kube.NewRedis(ctx, "redis", &kube.RedisArgs{
		Namespace: namespace.Name, Secret: secret, Clients: []map[string]string{kube.WebAppPods(name)},
		Image:       "docker.io/library/redis:8.2.3-alpine",
		Resources:   kube.Resources{CPURequest: "100m", MemoryLimit: "128Mi"},
		StorageSize: "1Gi", Fsync: redis.FsyncEverySecond,
	}, cluster)
	if err != nil {
		return kube.Binding{}, err
	}
	return secret.Bind(server.Connection, redis.Environment{
		Host: "REDIS_HOST", Port: "REDIS_PORT", Password: "REDIS_PASSWORD",
	}), nil
}
