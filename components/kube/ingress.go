package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
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
	// ALB makes the Ingress an AWS Application Load Balancer, which asks the readiness path. Nil for another controller.
	ALB *ALB
}

// Validate reports everything wrong with the route.
func (r Route) Validate() field.ErrorList {
	problems := slices.Concat(
		check.Name("class", r.Class),
		check.Annotations("annotations", r.Annotations),
		check.Range("publicPort", r.PublicPort, 0, 65535),
		check.Optional(check.Name, "tlsSecret", r.TLSSecret),
	)
	for _, host := range r.Hosts {
		if !check.IsDNSName(host) {
			problems = append(problems, check.Invalid("hosts", host,
				"must be a DNS name in lower case, with no wildcard and no dot at its end, such as app.example.com, or empty")...)
		}
	}
	for _, path := range r.Paths {
		problems = append(problems, checkPath("paths", path)...)
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

// IngressArgs describe the way to a Service from outside, which a WebApp brings along.
type IngressArgs struct {
	// Namespace of the Service. Required.
	Namespace pulumi.StringInput
	// Service that gets the requests at its port http, and the Ingress' own name. Empty for the component's name.
	Service string
	// Route is where it is reached. Required.
	Route Route
	// HealthPath is what an ALB asks of each pod, and Drain how long one takes to leave. Required with an ALB.
	HealthPath string
	Drain      Drain
	// Labels besides the common ones.
	Labels map[string]string
}

// Validate reports everything wrong with the arguments.
func (a *IngressArgs) Validate() field.ErrorList {
	problems := slices.Concat(check.Set("namespace", a.Namespace != nil), check.In("route", a.Route.Validate()),
		check.Labels("labels", a.Labels))
	if a.Route.ALB != nil {
		problems = slices.Concat(problems, checkPath("healthPath", a.HealthPath), check.In("drain", a.Drain.Validate()))
	}
	return problems
}

// Ingress leads requests from outside to one Service.
type Ingress struct {
	pulumi.ResourceState

	// URL of the app, by the host of the route or else by the address that the controller published.
	URL pulumi.StringOutput
	// Address that the controller published: the DNS name of the load balancer, or its IP address.
	Address pulumi.StringOutput
	// Ready is what to depend on rather than the component: see WebApp.
	Ready pulumi.Resource
}

// NewIngress creates the Ingress and waits until its controller has published an address.
func NewIngress(ctx *pulumi.Context, name string, args *IngressArgs, opts ...pulumi.ResourceOption) (*Ingress, error) {
	args = cmp.Or(args, &IngressArgs{})
	i, route := &Ingress{}, &args.Route
	app := webApp(cmp.Or(args.Service, name))
	app.Labels = args.Labels
	o := objects.Owner{App: app, Context: ctx, Component: i, Name: name, Namespace: args.Namespace}
	problems := append(args.Validate(), check.ObjectName(o.Instance)...)
	if err := component.Register(ctx, "scaleout:index", "Ingress", name, problems, i, opts); err != nil {
		return nil, err
	}
	spec := &networkingv1.IngressSpecArgs{IngressClassName: pulumi.String(route.Class), Rules: route.rules(o.Instance)}
	if route.TLSSecret != "" {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts: pulumi.ToStringArray(route.Hosts), SecretName: pulumi.String(route.TLSSecret),
		}}
	}
	annotations, replacement := pulumi.StringMap{}, []pulumi.ResourceOption{o.Child()}
	if route.ALB != nil {
		annotations = route.ALB.annotations(args.HealthPath, args.Drain)
		// What gives an ALB its identity: with another one the controller makes a new load balancer and deletes the old one,
		// but the Ingress keeps the old address until then, and Pulumi would go on with that.
		replacement = append(replacement, pulumi.ReplaceOnChanges([]string{
			"spec.ingressClassName", annotationPath(albAnnotation + "scheme"), annotationPath(albGroup),
			annotationPath(groupInClass),
		}), pulumi.DeleteBeforeReplace(true)) // there cannot be two of one name
	}
	maps.Copy(annotations, pulumi.ToStringMap(route.Annotations))
	ingress, err := networkingv1.NewIngress(o.Context, o.Name, &networkingv1.IngressArgs{
		Metadata: o.Annotated(annotations), Spec: spec,
	}, replacement...)
	if err != nil {
		return nil, err
	}
	i.Address, i.Ready = route.address(ingress), ingress
	i.URL = route.url(i.Address)
	return i, ctx.RegisterResourceOutputs(i, pulumi.Map{"url": i.URL, "address": i.Address})
}

func annotationPath(name string) string { return fmt.Sprintf("metadata.annotations[%q]", name) }

// rules are one for each host, or one for all.
func (r *Route) rules(service string) (rules networkingv1.IngressRuleArray) {
	paths := networkingv1.HTTPIngressPathArray{}
	for _, path := range orElse(r.Paths, "/") {
		paths = append(paths, networkingv1.HTTPIngressPathArgs{
			Path:     pulumi.String(path),
			PathType: pulumi.String("Prefix"),
			Backend: &networkingv1.IngressBackendArgs{Service: &networkingv1.IngressServiceBackendArgs{
				Name: pulumi.String(service), Port: &networkingv1.ServiceBackendPortArgs{Name: pulumi.String(portName)},
			}},
		})
	}
	for _, host := range orElse(r.Hosts, "") {
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

// url is known before the Ingress exists if the route names a host and else comes from the controller.
func (r *Route) url(address pulumi.StringOutput) pulumi.StringOutput {
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
func (r *Route) address(ingress *networkingv1.Ingress) pulumi.StringOutput {
	return ingress.Status.ApplyT(func(status *networkingv1.IngressStatus) (string, error) {
		if status != nil && status.LoadBalancer != nil && len(status.LoadBalancer.Ingress) > 0 {
			entry := status.LoadBalancer.Ingress[0]
			for _, address := range []*string{entry.Hostname, entry.Ip} {
				if address != nil && *address != "" {
					return *address, nil
				}
			}
		}
		return "", fmt.Errorf("the controller of ingress class %q published no address", r.Class)
	}).(pulumi.StringOutput)
}
