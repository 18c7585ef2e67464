package platform

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/component"
)

// RolesArgs describe the two roles of a cluster.
type RolesArgs struct {
	// Cluster begins their names. Required.
	Cluster string
	// Account they belong to. Required.
	Account Account
}

// Validate reports everything wrong with the arguments.
func (a *RolesArgs) Validate() field.ErrorList {
	return append(checkCluster("cluster", a.Cluster), a.Account.Validate()...)
}

// clusterPolicies are what EKS Auto Mode does in the account, and nodePolicies what a node does: join, and pull images.
// Pods get none of it: the metadata service of Auto Mode's nodes does not answer them.
// https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html
// https://docs.aws.amazon.com/eks/latest/userguide/auto-create-node-role.html
var (
	clusterPolicies = []string{
		"AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy",
		"AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy",
	}
	nodePolicies = []string{"AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"}
)

// Roles are what the control plane and the nodes of a cluster may do in AWS.
type Roles struct {
	pulumi.ResourceState

	// Cluster and Node are the ARNs of the roles.
	Cluster, Node pulumi.StringOutput
	// NodeName is what a NodeClass calls the role.
	NodeName pulumi.StringOutput
	// Ready is what the cluster depends on: without its permissions it cannot even remove what it made.
	Ready []pulumi.Resource
}

// NewRoles creates the roles.
func NewRoles(ctx *pulumi.Context, name string, args *RolesArgs, opts ...pulumi.ResourceOption) (*Roles, error) {
	r := &Roles{}
	if err := component.Register(ctx, module, "Roles", name, args.Validate(), r, opts); err != nil {
		return nil, err
	}
	// TagSession is for Auto Mode, which passes on whose nodes it makes.
	trust := assumableBy("eks.amazonaws.com", nil, "sts:AssumeRole", "sts:TagSession")
	cluster, err := r.role(ctx, name, "-cluster", args, trust, clusterPolicies)
	if err != nil {
		return nil, err
	}
	node, err := r.role(ctx, name, "-node", args, assumableBy("ec2.amazonaws.com", nil, "sts:AssumeRole"), nodePolicies)
	if err != nil {
		return nil, err
	}
	r.Cluster, r.Node, r.NodeName = cluster.Arn, node.Arn, node.Name
	return r, ctx.RegisterResourceOutputs(r, pulumi.Map{"cluster": r.Cluster, "node": r.Node})
}

// role is a role with some of AWS' own policies.
func (r *Roles) role(
	ctx *pulumi.Context, name, suffix string, args *RolesArgs, trust pulumi.String, policies []string,
) (*iam.Role, error) {
	name += suffix
	role, err := iam.NewRole(ctx, name, &iam.RoleArgs{
		Name: pulumi.String(args.Cluster + suffix), AssumeRolePolicy: trust,
	}, pulumi.Parent(r))
	if err != nil {
		return nil, err
	}
	r.Ready = append(r.Ready, role)
	for _, managed := range policies {
		attachment, err := iam.NewRolePolicyAttachment(ctx, name+"-"+managed, &iam.RolePolicyAttachmentArgs{
			Role: role.Name, PolicyArn: pulumi.String(args.Account.arn("iam", "", "aws", "policy/"+managed)),
		}, pulumi.Parent(r))
		if err != nil {
			return nil, err
		}
		r.Ready = append(r.Ready, attachment)
	}
	return role, nil
}
