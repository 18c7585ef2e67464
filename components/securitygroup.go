package components

import "github.com/pulumi/pulumi/sdk/v3/go/pulumi"

// awsVersion is that of the AWS provider in go.mod, which a test compares: resources of another version would have another
// provider, with a plugin of its own.
const awsVersion = "6.83.4"

// securityGroup is a firewall of AWS. It is registered by its type rather than through the SDK's package ec2, the only one
// that has it: compiling that adds a fifth to the first build of the program, and linking it a tenth to each
// (docs/architecture.md#compile-time).
type securityGroup struct {
	pulumi.CustomResourceState
}

// newSecurityGroup lets clients, by the IDs of their own groups, reach a port; what has the group can reach nobody.
func newSecurityGroup(
	ctx *pulumi.Context, name, description string, vpc pulumi.StringInput, clients pulumi.StringArrayInput, port int,
	opts ...pulumi.ResourceOption,
) (*securityGroup, error) {
	g := &securityGroup{}
	err := ctx.RegisterResource("aws:ec2/securityGroup:SecurityGroup", name, pulumi.Map{
		"description": pulumi.String(description),
		"vpcId":       vpc,
		"tags":        pulumi.StringMap{"Name": pulumi.String(name)},
		"ingress": pulumi.Array{pulumi.Map{
			"protocol": pulumi.String("tcp"), "fromPort": pulumi.Int(port), "toPort": pulumi.Int(port),
			"securityGroups": clients,
		}},
	}, g, append(opts, pulumi.Version(awsVersion))...)
	if err != nil {
		return nil, creating("security group", name, err)
	}
	return g, nil
}
