// Command minimal runs a third-party container in the kind cluster of `make up`, behind its Traefik and with an
// autoscaler, but without Redis. Its only Pulumi provider SDK is that of Kubernetes.
package main

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
)

func main() { pulumi.Run(program) }

func program(ctx *pulumi.Context) error {
	provider, err := kube.NewKindProvider(ctx, "cluster", kube.KindCluster{Context: "kind-scaleout"})
	if err != nil {
		return err
	}
	cluster := pulumi.Providers(provider)
	namespace, err := kube.NewNamespace(ctx, "minimal", &kube.NamespaceArgs{Name: "minimal"}, cluster)
	if err != nil {
		return err
	}
	app, err := kube.NewWebApp(ctx, "podinfo", &kube.WebAppArgs{
		Namespace: namespace.Name,
		Container: kube.Container{
			Image: pulumi.String("ghcr.io/stefanprodan/podinfo:6.9.2"), Port: 9898, User: 100,
			Probes:    kube.HTTPProbes("/healthz", "/readyz"),
			Resources: kube.Resources{CPURequest: "50m", MemoryLimit: "64Mi"},
		},
		Scaling:               kube.Scaling{Min: 2, Max: 10, TargetCPUUtilization: 60, ScaleDownWindowSeconds: 300},
		Ingress:               &kube.IngressSpec{Class: "traefik", Hosts: []string{"podinfo.localhost"}, PublicPort: 8080},
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
