package aws

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/acm"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// CertificateArgs describe a certificate of AWS Certificate Manager.
type CertificateArgs struct {
	// Domain is the name that it is for, e.g. app.example.com, or *.example.com for all names directly below. Up to 64
	// characters, the limit of a certificate's common name. Required.
	// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html
	Domain string
	// ZoneID is the public hosted zone of Route 53 in which Domain, or a name above it, is. AWS looks there whether the
	// name is ours. Required.
	ZoneID pulumi.StringInput
}

// zoneForm: https://docs.aws.amazon.com/Route53/latest/APIReference/API_HostedZone.html
var zoneForm = regexp.MustCompile(`^Z[0-9A-Z]{4,31}$`)

const maxCommonName = 64

// checkZone wants the ID of a hosted zone, as far as it is known.
func checkZone(name string, zone pulumi.StringInput) field.ErrorList {
	if text, known := zone.(pulumi.String); zone == nil || known && !zoneForm.MatchString(string(text)) {
		return check.Invalid(name, string(text), "must be the ID of a hosted zone of Route 53, such as Z0123456789ABCDEFGHIJ")
	}
	return nil
}

// Validate reports everything wrong with the arguments.
func (a *CertificateArgs) Validate() field.ErrorList {
	problems := checkZone("zoneId", a.ZoneID)
	name := strings.TrimPrefix(a.Domain, "*.")
	if !check.IsDNSName(name) || !strings.Contains(name, ".") || len(a.Domain) > maxCommonName {
		problems = append(problems, check.Invalid("domain", a.Domain, fmt.Sprintf(
			"must be a DNS name of up to %d characters, such as app.example.com, or *.example.com", maxCommonName))...)
	}
	return problems
}

// Certificate is issued by AWS, which renews it as long as the record that proves the ownership stays.
type Certificate struct {
	pulumi.ResourceState

	// ARN is known once the certificate is issued, so that what uses it waits for that.
	ARN pulumi.StringOutput
}

// NewCertificate requests the certificate, proves the ownership of its name and waits until it is issued.
func NewCertificate(
	ctx *pulumi.Context, name string, args *CertificateArgs, opts ...pulumi.ResourceOption,
) (*Certificate, error) {
	c := &Certificate{}
	if err := register(ctx, "Certificate", name, args.Validate(), c, opts); err != nil {
		return nil, err
	}
	certificate, err := acm.NewCertificate(ctx, name, &acm.CertificateArgs{
		DomainName: pulumi.String(args.Domain), ValidationMethod: pulumi.String("DNS"),
	}, pulumi.Parent(c))
	if err != nil {
		return nil, creating("certificate", name, err)
	}
	// One name, so one record to prove it by.
	proof := certificate.DomainValidationOptions.Index(pulumi.Int(0))
	record, err := route53.NewRecord(ctx, name+"-validation", &route53.RecordArgs{
		ZoneId: args.ZoneID, Name: proof.ResourceRecordName().Elem(),
		Type: proof.ResourceRecordType().Elem(), Records: pulumi.StringArray{proof.ResourceRecordValue().Elem()},
		Ttl: pulumi.Int(300),
		// The record is the same for all certificates of a name in an account, a wildcard's included. So what is overwritten
		// says the same, and it stays when this certificate goes: AWS could not renew the others without it.
		AllowOverwrite: pulumi.Bool(true),
	}, pulumi.Parent(c), pulumi.RetainOnDelete(true))
	if err != nil {
		return nil, creating("DNS record", name+"-validation", err)
	}
	issued, err := acm.NewCertificateValidation(ctx, name, &acm.CertificateValidationArgs{
		CertificateArn: certificate.Arn, ValidationRecordFqdns: pulumi.StringArray{record.Fqdn},
	}, pulumi.Parent(c), pulumi.Timeouts(&pulumi.CustomTimeouts{Create: "30m"}))
	if err != nil {
		return nil, creating("certificate validation", name, err)
	}
	c.ARN = issued.CertificateArn
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{"arn": c.ARN})
}
