package platform

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/iam"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

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
	// Ready contains the roles and their policies, without which the cluster cannot even delete what it created.
	Ready []pulumi.Resource
}

// NewRoles creates the roles.
func NewRoles(ctx *pulumi.Context, name string, cluster Cluster, opts ...pulumi.ResourceOption) (*Roles, error) {
	r := &Roles{}
	b, err := component.Register(ctx, module, "Roles", name, cluster.Validate(), r, opts)
	if err != nil {
		return nil, err
	}
	// role creates a role with AWS managed policies.
	role := func(suffix string, trust pulumi.String, policies []string) *iam.Role {
		role := component.Create(b, iam.NewRole, suffix, &iam.RoleArgs{
			Name: pulumi.String(cluster.Name + suffix), AssumeRolePolicy: trust,
		})
		r.Ready = append(r.Ready, role)
		for _, managed := range policies {
			args := &iam.RolePolicyAttachmentArgs{
				Role: role.Name, PolicyArn: pulumi.String(cluster.arn("iam::aws:policy/" + managed)),
			}
			r.Ready = append(r.Ready, component.Create(b, iam.NewRolePolicyAttachment, suffix+"-"+managed, args))
		}
		return role
	}
	// Auto Mode requires TagSession: it tags its sessions with the cluster.
	trust := assumableBy("eks.amazonaws.com", nil, "sts:AssumeRole", "sts:TagSession")
	r.Cluster = role("-cluster", trust, clusterPolicies).Arn
	node := role("-node", assumableBy("ec2.amazonaws.com", nil, "sts:AssumeRole"), nodePolicies)
	r.Node, r.NodeName = node.Arn, node.Name
	return r, b.Finish(pulumi.Map{"cluster": r.Cluster, "node": r.Node})
}
