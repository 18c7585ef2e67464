// Package aws provides the AWS resources that a web app on Amazon EKS needs besides the cluster.
//
// All resources and all look-ups use the provider of the options: for another account or region, pass another
// provider with pulumi.Provider to components and look-ups alike.
package aws

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/version"
)

// Cluster describes an existing EKS cluster.
type Cluster struct {
	// Endpoint (a URL), CertificateAuthority (base64) and ARN configure a provider for the cluster.
	Endpoint, CertificateAuthority, ARN pulumi.StringOutput
	// VPC is the ID of its network. Subnets are the IDs of the subnets that the cluster was created with.
	VPC     pulumi.StringOutput
	Subnets pulumi.StringArrayOutput
	// SecurityGroup is the ID of the cluster security group, which nodes of Auto Mode and of managed node groups have.
	SecurityGroup pulumi.StringOutput
}

// LookupCluster looks up a cluster. A version before Kubernetes 1.30 is an error: see oldest.
func LookupCluster(ctx *pulumi.Context, name pulumi.StringInput, opts ...pulumi.InvokeOption) Cluster {
	found := eks.LookupClusterOutput(ctx, eks.LookupClusterOutputArgs{Name: name}, opts...)
	network := found.VpcConfig()
	return Cluster{
		Endpoint:             pulumi.All(found.Endpoint(), found.Version()).ApplyT(checkVersion).(pulumi.StringOutput),
		CertificateAuthority: found.CertificateAuthorities().ApplyT(firstAuthority).(pulumi.StringOutput),
		ARN:                  found.Arn(),
		VPC:                  network.VpcId(),
		Subnets:              network.SubnetIds(),
		SecurityGroup:        network.ClusterSecurityGroupId(),
	}
}

// oldest is the first version with the kubelet's sleep action for preStop hooks. An older API server drops it from a
// pod without an error, and rollouts lose requests:
// https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-implementations
var oldest = version.MajorMinor(1, 30)

// checkVersion returns the endpoint if the version is supported. All resources in the cluster depend on the endpoint.
func checkVersion(all []any) (string, error) {
	endpoint, found := all[0].(string), all[1].(string)
	parsed, err := version.ParseGeneric(found)
	if err != nil {
		return "", fmt.Errorf("AWS reports the invalid Kubernetes version %q for the EKS cluster: %w", found, err)
	}
	if parsed.LessThan(oldest) {
		return "", fmt.Errorf("the EKS cluster has Kubernetes %s; %s or later is required, because rollouts would lose "+
			"requests: upgrade the cluster first", found, oldest)
	}
	return endpoint, nil
}

// firstAuthority returns the certificate authority of a cluster, of which there is only one.
func firstAuthority(authorities []eks.GetClusterCertificateAuthority) (string, error) {
	if len(authorities) == 0 || authorities[0].Data == "" {
		return "", errors.New("the EKS cluster has no certificate authority yet: wait until it is ACTIVE")
	}
	return authorities[0].Data, nil
}
