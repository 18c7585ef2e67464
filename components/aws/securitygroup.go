package aws

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// newSecurityGroup lets clients, by the IDs of their own groups, reach a port; what has the group can reach nobody,
// since the provider takes away the rule with which AWS allows all egress.
// https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/security_group
func newSecurityGroup(
	ctx *pulumi.Context, name, description string, vpc pulumi.StringInput, clients pulumi.StringArrayInput, port int,
	opts ...pulumi.ResourceOption,
) (*ec2.SecurityGroup, error) {
	group, err := ec2.NewSecurityGroup(ctx, name, &ec2.SecurityGroupArgs{
		Description: pulumi.String(description),
		VpcId:       vpc.ToStringOutput().ToStringPtrOutput(),
		Tags:        pulumi.StringMap{"Name": pulumi.String(name)},
		Ingress: ec2.SecurityGroupIngressArray{ec2.SecurityGroupIngressArgs{
			Protocol: pulumi.String("tcp"), FromPort: pulumi.Int(port), ToPort: pulumi.Int(port), SecurityGroups: clients,
		}},
	}, opts...)
	if err != nil {
		return nil, creating("security group", name, err)
	}
	return group, nil
}
