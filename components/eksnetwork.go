package components

import (
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// EKSNetwork is where the nodes of an EKS cluster are, for what they are to reach.
type EKSNetwork struct {
	// VPC is the ID of the network.
	VPC pulumi.StringOutput
	// Subnets are those that the cluster was made with: IDs.
	Subnets pulumi.StringArrayOutput
	// SecurityGroup is the one that EKS gives to the nodes of Auto Mode and of managed node groups: an ID.
	SecurityGroup pulumi.StringOutput
}

// LookupEKSNetwork asks AWS where a cluster is.
func LookupEKSNetwork(ctx *pulumi.Context, cluster *EKSCluster) EKSNetwork {
	found := eks.LookupClusterOutput(ctx, eks.LookupClusterOutputArgs{Name: cluster.Name}).VpcConfig()
	return EKSNetwork{VPC: found.VpcId(), Subnets: found.SubnetIds(), SecurityGroup: found.ClusterSecurityGroupId()}
}
