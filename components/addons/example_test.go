package addons_test

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/addons"
)

// The ingress controller of a local cluster, with the machine's ports mapped to its node ports.
func ExampleNewTraefik() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		traefik, err := addons.NewTraefik(ctx, "traefik", &addons.TraefikArgs{
			Image: "docker.io/traefik:v3.6.12", HTTPNodePort: 30080, HTTPSNodePort: 30443, LongestRequest: 10,
		})
		if err != nil {
			return err
		}
		_ = traefik.Ready // for kube.WebAppArgs.IngressController
		return nil
	})
}

func ExampleNewMetricsServer() {
	pulumi.Run(func(ctx *pulumi.Context) error {
		metrics, err := addons.NewMetricsServer(ctx, "metrics-server", &addons.MetricsServerArgs{
			Image: "registry.k8s.io/metrics-server/metrics-server:v0.8.0", KubeletInsecureTLS: true, // kind
		})
		if err != nil {
			return err
		}
		_ = metrics.Ready // for kube.WebAppArgs.MetricsServer
		return nil
	})
}
