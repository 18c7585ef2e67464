package kube

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Route says where on the network an app is reached.
type Route struct {
	// Class is the IngressClass, e.g. traefik or alb. Required.
	Class string
	// Hosts are the DNS names to answer for; the first is that of the URL. Empty for any name; with TLS one is required.
	Hosts []string
	// Paths are prefixes of paths that go to the app. Empty for all. The readiness and liveness paths are among what is
	// reachable then: they tell no more than whether the app is up, and an ALB asks the same port.
	Paths []string
	// PublicPort is where clients reach the controller. 0 for the scheme's own port (80 or 443). For the URL only.
	PublicPort int
	// TLSSecret names a Secret with the certificate for Hosts. Empty for none, or where the controller has it (ALB).
	TLSSecret string
	// Annotations are for the controller, e.g. the redirect to HTTPS of Traefik. They win over those that ALB makes.
	Annotations map[string]string
	// HealthPath is asked by an ALB to see whether a pod may get requests. Empty in a WebApp for its readiness path.
	HealthPath string
	// ALB makes the Ingress an AWS Application Load Balancer. Nil for any other controller.
	ALB *ALB
}

// Validate reports everything wrong with the route.
func (r Route) Validate() field.ErrorList {
	problems := check.Name("class", r.Class)
	for _, host := range r.Hosts {
		if !check.IsDNSName(host) {
			problems = append(problems, check.Invalid("hosts", host,
				"must be a DNS name in lower case, with no wildcard and no dot at its end, such as app.example.com, or empty")...)
		}
	}
	for _, path := range r.Paths {
		problems = append(problems, checkPath("paths", path)...)
	}
	problems = append(problems, check.Annotations("annotations", r.Annotations)...)
	problems = append(problems, check.Range("publicPort", r.PublicPort, 0, 65535)...)
	if r.HealthPath != "" {
		problems = append(problems, checkPath("healthPath", r.HealthPath)...)
	}
	if r.TLSSecret != "" {
		problems = append(problems, check.Name("tlsSecret", r.TLSSecret)...)
	}
	if r.scheme() == "https" && len(r.Hosts) == 0 {
		problems = append(problems, check.Invalid("hosts", "", "must be set: a certificate is for a name")...)
	}
	if r.ALB == nil {
		return problems
	}
	if r.TLSSecret != "" {
		problems = append(problems, check.Invalid("tlsSecret", r.TLSSecret, "must be empty: an ALB takes a certificate of ACM")...)
	}
	return append(problems, check.In("alb", r.ALB.Validate())...)
}

func (r Route) scheme() string {
	if r.TLSSecret != "" || r.ALB != nil && r.ALB.CertificateARN != nil {
		return "https"
	}
	return "http"
}

// IngressArgs describe the way from a load balancer to a Service.
type IngressArgs struct {
	// Service that gets the requests on its port `http`. Required.
	Service string
	// Namespace of the Service. Required.
	Namespace pulumi.StringInput
	// Name of the Ingress. Empty for the component's name.
	Name string
	// Labels of the Ingress besides the common ones.
	Labels map[string]string
	// Route says under which name and by which controller. Required.
	Route Route
	// Drain gives the ALB's deregistration delay.
	Drain Drain
}

// Validate reports everything wrong with the arguments.
func (a *IngressArgs) Validate() field.ErrorList {
	problems := check.Label("service", a.Service)
	problems = append(problems, check.Set("namespace", a.Namespace != nil)...)
	problems = append(problems, check.Labels("labels", a.Labels)...)
	problems = append(problems, check.Set("route.healthPath", a.Route.ALB == nil || a.Route.HealthPath != "")...)
	problems = append(problems, check.In("drain", a.Drain.Validate())...)
	return append(problems, check.In("route", a.Route.Validate())...)
}

// Ingress routes all paths of a host to one Service.
type Ingress struct {
	pulumi.ResourceState

	// URL of the app, by the host of the route or else by the address that the controller published.
	URL pulumi.StringOutput
	// Address that the controller published: the DNS name of the load balancer, or its IP address.
	Address pulumi.StringOutput
	// Ready is what to depend on rather than the component. The Go SDK expands a component dependency to the children
	// registered so far, and children register concurrently, so the dependency can be incomplete.
	Ready pulumi.Resource
}

// NewIngress creates the Ingress and waits until its controller has published an address.
func NewIngress(ctx *pulumi.Context, name string, args *IngressArgs, opts ...pulumi.ResourceOption) (*Ingress, error) {
	i := &Ingress{}
	object := cmp.Or(args.Name, name)
	problems := append(args.Validate(), check.ObjectName(object)...)
	if err := register(ctx, "Ingress", name, problems, i, opts); err != nil {
		return nil, err
	}
	spec := &networkingv1.IngressSpecArgs{IngressClassName: pulumi.String(args.Route.Class), Rules: args.rules()}
	if args.Route.TLSSecret != "" {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts:      pulumi.ToStringArray(args.Route.Hosts),
			SecretName: pulumi.String(args.Route.TLSSecret),
		}}
	}
	app := webApp(args.Service)
	app.Labels = args.Labels
	ingress, err := networkingv1.NewIngress(ctx, name, &networkingv1.IngressArgs{
		Metadata: app.Annotated(object, args.Namespace, args.annotations()),
		Spec:     spec,
	}, append(args.replacement(), pulumi.Parent(i))...)
	if err != nil {
		return nil, creating("ingress", name, err)
	}
	i.Address, i.Ready = args.Route.address(ingress), ingress
	i.URL = args.Route.url(i.Address)
	return i, ctx.RegisterResourceOutputs(i, pulumi.Map{"url": i.URL, "address": i.Address})
}

// rules are one for each host, or one for all.
func (a *IngressArgs) rules() (rules networkingv1.IngressRuleArray) {
	paths := networkingv1.HTTPIngressPathArray{}
	for _, path := range orElse(a.Route.Paths, "/") {
		paths = append(paths, networkingv1.HTTPIngressPathArgs{
			Path:     pulumi.String(path),
			PathType: pulumi.String("Prefix"),
			Backend: &networkingv1.IngressBackendArgs{Service: &networkingv1.IngressServiceBackendArgs{
				Name: pulumi.String(a.Service), Port: &networkingv1.ServiceBackendPortArgs{Name: pulumi.String(portName)},
			}},
		})
	}
	for _, host := range orElse(a.Route.Hosts, "") {
		rule := networkingv1.IngressRuleArgs{Http: &networkingv1.HTTPIngressRuleValueArgs{Paths: paths}}
		if host != "" {
			rule.Host = pulumi.String(host)
		}
		rules = append(rules, rule)
	}
	return rules
}

func orElse(list []string, fallback string) []string {
	if len(list) == 0 {
		return []string{fallback}
	}
	return list
}

// replacement lists what gives an ALB its identity. With another one the controller makes a new load balancer and deletes the old
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

func (a *IngressArgs) annotations() pulumi.StringMap {
	annotations := stringMap(a.Route.Annotations)
	if a.Route.ALB == nil {
		return annotations
	}
	all := a.Route.ALB.annotations(a.Route.HealthPath, a.Drain)
	maps.Copy(all, annotations)
	return all
}

// url is known before the Ingress exists if the route names a host and else comes from the controller.
func (r Route) url(address pulumi.StringOutput) pulumi.StringOutput {
	port := ""
	if r.PublicPort != 0 {
		port = ":" + strconv.Itoa(r.PublicPort)
	}
	if len(r.Hosts) > 0 {
		return pulumi.String(r.scheme() + "://" + r.Hosts[0] + port + "/").ToStringOutput()
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
