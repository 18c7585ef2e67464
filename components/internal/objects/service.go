package objects

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

// NewService makes an app's pods reachable by the app's name; portName is that of the pods' port. It skips the await,
// which waits 10 s for pods: a Service comes first, since a client that resolves its name before it exists would cache
// "no such host".
func NewService(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, portName string, number int,
) (*corev1.Service, error) {
	service, err := corev1.NewService(ctx, name, &corev1.ServiceArgs{
		Metadata: app.Annotated(app.Instance, namespace, WithoutAwait),
		Spec: &corev1.ServiceSpecArgs{
			Selector: app.Selector(),
			Ports: corev1.ServicePortArray{corev1.ServicePortArgs{
				Name: pulumi.String(portName), Port: pulumi.Int(number), TargetPort: pulumi.String(portName),
			}},
		},
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, component.Creating("service", name, err)
	}
	return service, nil
}

// WithoutAwait marks what is created before the pods that the provider would wait for.
var WithoutAwait = pulumi.StringMap{"pulumi.com/skipAwait": pulumi.String("true")}
