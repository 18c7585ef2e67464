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

// part creates a component of the stack. build creates its resources and returns the last of them.
func part(
	stack *component.Builder, kind, name string, problems field.ErrorList, opts []pulumi.ResourceOption,
	build func(b *component.Builder) pulumi.Resource,
) *Part {
	return component.Create(stack, func(
		ctx *pulumi.Context, name string, problems field.ErrorList, opts ...pulumi.ResourceOption,
	) (*Part, error) {
		p := &Part{}
		b, err := component.Register(ctx, module, kind, name, problems, p, opts)
		if err != nil {
			return nil, err
		}
		p.Ready = build(b)
		return p, b.Finish(pulumi.Map{})
	}, name, problems, opts...)
}

// tags returns the tag Name, which the AWS console and bill show.
func tags(name string) pulumi.StringMap { return pulumi.StringMap{"Name": pulumi.String(name)} }

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
	document := map[string]any{"Version": "2012-10-17", "Statement": statements}
	text, _ := json.Marshal(document) // cannot fail for structs of strings
	return pulumi.String(text)
}

// assumableBy returns the trust policy of a role that an AWS service assumes, as AWS documents it for the service.
func assumableBy(service string, condition map[string]map[string]string, actions ...string) pulumi.String {
	return policy(statement{
		Sid: "Service", Principal: map[string]string{"Service": service}, Action: actions, Condition: condition,
	})
}

// checkEach requires that each element of a list is right, and that none is repeated.
func checkEach(name string, list []string, right func(string) bool, want string) (problems field.ErrorList) {
	for i, element := range list {
		ok := right(element) && !slices.Contains(list[:i], element)
		problems = append(problems, check.That(ok, name, element, want)...)
	}
	return problems
}

// Cluster identifies a cluster. With account and region, policies can contain ARNs of resources that do not exist yet.
type Cluster struct {
	// Name is the prefix of the names of all resources. Required.
	Name string
	// Account has twelve digits. Required.
	Account string
	// Region, e.g. eu-central-1. Required.
	Region string
	// Protect makes Pulumi refuse to delete or replace the VPC, its subnets, the cluster, its key and its logs.
	Protect bool
}

var (
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html; 40, since it is the prefix of role names
	nameForm    = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,39}$`)
	accountForm = regexp.MustCompile(`^[0-9]{12}$`)
	// otherPartitionForm matches regions of unsupported partitions, which have other ARNs, other service names, or no EKS
	// Auto Mode: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html
	otherPartitionForm = regexp.MustCompile(`^(cn-|eusc-|us-iso|eu-iso)`)
)

// Validate reports everything wrong with it.
func (c Cluster) Validate() field.ErrorList {
	return slices.Concat(
		check.Match("name", c.Name, nameForm, "must be up to 40 letters, digits and -, beginning with a letter or digit"),
		check.Match("account", c.Account, accountForm, "must be the twelve digits of an AWS account"),
		check.Region("region", c.Region),
		check.That(!otherPartitionForm.MatchString(c.Region), "region", c.Region,
			"must be a region of the partition aws or aws-us-gov"),
	)
}

// arn returns the ARN that continues with rest after the partition of the region.
func (c Cluster) arn(rest string) string {
	if strings.HasPrefix(c.Region, "us-gov-") {
		return "arn:aws-us-gov:" + rest
	}
	return "arn:aws:" + rest
}
