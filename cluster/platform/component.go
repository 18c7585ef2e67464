// Package platform contains the components of a cluster: network, control plane, IAM roles, nodes and the resources
// that apps use. Like the components of the app they do not depend on configuration keys or environments.
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

// module is the prefix of the type tokens of this package's components.
const module = "scaleout:cluster"

// Part is a component on which others depend without using its outputs.
type Part struct {
	pulumi.ResourceState

	// Ready is the last of its resources, for DependsOn.
	Ready pulumi.Resource
}

// part registers a component. build creates its resources and returns the last of them.
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

// tags returns the tags of a resource: Name, which the AWS console and bill show, and others.
func tags(name string, others map[string]string) pulumi.StringMap {
	all := pulumi.StringMap{"Name": pulumi.String(name)}
	for key, value := range others {
		all[key] = pulumi.String(value)
	}
	return all
}

// statement is a statement of an IAM policy.
type statement struct {
	Sid       string
	Effect    string
	Principal map[string]string `json:",omitempty"`
	Action    []string
	Resource  []string                     `json:",omitempty"`
	Condition map[string]map[string]string `json:",omitempty"`
}

// policy returns the JSON of statements with the effect Allow. It is a plain string, so that a preview shows it.
func policy(statements ...statement) pulumi.String {
	for i := range statements {
		statements[i].Effect = "Allow"
	}
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		panic(err) // cannot fail for a struct of strings
	}
	return pulumi.String(text)
}

// assumableBy returns the trust policy of a role that an AWS service assumes, as AWS documents it for the service.
func assumableBy(service string, condition map[string]map[string]string, actions ...string) pulumi.String {
	return policy(statement{
		Sid: "Service", Principal: map[string]string{"Service": service}, Action: actions, Condition: condition,
	})
}

// Account is an AWS account and region. With both, policies can contain ARNs of resources that do not exist yet.
type Account struct {
	// ID has twelve digits. Required.
	ID string
	// Region, e.g. eu-central-1. Required.
	Region string
}

var accountForm = regexp.MustCompile(`^[0-9]{12}$`)

// otherPartitionForm matches regions of unsupported partitions, which have other ARNs, other service names, or no EKS
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

// partition returns the partition of the region, as in ARNs.
func (a Account) partition() string {
	if strings.HasPrefix(a.Region, "us-gov-") {
		return "aws-us-gov"
	}
	return "aws"
}

// arn returns the ARN of a resource. For resources outside a region or account, that part is empty, or aws.
func (a Account) arn(service, region, account, resource string) string {
	return strings.Join([]string{"arn", a.partition(), service, region, account, resource}, ":")
}
