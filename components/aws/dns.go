package aws

import (
	"cmp"
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/acm"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// CertificateArgs describes a certificate of AWS Certificate Manager.
type CertificateArgs struct {
	// Domain is the name of the certificate, e.g. app.example.com, or *.example.com for all names directly below. Up to
	// 64 characters, the limit of a certificate's common name. Required.
	// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
	Domain string
	// ZoneID is the public Route 53 hosted zone of Domain, in which the validation record is created. Required.
	ZoneID pulumi.StringInput
}

// zoneForm: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZone.html
var zoneForm = regexp.MustCompile(`^Z[0-9A-Z]{4,31}$`)

// checkZone accepts the ID of a hosted zone, and a value that is not known yet.
func checkZone(zone pulumi.StringInput) field.ErrorList {
	text, known := zone.(pulumi.String)
	if zone != nil && !known {
		return nil
	}
	return check.Match("zoneId", string(text), zoneForm,
		"must be the ID of a hosted zone of Route 53, such as Z0123456789ABCDEFGHIJ")
}

// Validate reports everything wrong with the arguments.
func (a *CertificateArgs) Validate() field.ErrorList {
	name := strings.TrimPrefix(a.Domain, "*.")
	right := check.IsDNSName(name) && strings.Contains(name, ".") && len(a.Domain) <= 64
	return append(checkZone(a.ZoneID), check.That(right, "domain", a.Domain,
		"must be a DNS name of up to 64 characters, such as app.example.com, or *.example.com")...)
}

// Certificate is issued by AWS, which renews it while the validation record exists.
type Certificate struct {
	pulumi.ResourceState

	// ARN is known once the certificate is issued, so that its dependents wait for that.
	ARN pulumi.StringOutput
}

// NewCertificate requests the certificate, creates the validation record and waits until the certificate is issued.
func NewCertificate(
	ctx *pulumi.Context, name string, args *CertificateArgs, opts ...pulumi.ResourceOption,
) (*Certificate, error) {
	args = cmp.Or(args, &CertificateArgs{})
	c := &Certificate{}
	b, err := component.Register(ctx, "scaleout:index", "Certificate", name, args.Validate(), c, opts)
	if err != nil {
		return nil, err
	}
	certificate := component.Create(b, acm.NewCertificate, "", &acm.CertificateArgs{
		DomainName: pulumi.String(args.Domain), ValidationMethod: pulumi.String("DNS"),
	})
	if err := b.Err(); err != nil {
		return nil, err
	}
	// One name needs one validation record.
	proof := certificate.DomainValidationOptions.Index(pulumi.Int(0))
	proven := component.Create(b, newRecord, "-validation", pulumi.Map{
		"zoneId": args.ZoneID, "name": proof.ResourceRecordName().Elem(),
		"type": proof.ResourceRecordType().Elem(), "records": pulumi.StringArray{proof.ResourceRecordValue().Elem()},
		"ttl": pulumi.Int(300),
		// All certificates of a name in an account, wildcards included, share one validation record. Overwriting it changes
		// nothing, and it is retained when this certificate is deleted, because AWS needs it to renew the others.
		"allowOverwrite": pulumi.Bool(true),
	}, pulumi.RetainOnDelete(true))
	c.ARN = component.Create(b, acm.NewCertificateValidation, "", &acm.CertificateValidationArgs{
		CertificateArn: certificate.Arn, ValidationRecordFqdns: pulumi.StringArray{proven.FQDN},
	}, pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "30m"})).CertificateArn
	return c, b.Finish(pulumi.Map{"arn": c.ARN})
}

// record is the resource aws.route53.Record. Compiling the SDK's packages route53 and lb for it and for one function
// takes a twentieth of the CPU time of a first `make preview` (docs/development.md).
type record struct {
	pulumi.CustomResourceState
	FQDN pulumi.StringOutput `pulumi:"fqdn"`
}

func newRecord(ctx *pulumi.Context, name string, inputs pulumi.Map, opts ...pulumi.ResourceOption) (*record, error) {
	r := &record{}
	return r, ctx.RegisterResource("aws:route53/record:Record", name, inputs, r, opts...)
}

// LoadBalancerRecordArgs describes the DNS name of an AWS load balancer.
type LoadBalancerRecordArgs struct {
	// Host is the name, in the hosted zone ZoneID. Required.
	Host   string
	ZoneID pulumi.StringInput
	// Target is the load balancer's own DNS name. Required.
	Target pulumi.StringInput
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *LoadBalancerRecordArgs) Validate() field.ErrorList {
	return append(checkZone(a.ZoneID), check.That(check.IsDNSName(a.Host), "host", a.Host,
		"must be a DNS name such as app.example.com")...)
}

// LoadBalancerRecord is an alias record for an AWS load balancer. Unlike a CNAME it may be at the apex of the zone.
type LoadBalancerRecord struct{ pulumi.ResourceState }

// NewLoadBalancerRecord creates the record. The load balancer must be in the region of the provider.
func NewLoadBalancerRecord(
	ctx *pulumi.Context, name string, args *LoadBalancerRecordArgs, opts ...pulumi.ResourceOption,
) (*LoadBalancerRecord, error) {
	args = cmp.Or(args, &LoadBalancerRecordArgs{})
	a := &LoadBalancerRecord{}
	// The earlier type, in existing stacks, whose record would be replaced without the alias.
	alias := pulumi.Aliases([]pulumi.Alias{{Type: pulumi.String("scaleout:index:Alias")}})
	opts = append([]pulumi.ResourceOption{alias}, opts...)
	problems := append(args.Validate(), check.Set("target", args.Target != nil)...)
	b, err := component.Register(ctx, "scaleout:index", "LoadBalancerRecord", name, problems, a, opts)
	if err != nil {
		return nil, err
	}
	application := map[string]string{"loadBalancerType": "application"}
	zone := ctx.InvokeOutput("aws:lb/getHostedZoneId:getHostedZoneId", application, pulumi.StringMapOutput{},
		pulumi.InvokeOutputOptions{InvokeOptions: []pulumi.InvokeOption{pulumi.Parent(a)}})
	component.Create(b, newRecord, "", pulumi.Map{
		"zoneId": args.ZoneID, "name": pulumi.String(args.Host), "type": pulumi.String("A"),
		"aliases": pulumi.Array{pulumi.Map{
			"name":   args.Target.ToStringOutput().ApplyT(checkLoadBalancer).(pulumi.StringOutput),
			"zoneId": zone.(pulumi.StringMapOutput).MapIndex(pulumi.String("id")),
			// An unhealthy app should answer with its own 503, not with NXDOMAIN, which resolvers cache.
			"evaluateTargetHealth": pulumi.Bool(false),
		}},
	})
	return a, b.Finish(pulumi.Map{})
}

// checkLoadBalancer rejects hosts other than AWS load balancers, for which Route 53 has no alias.
func checkLoadBalancer(host string) (string, error) {
	if name := strings.TrimSuffix(host, ".cn"); !strings.HasSuffix(name, ".elb.amazonaws.com") {
		return "", fmt.Errorf("the Ingress published %q, which is not an AWS load balancer: Route 53 cannot create an "+
			"alias record for it", host)
	}
	return host, nil
}
