package kube_test

import (
	"testing"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// A transformation changes settings that the arguments do not offer; here it adds a second container to the pods of
// an app.
func ExampleNewWebApp_sidecar() { pulumi.Run(withSidecar) }

func withSidecar(ctx *pulumi.Context) error {
	_, err := kube.NewWebApp(ctx, "web", &kube.WebAppArgs{
		Namespace: pulumi.String("shop"),
		Container: kube.Container{
			Image: pulumi.String("ghcr.io/example/shop:1.4.2"), Port: 8080,
			Resources: kube.Resources{CPURequest: "100m", MemoryLimit: "128Mi"},
		},
		Scaling:               kube.Scaling{Fixed: 2},
		Shutdown:              kube.Shutdown{LoadBalancerDelay: 5},
		RolloutTimeoutSeconds: 120,
	}, pulumi.Transformations([]pulumi.ResourceTransformation{addSidecar}))
	return err
}

// addSidecar is called for each child of the WebApp, with its arguments. The sidecar starts before the app's container
// and ends after it: https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/
func addSidecar(r *pulumi.ResourceTransformationArgs) *pulumi.ResourceTransformationResult {
	deployment, ok := r.Props.(*appsv1.DeploymentArgs)
	if !ok {
		return nil // unchanged
	}
	pod := deployment.Spec.(*appsv1.DeploymentSpecArgs).Template.(*corev1.PodTemplateSpecArgs).Spec.(*corev1.PodSpecArgs)
	pod.InitContainers = corev1.ContainerArray{corev1.ContainerArgs{
		Name: pulumi.String("proxy"), Image: pulumi.String("ghcr.io/example/proxy:2.0.1"),
		RestartPolicy: pulumi.String("Always"),
		Resources:     kube.Resources{CPURequest: "10m", MemoryLimit: "32Mi"}.Requirements(),
		SecurityContext: &corev1.SecurityContextArgs{ // required by Pod Security `restricted`
			AllowPrivilegeEscalation: pulumi.Bool(false),
			Capabilities:             &corev1.CapabilitiesArgs{Drop: pulumi.StringArray{pulumi.String("ALL")}},
		},
	}}
	return &pulumi.ResourceTransformationResult{Props: deployment, Opts: r.Opts}
}

func TestSidecar(t *testing.T) {
	result := componenttest.Record(t, withSidecar)
	pod := componenttest.Value(t, result, "Deployment", "web", "spec", "template", "spec")
	if got := offline.Lookup(pod, "initContainers", 0, "name"); got != "proxy" {
		t.Errorf("got sidecar %v, want proxy", got)
	}
	if got := offline.Lookup(pod, "containers", 0, "name"); got != "web" {
		t.Errorf("got container %v, want the app's too", got)
	}
}
