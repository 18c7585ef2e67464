package kube

import (
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// ALBController selects the controller that turns Ingresses into Application Load Balancers. Both read the same
// annotations; the methods below list the differences. A wrong combination fails silently.
type ALBController string

const (
	// EKSAutoMode is part of EKS itself: https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html
	EKSAutoMode ALBController = "eksAutoMode"
	// AWSLoadBalancerController runs in the cluster: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/
	AWSLoadBalancerController ALBController = "awsLoadBalancerController"
)

// Validate reports a controller that there is not.
func (c ALBController) Validate() field.ErrorList {
	return check.OneOf("controller", string(c), string(EKSAutoMode), string(AWSLoadBalancerController))
}

// ReadinessGate is the namespace label that the controller looks for.
func (c ALBController) ReadinessGate() ReadinessGate {
	if c == EKSAutoMode {
		return AutoModeGate
	}
	return LoadBalancerControllerGate
}

// GroupInClass tells where the name of a group of Ingresses that share a load balancer goes: into the IngressClassParams,
// or else into an annotation of the Ingress, which EKS Auto Mode does not read.
func (c ALBController) GroupInClass() bool { return c == EKSAutoMode }

// ingressController is what an IngressClass calls the controller.
func (c ALBController) ingressController() string {
	if c == EKSAutoMode {
		return "eks.amazonaws.com/alb"
	}
	return "ingress.k8s.aws/alb"
}

// paramsAPI is the group and version of the IngressClassParams.
func (c ALBController) paramsAPI() (group, version string) {
	if c == EKSAutoMode {
		return "eks.amazonaws.com", "v1"
	}
	return "elbv2.k8s.aws", "v1beta1"
}

// ALBClassArgs describe an IngressClass for Application Load Balancers.
type ALBClassArgs struct {
	// Name of the class and its parameters. Required.
	Name string
	// Controller that makes the load balancers. Required.
	Controller ALBController
	// LoadBalancers gives all load balancers of the class a scheme, a group and attributes, which is how EKS Auto Mode
	// documents them. Nil leaves that to each Ingress.
	LoadBalancers *ALB
}

// Validate reports everything wrong with the arguments.
func (a *ALBClassArgs) Validate() field.ErrorList {
	problems := append(check.Name("name", a.Name), a.Controller.Validate()...)
	if a.LoadBalancers != nil {
		problems = append(problems, check.In("loadBalancers", a.LoadBalancers.Validate())...)
	}
	return problems
}

// ALBClass is what an Ingress names to become an Application Load Balancer. EKS Auto Mode comes without any.
type ALBClass struct {
	pulumi.ResourceState

	// Ready is what an Ingress depends on: deleted first, its load balancer goes while its class is still there.
	Ready pulumi.Resource
}

// NewALBClass creates the IngressClass and its parameters.
func NewALBClass(ctx *pulumi.Context, name string, args *ALBClassArgs, opts ...pulumi.ResourceOption) (*ALBClass, error) {
	c := &ALBClass{}
	if err := register(ctx, "ALBClass", name, args.Validate(), c, opts); err != nil {
		return nil, err
	}
	group, version := args.Controller.paramsAPI()
	params, err := apiextensions.NewCustomResource(ctx, name+"-params", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(group + "/" + version), Kind: pulumi.String("IngressClassParams"),
		Metadata:    metav1.ObjectMetaArgs{Name: pulumi.String(args.Name)},
		OtherFields: kubernetes.UntypedArgs{"spec": args.spec()},
	}, pulumi.Parent(c))
	if err != nil {
		return nil, creating("ingress class parameters", name, err)
	}
	class, err := networkingv1.NewIngressClass(ctx, name, &networkingv1.IngressClassArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(args.Name)},
		Spec: networkingv1.IngressClassSpecArgs{
			Controller: pulumi.String(args.Controller.ingressController()),
			Parameters: networkingv1.IngressClassParametersReferenceArgs{
				ApiGroup: pulumi.String(group), Kind: pulumi.String("IngressClassParams"), Name: pulumi.String(args.Name),
			},
		},
	}, pulumi.Parent(c), pulumi.DependsOn([]pulumi.Resource{params}))
	if err != nil {
		return nil, creating("ingress class", name, err)
	}
	c.Ready = class
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{})
}

func (a *ALBClassArgs) spec() pulumi.Map {
	spec := pulumi.Map{}
	if a.LoadBalancers == nil {
		return spec
	}
	attributes := pulumi.Array{}
	for _, each := range a.LoadBalancers.attributes() {
		attributes = append(attributes, pulumi.StringMap{"key": pulumi.String(each.key), "value": pulumi.String(each.value)})
	}
	spec["scheme"], spec["loadBalancerAttributes"] = pulumi.String(a.LoadBalancers.Scheme), attributes
	if a.LoadBalancers.Group != "" {
		spec["group"] = pulumi.StringMap{"name": pulumi.String(a.LoadBalancers.Group)}
	}
	return spec
}
