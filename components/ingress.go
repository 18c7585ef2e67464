package components

import (
	"cmp"
	"fmt"
	"regexp"
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

// ALB are the settings of an AWS Application Load Balancer. The AWS Load Balancer Controller and EKS Auto Mode read
// them as annotations: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
type ALB struct {
	// Scheme is internet-facing or internal. Required.
	Scheme string
	// CertificateARN of AWS Certificate Manager. With it HTTPS is served and HTTP redirected there; empty for HTTP only.
	CertificateARN string
}

var certificateForm = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[a-z0-9-]+$`)

// tlsPolicy allows TLS 1.2 and 1.3. Without it the load balancer would take a policy that allows TLS 1.0:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
const tlsPolicy = "ELBSecurityPolicy-TLS13-1-2-2021-06"

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
	problems = append(problems, check.OneOf("albScheme", r.ALB.Scheme, "internet-facing", "internal")...)
	if arn := r.ALB.CertificateARN; arn != "" && !certificateForm.MatchString(arn) {
		problems = append(problems, check.Invalid("certificateArn", arn,
			"must be arn:aws:acm:<region>:<account>:certificate/<id>, or empty")...)
	}
	if r.ALB.CertificateARN != "" && r.Host == "" {
		problems = append(problems, check.Invalid("host", r.Host, "must be set: a certificate is for a name")...)
	}
	return problems
}

func (r Route) inputs() pulumi.Map {
	inputs := pulumi.Map{
		"ingressClass": pulumi.String(r.Class), "host": pulumi.String(r.Host),
		"publicPort": pulumi.Int(r.PublicPort), "tlsSecret": pulumi.String(r.TLSSecret),
	}
	if r.ALB != nil {
		inputs["albScheme"] = pulumi.String(r.ALB.Scheme)
		inputs["certificateArn"] = pulumi.String(r.ALB.CertificateARN)
	}
	return inputs
}

func (r Route) scheme() string {
	if r.TLSSecret != "" || r.ALB != nil && r.ALB.CertificateARN != "" {
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
	}, pulumi.Parent(i))
	if err != nil {
		return nil, creating("ingress", name, err)
	}
	i.URL, i.Ready = args.Route.url(ingress), ingress
	return i, ctx.RegisterResourceOutputs(i, pulumi.Map{"url": i.URL})
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

// annotations configure an ALB; no other controller needs any.
func (a *IngressArgs) annotations() pulumi.StringMap {
	if a.Route.ALB == nil {
		return nil
	}
	values := map[string]string{
		"scheme":       a.Route.ALB.Scheme,
		"listen-ports": `[{"HTTP":80}]`,
		// Straight to the pod: through a node port, a pod that leaves is one hop out of the load balancer's sight.
		"target-type":      "ip",
		"healthcheck-path": a.HealthPath,
		// Twice 5 s to find a new pod healthy instead of AWS's default of five times 15 s, which delays scaling out.
		"healthcheck-interval-seconds": "5",
		"healthcheck-timeout-seconds":  "2",
		"healthy-threshold-count":      "2",
		// New pods get requests at once, where round robin would first let connections pile up on the old ones.
		"target-group-attributes": "deregistration_delay.timeout_seconds=" + strconv.Itoa(a.Drain.Deregistration()) +
			",load_balancing.algorithm.type=least_outstanding_requests",
		// AWS's default, written down because the app's idle timeout of 75 s must stay above it.
		"load-balancer-attributes": "idle_timeout.timeout_seconds=60",
	}
	if a.Route.ALB.CertificateARN != "" {
		values["listen-ports"] = `[{"HTTP":80},{"HTTPS":443}]`
		values["certificate-arn"] = a.Route.ALB.CertificateARN
		values["ssl-redirect"] = "443"
		values["ssl-policy"] = tlsPolicy
	}
	annotations := pulumi.StringMap{}
	for key, value := range values {
		annotations["alb.ingress.kubernetes.io/"+key] = pulumi.String(value)
	}
	return annotations
}

// url is known before the Ingress exists if the route names a host and else comes from the controller.
func (r Route) url(ingress *networkingv1.Ingress) pulumi.StringOutput {
	port := ""
	if r.PublicPort != 0 {
		port = ":" + strconv.Itoa(r.PublicPort)
	}
	if r.Host != "" {
		return pulumi.String(r.scheme() + "://" + r.Host + port + "/").ToStringOutput()
	}
	return ingress.Status.ApplyT(func(status *networkingv1.IngressStatus) (string, error) {
		if status == nil || status.LoadBalancer == nil || len(status.LoadBalancer.Ingress) == 0 {
			return "", fmt.Errorf("the controller of ingress class %q published no address", r.Class)
		}
		entry := status.LoadBalancer.Ingress[0]
		for _, address := range []*string{entry.Hostname, entry.Ip} {
			if address != nil && *address != "" {
				return r.scheme() + "://" + *address + port + "/", nil
			}
		}
		return "", fmt.Errorf("the controller of ingress class %q published an empty address", r.Class)
	}).(pulumi.StringOutput)
}
