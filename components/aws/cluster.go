package aws

import (
	"errors"
	"fmt"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/version"
)

// Cluster is what AWS reports of an EKS cluster.
type Cluster struct {
	// Endpoint (a URL), CertificateAuthority (base64) and ARN are what a provider for the cluster takes.
	Endpoint, CertificateAuthority, ARN pulumi.StringOutput
	// VPC is the ID of its network, Subnets are the IDs of those that it was made with.
	VPC     pulumi.StringOutput
	Subnets pulumi.StringArrayOutput
	// SecurityGroup is the one that EKS gives to the nodes of Auto Mode and of managed node groups: an ID.
	SecurityGroup pulumi.StringOutput
}

// LookupCluster asks AWS about a cluster. One that is older than Kubernetes 1.30 is an error: see oldest.
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

// oldest is the first version with the kubelet's own sleep before a pod stops. An older API server drops it from a pod
// without an error, and rollouts lose requests:
// https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/#hook-handler-implementations
var oldest = version.MajorMinor(1, 30)

// checkVersion passes the endpoint on, which everything in the cluster waits for.
func checkVersion(all []any) (string, error) {
	endpoint, found := all[0].(string), all[1].(string)
	parsed, err := version.ParseGeneric(found)
	if err != nil {
		return "", fmt.Errorf("AWS reports that the EKS cluster has Kubernetes %q, which is no version: %w", found, err)
	}
	if parsed.LessThan(oldest) {
		return "", fmt.Errorf("the EKS cluster has Kubernetes %s; %s or later is needed, since rollouts would lose "+
			"requests: upgrade it first", found, oldest)
	}
	return endpoint, nil
}

// firstAuthority is the only one that there is, once the cluster has been created.
func firstAuthority(authorities []eks.GetClusterCertificateAuthority) (string, error) {
	if len(authorities) == 0 || authorities[0].Data == "" {
		return "", errors.New("the EKS cluster has no certificate authority yet: wait until it is ACTIVE")
	}
	return authorities[0].Data, nil
}
