package kube

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// ALB are the settings of an AWS Application Load Balancer. The AWS Load Balancer Controller and EKS Auto Mode read
// them as annotations: https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/
type ALB struct {
	// Controller that makes it. Required.
	Controller ALBController
	// Scheme is internet-facing or internal. Required.
	Scheme string
	// CertificateARN of AWS Certificate Manager. With it HTTPS is served and HTTP redirected there; nil for HTTP only.
	CertificateARN pulumi.StringInput
	// TLSPolicy says which versions of TLS and which ciphers clients may use. Required with a certificate.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/describe-ssl-policies.html
	TLSPolicy string
	// Group has Ingresses share a load balancer. Empty for one of its own.
	Group string
	// AccessLogsBucket is the S3 bucket that gets a line for each request; AWS' log delivery must be allowed to write there.
	// Empty for none. https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
	AccessLogsBucket string
	// AccessLogsPrefix is the folder in that bucket. Empty for none.
	AccessLogsPrefix string
	// WebACLARN is the web ACL of AWS WAF that requests have to pass. Empty for none.
	WebACLARN string
}

var (
	certificateForm = regexp.MustCompile(`^arn:aws[a-z-]*:acm:[a-z0-9-]+:\d{12}:certificate/[a-z0-9-]+$`)
	tlsPolicyForm   = regexp.MustCompile(`^ELBSecurityPolicy-[A-Za-z0-9-]{1,100}$`)
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
	bucketForm = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	prefixForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9!_.*'()/-]{0,200}$`)
	// Only regional ones: those of CloudFront are another kind.
	webACLForm = regexp.MustCompile(`^arn:aws[a-z-]*:wafv2:[a-z0-9-]+:\d{12}:regional/webacl/[A-Za-z0-9_-]+/[a-z0-9-]+$`)
)

// Validate reports everything wrong with the settings.
func (a *ALB) Validate() field.ErrorList {
	problems := a.Controller.Validate()
	problems = append(problems, check.OneOf("scheme", a.Scheme, "internet-facing", "internal")...)
	if arn, known := a.CertificateARN.(pulumi.String); known && !certificateForm.MatchString(string(arn)) {
		problems = append(problems, check.Invalid("certificateArn", string(arn),
			"must be arn:aws:acm:<region>:<account>:certificate/<id>, or empty")...)
	}
	if a.CertificateARN != nil && !tlsPolicyForm.MatchString(a.TLSPolicy) {
		problems = append(problems, check.Invalid("tlsPolicy", a.TLSPolicy,
			"must be a security policy of Elastic Load Balancing, such as ELBSecurityPolicy-TLS13-1-2-2021-06")...)
	}
	if a.Group != "" { // https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/#group.name
		problems = append(problems, check.Label("group", a.Group)...)
	}
	if a.AccessLogsBucket != "" && !bucketForm.MatchString(a.AccessLogsBucket) {
		problems = append(problems, check.Invalid("accessLogsBucket", a.AccessLogsBucket,
			"must be the name of an S3 bucket, without s3://, or empty")...)
	}
	if a.AccessLogsPrefix != "" && (a.AccessLogsBucket == "" || !prefixForm.MatchString(a.AccessLogsPrefix) ||
		strings.HasSuffix(a.AccessLogsPrefix, "/")) {
		problems = append(problems, check.Invalid("accessLogsPrefix", a.AccessLogsPrefix,
			"must be a folder in accessLogsBucket, without / at either end, or empty")...)
	}
	if a.WebACLARN != "" && !webACLForm.MatchString(a.WebACLARN) {
		problems = append(problems, check.Invalid("webAclArn", a.WebACLARN,
			"must be arn:aws:wafv2:<region>:<account>:regional/webacl/<name>/<id>, or empty")...)
	}
	return problems
}

// albIdleTimeout, in seconds, is AWS' default, written down because the app must keep idle connections for longer: it would
// otherwise close one on which the load balancer has just sent a request, and that is answered with a 502.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html#http-502-issues
const albIdleTimeout = 60

const (
	// albAnnotation begins the annotations that both controllers read.
	albAnnotation = "alb.ingress.kubernetes.io/"
	// groupAnnotation is read by nobody. It shows a change of the group at the Ingress, where the group is in the class.
	groupAnnotation = "alb-group"
)

// attribute is one of the load balancer as a whole:
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#load-balancer-attributes
type attribute struct{ key, value string }

func (a *ALB) attributes() []attribute {
	attributes := []attribute{
		{"idle_timeout.timeout_seconds", strconv.Itoa(albIdleTimeout)},
		// Invalid header names enable request smuggling (Security Hub's rule ELB.4).
		{"routing.http.drop_invalid_header_fields.enabled", "true"},
	}
	if a.AccessLogsBucket != "" {
		attributes = append(attributes,
			attribute{"access_logs.s3.enabled", "true"}, attribute{"access_logs.s3.bucket", a.AccessLogsBucket})
	}
	if a.AccessLogsPrefix != "" {
		attributes = append(attributes, attribute{"access_logs.s3.prefix", a.AccessLogsPrefix})
	}
	return attributes
}

// annotations are the settings of the load balancer and of the way from it to the pods.
func (a *ALB) annotations(healthPath string, drain Drain) pulumi.StringMap {
	var attributes []string
	for _, each := range a.attributes() {
		attributes = append(attributes, each.key+"="+each.value)
	}
	values := pulumi.StringMap{
		"scheme":       pulumi.String(a.Scheme),
		"listen-ports": pulumi.String(`[{"HTTP":80}]`),
		// Straight to the pod: through a node port, a pod that leaves is one hop out of the load balancer's sight.
		"target-type":      pulumi.String("ip"),
		"healthcheck-path": pulumi.String(healthPath),
		// Twice 5 s to find a new pod healthy instead of AWS's default of five times 15 s, which delays scaling out.
		"healthcheck-interval-seconds": pulumi.String("5"),
		"healthcheck-timeout-seconds":  pulumi.String("2"),
		"healthy-threshold-count":      pulumi.String("2"),
		// New pods get requests at once, where round robin would first let connections pile up on the old ones.
		"target-group-attributes": pulumi.String(fmt.Sprintf(
			"deregistration_delay.timeout_seconds=%d,load_balancing.algorithm.type=least_outstanding_requests",
			drain.Deregistration())),
		"load-balancer-attributes": pulumi.String(strings.Join(attributes, ",")),
	}
	if a.CertificateARN != nil {
		values["listen-ports"] = pulumi.String(`[{"HTTP":80},{"HTTPS":443}]`)
		values["certificate-arn"] = a.CertificateARN
		values["ssl-redirect"] = pulumi.String("443")
		values["ssl-policy"] = pulumi.String(a.TLSPolicy)
	}
	annotations := pulumi.StringMap{}
	switch {
	case a.Group == "":
	case a.Controller.GroupInClass():
		annotations[groupAnnotation] = pulumi.String(a.Group)
	default:
		values["group.name"] = pulumi.String(a.Group)
	}
	if a.WebACLARN != "" {
		values["wafv2-acl-arn"] = pulumi.String(a.WebACLARN)
	}
	for key, value := range values {
		annotations[albAnnotation+key] = value
	}
	return annotations
}
