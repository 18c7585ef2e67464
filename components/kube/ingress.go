package kube

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// IngressSpec describes the public address of an app.
type IngressSpec struct {
	// Class is the IngressClass, e.g. traefik or alb. Required.
	Class string
	// Hosts are the DNS names of the app; the first one is used for the URL. Empty for any name. Required with TLS.
	Hosts []string
	// Paths are the path prefixes that are routed to the app. Empty for all. Then the readiness and liveness paths are
	// public too: they reveal only whether the app is up, and the ALB's health checks use the same port.
	Paths []string
	// PublicPort is the public port of the controller, used only for the URL. 0 for the scheme's default (80 or 443).
	PublicPort int
	// TLSSecret is the name of a Secret with the certificate for Hosts. Empty for none, and for an ALB, which uses ACM.
	TLSSecret string
	// Annotations are for the controller, e.g. Traefik's redirect to HTTPS. They override those that ALB generates.
	Annotations map[string]string
	// ALB configures an AWS Application Load Balancer, which checks the readiness path. Nil for another controller.
	ALB *ALB
}

// Validate reports every invalid field.
func (r IngressSpec) Validate() field.ErrorList {
	problems := slices.Concat(
		check.That(r.scheme() == "http" || len(r.Hosts) > 0, "hosts", "", "must be set: a certificate is for a name"),
		check.That(r.ALB == nil || r.TLSSecret == "", "tlsSecret", r.TLSSecret,
			"must be empty: an ALB takes a certificate of ACM"),
		check.Name("class", r.Class),
		check.Annotations("annotations", r.Annotations),
		check.Range("publicPort", r.PublicPort, 0, 65535),
		check.Optional(check.Name, "tlsSecret", r.TLSSecret),
		checkAll(checkPath, "paths", r.Paths),
	)
	for _, host := range r.Hosts {
		problems = append(problems, check.That(check.IsDNSName(host), "hosts", host,
			"must be a DNS name in lower case, with no wildcard and no dot at its end, such as app.example.com, or empty")...)
	}
	if r.ALB != nil {
		problems = append(problems, check.In("alb", r.ALB.Validate())...)
	}
	return problems
}

func (r IngressSpec) scheme() string {
	if r.TLSSecret != "" || r.ALB != nil && r.ALB.CertificateARN != nil {
		return "https"
	}
	return "http"
}

// IngressArgs describes an Ingress for a Service. A WebApp creates its own.
type IngressArgs struct {
	// Namespace of the Service. Required.
	Namespace pulumi.StringInput
	// Service that receives the requests at its port http, and name of the Ingress. Empty for the component's name.
	Service string
	// Spec describes the public address. Required.
	Spec IngressSpec
	// HealthPath is the path of an ALB's health checks, and Shutdown holds the times of a graceful shutdown. Required with
	// an ALB.
	HealthPath string
	Shutdown   Shutdown
	// Labels in addition to the common ones.
	Labels map[string]string
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *IngressArgs) Validate() field.ErrorList {
	problems := append(check.In("spec", a.Spec.Validate()), check.Labels("labels", a.Labels)...)
	if a.Spec.ALB != nil {
		problems = slices.Concat(problems, checkPath("healthPath", a.HealthPath), check.In("shutdown", a.Shutdown.Validate()))
	}
	return problems
}

// Ingress routes requests from outside the cluster to one Service.
type Ingress struct {
	pulumi.ResourceState

	// URL of the app, with the first host of Spec, or else with the address published by the controller.
	URL pulumi.StringOutput
	// Address published by the controller: the DNS name of the load balancer, or its IP address.
	Address pulumi.StringOutput
	// Ready is the resource for dependents, instead of the component: see WebApp.Ready.
	Ready pulumi.Resource
}

// NewIngress creates the Ingress, and waits until its controller has published an address.
func NewIngress(ctx *pulumi.Context, name string, args *IngressArgs, opts ...pulumi.ResourceOption) (*Ingress, error) {
	args = cmp.Or(args, &IngressArgs{})
	i, public := &Ingress{}, &args.Spec
	o := objects.Owner{Pods: webApp(args.Service), Namespace: args.Namespace}
	o.Labels = args.Labels
	if err := o.Register(ctx, "Ingress", name, args.Validate(), i, opts); err != nil {
		return nil, err
	}
	spec := &networkingv1.IngressSpecArgs{IngressClassName: pulumi.String(public.Class), Rules: public.rules(o.Instance)}
	if public.TLSSecret != "" {
		spec.Tls = networkingv1.IngressTLSArray{networkingv1.IngressTLSArgs{
			Hosts: pulumi.ToStringArray(public.Hosts), SecretName: pulumi.String(public.TLSSecret),
		}}
	}
	annotations, replacement := pulumi.StringMap{}, []pulumi.ResourceOption{}
	if public.ALB != nil {
		annotations = public.ALB.annotations(args.HealthPath, args.Shutdown)
		// A change of these annotations makes the controller create a new load balancer and delete the old one, but the
		// Ingress keeps the old address until then, and Pulumi would read that.
		replacement = append(replacement, pulumi.ReplaceOnChanges([]string{
			"spec.ingressClassName", annotationPath(albAnnotation + "scheme"), annotationPath(albGroup),
			annotationPath(groupInClass),
		}), pulumi.DeleteBeforeReplace(true)) // the name is fixed
	}
	maps.Copy(annotations, pulumi.ToStringMap(public.Annotations))
	ingress := component.Create(o.Builder, networkingv1.NewIngress, "", &networkingv1.IngressArgs{
		Metadata: o.Annotated(annotations), Spec: spec,
	}, replacement...)
	if err := o.Err(); err != nil {
		return nil, err
	}
	i.Address, i.Ready = public.address(ingress), ingress
	i.URL = public.url(i.Address)
	return i, o.Finish(pulumi.Map{"url": i.URL, "address": i.Address})
}

func annotationPath(name string) string { return fmt.Sprintf("metadata.annotations[%q]", name) }

// rules returns one rule for each host, or one for all hosts.
func (r *IngressSpec) rules(service string) (rules networkingv1.IngressRuleArray) {
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
		rules = append(rules, networkingv1.IngressRuleArgs{
			Host: component.Optional(host), Http: &networkingv1.HTTPIngressRuleValueArgs{Paths: paths},
		})
	}
	return rules
}

func orElse(list []string, fallback string) []string {
	if len(list) == 0 {
		return []string{fallback}
	}
	return list
}

// url is known before the Ingress exists if there is a host. Otherwise it depends on the controller.
func (r *IngressSpec) url(address pulumi.StringInput) pulumi.StringOutput {
	port := ""
	if r.PublicPort != 0 {
		port = fmt.Sprintf(":%d", r.PublicPort)
	}
	if len(r.Hosts) > 0 {
		address = pulumi.String(r.Hosts[0])
	}
	return pulumi.Sprintf("%s://%s%s/", r.scheme(), address, port)
}

// address returns the address published by the controller.
func (r *IngressSpec) address(ingress *networkingv1.Ingress) pulumi.StringOutput {
	entry := ingress.Status.LoadBalancer().Ingress().Index(pulumi.Int(0))
	return pulumi.All(entry.Hostname().Elem(), entry.Ip().Elem()).ApplyT(func(all []any) (string, error) {
		if address := cmp.Or(all[0].(string), all[1].(string)); address != "" {
			return address, nil
		}
		return "", fmt.Errorf("the controller of ingress class %q published no address", r.Class)
	}).(pulumi.StringOutput)
}
