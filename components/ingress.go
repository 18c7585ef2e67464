package components

import (
	"cmp"
	"fmt"
	"strconv"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// Route says where on the network an app is reached.
type Route struct {
	// Class is the IngressClass, e.g. traefik or alb. Required.
	Class string
	// Host is the DNS name to answer for. Empty for any name; with an ALB that has a certificate it is required.
	Host string
	// PublicPort is where clients reach the controller. 0 for the scheme's own port (80 or 443). For the URL only.
	PublicPort int
	// TLSSecret names a Secret with the certificate for Host. Empty for none, or where the controller has it (ALB).
	TLSSecret string
	// ALB makes the Ingress an AWS Application Load Balancer. Nil for any other controller.
	ALB *ALB
}

// Validate reports everything wrong with the route.
func (r Route) Validate() field.ErrorList {
	problems := check.Name("ingressClass", r.Class)
	if r.Host != "" && !check.IsDNSName(r.Host) {
		problems = append(problems, check.Invalid("host", r.Host, "must be a DNS name such as app.example.com, or empty")...)
	}
	problems = append(problems, check.Range("publicPort", r.PublicPort, 0, 65535)...)
	if r.TLSSecret != "" {
		problems = append(problems, check.Name("tlsSecret", r.TLSSecret)...)
	}
	if r.TLSSecret != "" && r.Host == "" {
		problems = append(problems, check.Invalid("host", r.Host, "must be set: a certificate is for a name")...)
	}
	if r.ALB == nil {
		return problems
	}
	if r.TLSSecret != "" {
		problems = append(problems, check.Invalid("tlsSecret", r.TLSSecret, "must be empty: an ALB takes certificateArn")...)
	}
	if r.ALB.CertificateARN != nil && r.Host == "" {
		problems = append(problems, check.Invalid("host", r.Host, "must be set: a certificate is for a name")...)
	}
	return append(problems, r.ALB.Validate()...)
}

func (r Route) inputs() pulumi.Map {
	inputs := pulumi.Map{
		"ingressClass": pulumi.String(r.Class), "host": pulumi.String(r.Host),
		"publicPort": pulumi.Int(r.PublicPort), "tlsSecret": pulumi.String(r.TLSSecret),
	}
	if r.ALB != nil {
		inputs["alb"] = r.ALB.inputs()
	}
	return inputs
}

func (r Route) scheme() string {
	if r.TLSSecret != "" || r.ALB != nil && r.ALB.CertificateARN != nil {
		return "https"
	}
	return "http"
}

// IngressArgs describe the way from a load balancer to a Service.
type IngressArgs struct {
	// App whose Service, named like the instance, gets the requests on its port `http`. Required.
	App App
	// Namespace of the Service. Required.
	Namespace pulumi.StringInput
	// Name of the Ingress. Empty for the component's name.
	Name string
	// Route says under which name and by which controller. Required.
	Route Route
	// HealthPath is asked by an ALB to see whether a pod may get requests. Required.
	HealthPath string
	// Drain gives the ALB's deregistration delay.
	Drain Drain
}

// Validate reports everything wrong with the arguments.
func (a *IngressArgs) Validate() field.ErrorList {
	problems := check.Label("app.instance", a.App.Instance)
	problems = append(problems, check.Set("namespace", a.Namespace != nil)...)
	problems = append(problems, check.ObjectName(a.Name)...)
	problems = append(problems, check.Set("healthPath", a.HealthPath != "")...)
	problems = append(problems, a.Drain.Validate()...)
	return append(problems, a.Route.Validate()...)
}

// Ingress routes all paths of a host to one Service.
type Ingress struct {
	pulumi.ResourceState

	// URL of the app, by the host of the route or else by the address that the controller published.
	URL pulumi.StringOutput
	// Address that the controller published: the DNS name of the load balancer, or its IP address.
	Address pulumi.StringOutput
	// Ready is what to depend on. Not the component: of one, the Go SDK takes the children that it has at that moment,
	// and it adds them concurrently, so the dependency is lost now and then.
	Ready pulumi.Resource
}

// NewIngress creates the Ingress and waits until its controller has published an address.
func NewIngress(ctx *pulumi.Context, name string, args *IngressArgs, opts ...pulumi.ResourceOption) (*Ingress, error) {
	i := &Ingress{}
	inputs := pulumi.Map{
		"namespace": args.Namespace, "name": pulumi.String(args.Name),
		"route": args.Route.inputs(), "healthPath": pulumi.String(args.HealthPath),
		"deregistrationSeconds": pulumi.Int(args.Drain.Deregistration()),
	}
	if err := register(ctx, "Ingress", name, args.Validate(), inputs, i, opts); err != nil {
		return nil, err
	}
	spec := &networkingv1.IngressSpecArgs{
		IngressClassName: pulumi.String(args.Route.Class),
		Rules:            networkingv1.IngressRuleArray{args.rule()},
	}
	if args.Route.TLSSecret != "" {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts:      pulumi.ToStringArray([]string{args.Route.Host}),
			SecretName: pulumi.String(args.Route.TLSSecret),
		}}
	}
	ingress, err := networkingv1.NewIngress(ctx, name, &networkingv1.IngressArgs{
		Metadata: args.App.annotated(cmp.Or(args.Name, name), args.Namespace, args.annotations()),
		Spec:     spec,
	}, append(args.replacement(), pulumi.Parent(i))...)
	if err != nil {
		return nil, creating("ingress", name, err)
	}
	i.Address, i.Ready = args.Route.address(ingress), ingress
	i.URL = args.Route.url(i.Address)
	return i, ctx.RegisterResourceOutputs(i, pulumi.Map{"url": i.URL, "address": i.Address})
}

func (a *IngressArgs) rule() networkingv1.IngressRuleArgs {
	rule := networkingv1.IngressRuleArgs{Http: &networkingv1.HTTPIngressRuleValueArgs{
		Paths: networkingv1.HTTPIngressPathArray{networkingv1.HTTPIngressPathArgs{
			Path:     pulumi.String("/"),
			PathType: pulumi.String("Prefix"),
			Backend: &networkingv1.IngressBackendArgs{Service: &networkingv1.IngressServiceBackendArgs{
				Name: pulumi.String(a.App.Instance),
				Port: &networkingv1.ServiceBackendPortArgs{Name: pulumi.String("http")},
			}},
		}},
	}}
	if a.Route.Host != "" {
		rule.Host = pulumi.String(a.Route.Host)
	}
	return rule
}

// replacement is what gives an ALB its identity. With another one the controller makes a new load balancer and deletes the old
// one, but the Ingress keeps the old address until then, and Pulumi would go on with that. A new Ingress has none at first.
func (a *IngressArgs) replacement() []pulumi.ResourceOption {
	if a.Route.ALB == nil {
		return nil
	}
	return []pulumi.ResourceOption{
		pulumi.ReplaceOnChanges([]string{
			"spec.ingressClassName", annotationPath(albAnnotation + "scheme"), annotationPath(albAnnotation + "group.name"),
			annotationPath(groupAnnotation),
		}),
		pulumi.DeleteBeforeReplace(true), // there cannot be two of one name
	}
}

func annotationPath(name string) string { return fmt.Sprintf("metadata.annotations[%q]", name) }

// annotations configure an ALB; no other controller needs any.
func (a *IngressArgs) annotations() pulumi.StringMap {
	if a.Route.ALB == nil {
		return nil
	}
	return a.Route.ALB.annotations(a.HealthPath, a.Drain)
}

// url is known before the Ingress exists if the route names a host and else comes from the controller.
func (r Route) url(address pulumi.StringOutput) pulumi.StringOutput {
	port := ""
	if r.PublicPort != 0 {
		port = ":" + strconv.Itoa(r.PublicPort)
	}
	if r.Host != "" {
		return pulumi.String(r.scheme() + "://" + r.Host + port + "/").ToStringOutput()
	}
	return pulumi.Sprintf("%s://%s%s/", r.scheme(), address, port)
}

// address is what the controller published.
func (r Route) address(ingress *networkingv1.Ingress) pulumi.StringOutput {
	return ingress.Status.ApplyT(func(status *networkingv1.IngressStatus) (string, error) {
		if status == nil || status.LoadBalancer == nil || len(status.LoadBalancer.Ingress) == 0 {
			return "", fmt.Errorf("the controller of ingress class %q published no address", r.Class)
		}
		entry := status.LoadBalancer.Ingress[0]
		for _, address := range []*string{entry.Hostname, entry.Ip} {
			if address != nil && *address != "" {
				return *address, nil
			}
		}
		return "", fmt.Errorf("the controller of ingress class %q published an empty address", r.Class)
	}).(pulumi.StringOutput)
}
