package kube

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// ALB holds the settings of an AWS Application Load Balancer. The AWS Load Balancer Controller and EKS Auto Mode read
// them as annotations:
// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
type ALB struct {
	// Controller that creates the load balancer. Required.
	Controller ALBController
	// Scheme is internet-facing or internal. Required.
	Scheme string
	// CertificateARN of AWS Certificate Manager. With it, HTTP is redirected to HTTPS. Nil for HTTP only.
	CertificateARN pulumi.StringInput
	// TLSPolicy is the security policy, which defines TLS versions and ciphers. Required with a certificate.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
	TLSPolicy string
	// Group is shared by Ingresses that share a load balancer. Empty for a separate load balancer.
	Group string
	// AccessLogsBucket is the S3 bucket for access logs, to which AWS' log delivery must have write access. Empty for
	// none.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
	AccessLogsBucket string
	// AccessLogsPrefix is the folder in that bucket. Empty for none.
	AccessLogsPrefix string
	// WebACLARN is the AWS WAF web ACL that filters requests. Empty for none.
	WebACLARN string
}

var (
	certificateForm = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[a-z0-9-]+$`)
	tlsPolicyForm   = regexp.MustCompile(`^ELBSecurityPolicy-[A-Za-z0-9-]{1,100}$`)
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	bucketForm = regexp.MustCompile(`^$|^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixForm = regexp.MustCompile(`^$|^[A-Za-z0-9]([A-Za-z0-9!_.*'()/-]{0,199}[A-Za-z0-9!_.*'()-])?$`)
	// Regional web ACLs only; CloudFront uses global ones.
	webACLForm = regexp.MustCompile(`^$|^arn:aws[a-z-]*:wafv2:[a-z0-9-]+:\d{12}:` +
		`regional/webacl/[A-Za-z0-9_-]+/[a-z0-9-]+$`)
)

// Validate reports everything wrong with the settings.
func (a *ALB) Validate() field.ErrorList {
	arn, known := a.CertificateARN.(pulumi.String)
	return slices.Concat(
		a.Controller.Validate(),
		check.OneOf("scheme", a.Scheme, "internet-facing", "internal"),
		// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#group.name
		check.Optional(check.Label, "group", a.Group),
		check.Match("accessLogsBucket", a.AccessLogsBucket, bucketForm,
			"must be the name of an S3 bucket, without s3://, or empty"),
		check.That(prefixForm.MatchString(a.AccessLogsPrefix) && (a.AccessLogsPrefix == "" || a.AccessLogsBucket != ""),
			"accessLogsPrefix", a.AccessLogsPrefix,
			"must be a folder in accessLogsBucket, without / at either end, or empty"),
		check.Match("webAclArn", a.WebACLARN, webACLForm,
			"must be arn:aws:wafv2:<region>:<account>:regional/webacl/<name>/<id>, or empty"),
		check.That(!known || certificateForm.MatchString(string(arn)), "certificateArn", string(arn),
			"must be arn:aws:acm:<region>:<account>:certificate/<id>, or empty"),
		check.That(a.CertificateARN == nil || tlsPolicyForm.MatchString(a.TLSPolicy), "tlsPolicy", a.TLSPolicy,
			"must be a security policy of Elastic Load Balancing, such as ELBSecurityPolicy-TLS13-1-2-2021-06"),
	)
}

const (
	// albAnnotation is the prefix of the annotations that both controllers read.
	albAnnotation = "alb.ingress.kubernetes.io/"
	// albGroup shares a load balancer. If the class sets the group, groupInClass shows its changes in the Ingress.
	albGroup, groupInClass = albAnnotation + "group.name", "alb-group"
)

// attributes returns the attributes of the load balancer, each key=value. See Load balancer attributes in
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
func (a *ALB) attributes() []string {
	attributes := []string{
		// AWS' default. It is explicit, because the app must keep idle connections for longer: otherwise it may close one
		// on which the load balancer has just sent a request, which is answered with a 502. See HTTP 502 in
		// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html
		"idle_timeout.timeout_seconds=60",
		// Invalid header names enable request smuggling (Security Hub's rule ELB.4).
		"routing.http.drop_invalid_header_fields.enabled=true",
	}
	if a.AccessLogsBucket != "" {
		attributes = append(attributes, "access_logs.s3.enabled=true", "access_logs.s3.bucket="+a.AccessLogsBucket)
	}
	if a.AccessLogsPrefix != "" {
		attributes = append(attributes, "access_logs.s3.prefix="+a.AccessLogsPrefix)
	}
	return attributes
}

// annotations returns the settings of the load balancer and of its target groups.
func (a *ALB) annotations(healthPath string, shutdown Shutdown) pulumi.StringMap {
	values := pulumi.StringMap{
		"scheme":       pulumi.String(a.Scheme),
		"listen-ports": pulumi.String(`[{"HTTP":80}]`),
		// Directly to the pods: behind a node port, the load balancer cannot see a terminating pod.
		"target-type":      pulumi.String("ip"),
		"healthcheck-path": pulumi.String(healthPath),
		// The kubelet's range of success codes. With AWS' default of 200, a pod that answers 204 would never get requests.
		"success-codes": pulumi.String("200-399"),
		// Twice 5 s to find a new pod healthy instead of AWS's default of five times 15 s, which delays scaling out.
		"healthcheck-interval-seconds": pulumi.String("5"),
		"healthcheck-timeout-seconds":  pulumi.String("2"),
		"healthy-threshold-count":      pulumi.String("2"),
		// New pods get requests at once; round robin would let connections pile up on the old pods.
		"target-group-attributes": pulumi.String(fmt.Sprintf(
			"deregistration_delay.timeout_seconds=%d,load_balancing.algorithm.type=least_outstanding_requests",
			shutdown.Deregistration())),
		"load-balancer-attributes": pulumi.String(strings.Join(a.attributes(), ",")),
	}
	if a.CertificateARN != nil {
		values["listen-ports"] = pulumi.String(`[{"HTTP":80},{"HTTPS":443}]`)
		values["certificate-arn"] = a.CertificateARN
		values["ssl-redirect"] = pulumi.String("443")
		values["ssl-policy"] = pulumi.String(a.TLSPolicy)
	}
	if a.WebACLARN != "" {
		values["wafv2-acl-arn"] = pulumi.String(a.WebACLARN)
	}
	annotations := pulumi.StringMap{}
	for key, value := range values {
		annotations[albAnnotation+key] = value
	}
	if a.Group != "" {
		annotations[albControllers[a.Controller].groupAnnotation] = pulumi.String(a.Group)
	}
	return annotations
}

// ALBController selects the controller that creates Application Load Balancers for Ingresses.
type ALBController string

const (
	// EKSAutoMode is part of EKS itself: https://docs.aws.amazon.com/eks/latest/userguide/auto-configure-alb.html
	EKSAutoMode ALBController = "eksAutoMode"
	// AWSLoadBalancerController runs in the cluster:
	// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/
	AWSLoadBalancerController ALBController = "awsLoadBalancerController"
)

// albControllers holds the differences of the controllers. A wrong combination fails silently.
var albControllers = map[ALBController]struct {
	readinessGate   string // namespace label that enables the readiness gate of new pods
	ingressClass    string // controller field of an IngressClass
	group, version  string // API of IngressClassParams
	groupAnnotation string // group of an Ingress; EKS Auto Mode reads the group from the IngressClassParams only
}{
	// https://github.com/aws/containers-roadmap/issues/2511
	EKSAutoMode: {
		"eks.amazonaws.com/pod-readiness-gate-inject", "eks.amazonaws.com/alb", "eks.amazonaws.com", "v1", groupInClass,
	},
	// https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/deploy/pod_readiness_gate/
	AWSLoadBalancerController: {
		"elbv2.k8s.aws/pod-readiness-gate-inject", "ingress.k8s.aws/alb", "elbv2.k8s.aws", "v1beta1", albGroup,
	},
}

// Validate reports an unknown controller.
func (c ALBController) Validate() field.ErrorList { return checkController("controller", string(c)) }

func checkController(name, value string) field.ErrorList {
	return check.OneOf(name, value, string(EKSAutoMode), string(AWSLoadBalancerController))
}

// ALBClassArgs describes an IngressClass for Application Load Balancers.
type ALBClassArgs struct {
	// Name of the IngressClass and its IngressClassParams. Required.
	Name string
	// Controller that creates the load balancers. Required.
	Controller ALBController
	// LoadBalancers holds scheme, group and attributes, as EKS Auto Mode needs. Nil to use the settings of each Ingress.
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

// ALBClass is an IngressClass for Application Load Balancers. EKS Auto Mode comes without one.
type ALBClass struct {
	pulumi.ResourceState

	// Ready is the dependency of Ingresses, so that they and their load balancers are deleted before the class.
	Ready pulumi.Resource
}

// NewALBClass creates the IngressClass and its parameters.
func NewALBClass(
	ctx *pulumi.Context, name string, args *ALBClassArgs, opts ...pulumi.ResourceOption,
) (*ALBClass, error) {
	args = cmp.Or(args, &ALBClassArgs{})
	c := &ALBClass{}
	b, err := component.Register(ctx, "scaleout:index", "ALBClass", name, args.Validate(), c, opts)
	if err != nil {
		return nil, err
	}
	api := albControllers[args.Controller]
	params := component.Create(b, apiextensions.NewCustomResource, "-params", &apiextensions.CustomResourceArgs{
		ApiVersion: pulumi.String(api.group + "/" + api.version), Kind: pulumi.String("IngressClassParams"),
		Metadata:    metav1.ObjectMetaArgs{Name: pulumi.String(args.Name)},
		OtherFields: kubernetes.UntypedArgs{"spec": args.spec()},
	})
	c.Ready = component.Create(b, networkingv1.NewIngressClass, "", &networkingv1.IngressClassArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(args.Name)},
		Spec: networkingv1.IngressClassSpecArgs{
			Controller: pulumi.String(api.ingressClass),
			Parameters: networkingv1.IngressClassParametersReferenceArgs{
				ApiGroup: pulumi.String(api.group), Kind: pulumi.String("IngressClassParams"), Name: pulumi.String(args.Name),
			},
		},
	}, pulumi.DependsOn([]pulumi.Resource{params}))
	return c, b.Finish(pulumi.Map{})
}

func (a *ALBClassArgs) spec() pulumi.Map {
	spec := pulumi.Map{}
	if a.LoadBalancers == nil {
		return spec
	}
	attributes := pulumi.Array{}
	for _, each := range a.LoadBalancers.attributes() {
		key, value, _ := strings.Cut(each, "=")
		attributes = append(attributes, pulumi.StringMap{"key": pulumi.String(key), "value": pulumi.String(value)})
	}
	spec["scheme"], spec["loadBalancerAttributes"] = pulumi.String(a.LoadBalancers.Scheme), attributes
	if a.LoadBalancers.Group != "" {
		spec["group"] = pulumi.StringMap{"name": pulumi.String(a.LoadBalancers.Group)}
	}
	return spec
}
