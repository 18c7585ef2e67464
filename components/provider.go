package components

import (
	"encoding/json"
	"fmt"
	"regexp"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// Cluster says which cluster to deploy to. Exactly one of its fields is set.
type Cluster struct {
	Kind *KindCluster
	EKS  *EKSCluster
}

// KindCluster is a local cluster made by kind.
type KindCluster struct {
	// Context of the user's kubeconfig, kind-<cluster>. Any other is refused, so that no slip of the current context
	// turns a development stack loose on a cluster that matters.
	Context string
}

// EKSCluster is an existing cluster of the Amazon Elastic Kubernetes Service.
type EKSCluster struct {
	// Name of the cluster. Required.
	Name pulumi.StringInput
	// Region it is in, e.g. eu-central-1. Required.
	Region string
	// RoleARN is assumed to talk to the cluster. Empty for the caller's own identity.
	RoleARN string
}

// EKSEndpoint is how the API of an EKS cluster is reached and trusted, as the cluster itself says it.
type EKSEndpoint struct {
	// URL, CertificateAuthority (base64) and ARN of the cluster. Required.
	URL, CertificateAuthority, ARN pulumi.StringInput
}

// Validate reports everything wrong with the choice.
func (c Cluster) Validate() field.ErrorList {
	switch {
	case (c.Kind == nil) == (c.EKS == nil):
		return check.Invalid("target", "", "must be one kind of cluster")
	case c.Kind != nil && !kindContextForm.MatchString(c.Kind.Context):
		return check.Invalid("kubeContext", c.Kind.Context, "must be the context of a kind cluster: kind-<name>, in lower case")
	case c.Kind != nil:
		return nil
	}
	return c.EKS.validate()
}

var (
	// kindContextForm is kind- and what kind takes for the name of a cluster.
	kindContextForm = regexp.MustCompile(`^kind-[a-z0-9.-]+$`)
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
	eksNameForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	roleForm    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[0-9A-Za-z_+=,.@/-]+$`)
)

func (c *EKSCluster) validate() field.ErrorList {
	var problems field.ErrorList
	if name, known := c.Name.(pulumi.String); c.Name == nil || known && !eksNameForm.MatchString(string(name)) {
		problems = check.Invalid("eksCluster", string(name),
			"must be the name of an EKS cluster: up to 100 letters, digits, - and _, such as production")
	}
	problems = append(problems, check.Region("region", c.Region)...)
	if c.RoleARN != "" && !roleForm.MatchString(c.RoleARN) {
		problems = append(problems, check.Invalid("eksRoleArn", c.RoleARN, "must be arn:aws:iam::<account>:role/<name>, or empty")...)
	}
	return problems
}

// NewProvider connects to a cluster. Resources use it explicitly: the default provider would follow whatever context
// the kubeconfig of the moment points to. ClusterIdentifier tells the engine that the cluster is the same while its
// kubeconfig changes; otherwise a new token or endpoint would replace every resource (pulumi-kubernetes#2745).
func NewProvider(ctx *pulumi.Context, name string, cluster Cluster) (*kubernetes.Provider, error) {
	if err := check.Join(fmt.Sprintf("provider %q", name), cluster.Validate()); err != nil {
		return nil, err
	}
	if cluster.EKS != nil {
		found := eks.LookupClusterOutput(ctx, eks.LookupClusterOutputArgs{Name: cluster.EKS.Name})
		return NewEKSProvider(ctx, name, *cluster.EKS, EKSEndpoint{
			URL: found.Endpoint(), CertificateAuthority: found.CertificateAuthorities().ApplyT(firstAuthority).(pulumi.StringOutput),
			ARN: found.Arn(),
		})
	}
	return newProvider(ctx, name, &kubernetes.ProviderArgs{
		Context: pulumi.String(cluster.Kind.Context), ClusterIdentifier: pulumi.String(cluster.Kind.Context),
	})
}

// NewEKSProvider connects to a cluster that says itself how: one that the same program creates.
func NewEKSProvider(
	ctx *pulumi.Context, name string, cluster EKSCluster, endpoint EKSEndpoint, opts ...pulumi.ResourceOption,
) (*kubernetes.Provider, error) {
	kubeconfig := pulumi.All(cluster.Name, endpoint.URL, endpoint.CertificateAuthority).ApplyT(
		func(all []any) (string, error) {
			return cluster.kubeconfig(all[0].(string), all[1].(string), all[2].(string))
		}).(pulumi.StringOutput)
	return newProvider(ctx, name, &kubernetes.ProviderArgs{Kubeconfig: kubeconfig, ClusterIdentifier: endpoint.ARN}, opts...)
}

func newProvider(
	ctx *pulumi.Context, name string, args *kubernetes.ProviderArgs, opts ...pulumi.ResourceOption,
) (*kubernetes.Provider, error) {
	// A change of data updates the object in place; the pods are rolled by their checksum annotation.
	args.EnableConfigMapMutable, args.EnableSecretMutable = pulumi.Bool(true), pulumi.Bool(true)
	provider, err := kubernetes.NewProvider(ctx, name, args, opts...)
	if err != nil {
		return nil, creating("provider", name, err)
	}
	return provider, nil
}

func firstAuthority(authorities []eks.GetClusterCertificateAuthority) string {
	if len(authorities) == 0 {
		return ""
	}
	return authorities[0].Data
}

// kubeconfig asks the AWS CLI for a short-lived token. It names no profile: one would tie the state to the machine of
// whoever ran `up` last (pulumi-eks#868). JSON is YAML.
func (c EKSCluster) kubeconfig(name, endpoint, authority string) (string, error) {
	if endpoint == "" || authority == "" {
		return "", fmt.Errorf("EKS cluster %q has no endpoint: is it still being created?", name)
	}
	command := []string{"eks", "get-token", "--cluster-name", name, "--region", c.Region, "--output", "json"}
	if c.RoleARN != "" {
		command = append(command, "--role-arn", c.RoleARN)
	}
	type object = map[string]any
	config, err := json.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": name,
		"clusters": []object{{"name": name, "cluster": object{
			"server": endpoint, "certificate-authority-data": authority,
		}}},
		"contexts": []object{{"name": name, "context": object{"cluster": name, "user": name}}},
		"users": []object{{"name": name, "user": object{"exec": object{
			"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": command,
			"interactiveMode": "Never",
		}}}},
	})
	return string(config), err
}
