// Package platform holds the components of a cluster: its network, its control plane, who may do what, and what an app
// finds in it. Like the components of the app they know neither configuration keys nor environments.
package platform

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// module begins the type tokens of this package's components.
const module = "scaleout:cluster"

// Part is a component of which others need no more than that it is there.
type Part struct {
	pulumi.ResourceState

	// Ready is what depends on it: the last of its resources.
	Ready pulumi.Resource
}

// part registers a component whose resources build creates. The last of them is what it returns.
func part(
	ctx *pulumi.Context, kind, name string, problems field.ErrorList, opts []pulumi.ResourceOption,
	build func(child pulumi.ResourceOption) (pulumi.Resource, error),
) (*Part, error) {
	p := &Part{}
	err := component.Register(ctx, module, kind, name, problems, p, opts)
	if err != nil {
		return nil, err
	}
	if p.Ready, err = build(pulumi.Parent(p)); err != nil {
		return nil, err
	}
	return p, ctx.RegisterResourceOutputs(p, pulumi.Map{})
}

// tags are the name by which AWS' console and bill show a resource, and what else it has.
func tags(name string, others map[string]string) pulumi.StringMap {
	all := pulumi.StringMap{"Name": pulumi.String(name)}
	for key, value := range others {
		all[key] = pulumi.String(value)
	}
	return all
}

// statement is one of an IAM policy.
type statement struct {
	Sid       string
	Effect    string
	Principal map[string]string `json:",omitempty"`
	Action    []string
	Resource  []string                     `json:",omitempty"`
	Condition map[string]map[string]string `json:",omitempty"`
}

// policy is the JSON of statements that allow something, known before anything exists, so that a preview shows it.
func policy(statements ...statement) pulumi.String {
	for i := range statements {
		statements[i].Effect = "Allow"
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err) // a struct of strings can always be written
	}
	return pulumi.String(text)
}

// assumableBy is the trust policy of a role that an AWS service uses, as AWS documents it for that service.
func assumableBy(service string, condition map[string]map[string]string, actions ...string) pulumi.String {
	return policy(statement{
		Sid: "Service", Principal: map[string]string{"Service": service}, Action: actions, Condition: condition,
	})
}

// Account says where in AWS something is, before it exists, so that policies can name what they allow.
type Account struct {
	// ID has twelve digits. Required.
	ID string
	// Region, e.g. eu-central-1. Required.
	Region string
}

var accountForm = regexp.MustCompile(`^[0-9]{12}$`)

// otherPartitionForm is that of the regions of parts of AWS that have other ARNs, other names for services, or no EKS
// Auto Mode: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
var otherPartitionForm = regexp.MustCompile(`^(cn-|eusc-|us-iso|eu-iso)`)

// Validate reports everything wrong with the account.
func (a Account) Validate() field.ErrorList {
	return slices.Concat(
		check.Region("region", a.Region),
		check.That(!otherPartitionForm.MatchString(a.Region), "region", a.Region,
			"must be a region of the partition aws or aws-us-gov"),
		check.That(accountForm.MatchString(a.ID), "account", a.ID, "must be the twelve digits of an AWS account"),
	)
}

// partition is the part of AWS that the region is in, by the beginning of its ARNs.
func (a Account) partition() string {
	if strings.HasPrefix(a.Region, "us-gov-") {
		return "aws-us-gov"
	}
	return "aws"
}

// arn names a resource of a service; region and account are empty, or aws, for what is in none.
func (a Account) arn(service, region, account, resource string) string {
	return strings.Join([]string{"arn", a.partition(), service, region, account, resource}, ":")
}
