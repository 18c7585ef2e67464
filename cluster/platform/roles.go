package platform

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/component"
)

// RolesArgs describe the two IAM roles of a cluster.
type RolesArgs struct {
	// Cluster is the prefix of their names. Required.
	Cluster string
	// Account is the account of the roles. Required.
	Account Account
}

// Validate reports everything wrong with the arguments.
func (a *RolesArgs) Validate() field.ErrorList {
	return append(checkCluster("cluster", a.Cluster), a.Account.Validate()...)
}

// clusterPolicies are the permissions of EKS Auto Mode in the account, nodePolicies those of a node: join the cluster
// and pull images. Pods have none of them: the metadata service of Auto Mode nodes does not answer pods.
// https://docs.aws.amazon.com/eks/latest/userguide/auto-cluster-iam-role.html
// https://docs.aws.amazon.com/eks/latest/userguide/auto-create-node-role.html
var (
	clusterPolicies = []string{
		"AmazonEKSClusterPolicy", "AmazonEKSComputePolicy", "AmazonEKSBlockStoragePolicy",
		"AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy",
	}
	nodePolicies = []string{"AmazonEKSWorkerNodeMinimalPolicy", "AmazonEC2ContainerRegistryPullOnly"}
)

// Roles are the IAM roles of a cluster's control plane and nodes.
type Roles struct {
	pulumi.ResourceState

	// Cluster and Node are the ARNs of the roles.
	Cluster, Node pulumi.StringOutput
	// NodeName is the name of the node role, as used in a NodeClass.
	NodeName pulumi.StringOutput
	// Ready contains the roles and their policies. Without them the cluster cannot even delete the resources that it
	// created.
	Ready []pulumi.Resource
}

// NewRoles creates the roles.
func NewRoles(ctx *pulumi.Context, name string, args *RolesArgs, opts ...pulumi.ResourceOption) (*Roles, error) {
	r := &Roles{}
	if err := component.Register(ctx, module, "Roles", name, args.Validate(), r, opts); err != nil {
		return nil, err
	}
	// Auto Mode requires TagSession: it tags its sessions with the cluster.
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

// role creates a role with AWS managed policies.
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
