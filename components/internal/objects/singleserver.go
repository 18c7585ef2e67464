package objects

import (
	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

// NewSingleServer runs the one pod of an app that keeps data on a volume.
func NewSingleServer(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput,
	service *corev1.Service, pod *corev1.PodTemplateSpecArgs,
) (*appsv1.StatefulSet, error) {
	server, err := appsv1.NewStatefulSet(ctx, name, &appsv1.StatefulSetArgs{
		Metadata: app.Meta(app.Instance, namespace),
		Spec: &appsv1.StatefulSetSpecArgs{
			Replicas:    pulumi.Int(1), // two servers on one volume would destroy its data
			ServiceName: service.Metadata.Name().Elem(),
			Selector:    app.LabelSelector(),
			Template:    pod,
			// OrderedReady, the default, never replaces a pod that is not ready, so a bad image could not be corrected:
			// https://kubernetes.io/docs/concepts/workloads/controllers/statefulset/#forced-rollback
			PodManagementPolicy: pulumi.String("Parallel"),
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, component.Creating("stateful set", name, err)
	}
	return server, nil
}
