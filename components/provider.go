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
	Name string
	// Region it is in, e.g. eu-central-1. Required.
	Region string
	// RoleARN is assumed to talk to the cluster. Empty for the caller's own identity.
	RoleARN string
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
	if !eksNameForm.MatchString(c.Name) {
		problems = check.Invalid("eksCluster", c.Name,
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
	args := &kubernetes.ProviderArgs{
		// A change of data updates the object in place; the pods are rolled by their checksum annotation.
		EnableConfigMapMutable: pulumi.Bool(true),
		EnableSecretMutable:    pulumi.Bool(true),
	}
	if cluster.Kind != nil {
		args.Context = pulumi.String(cluster.Kind.Context)
		args.ClusterIdentifier = pulumi.String(cluster.Kind.Context)
	} else {
		found := eks.LookupClusterOutput(ctx, eks.LookupClusterOutputArgs{Name: pulumi.String(cluster.EKS.Name)})
		args.Kubeconfig = pulumi.All(found.Endpoint(), found.CertificateAuthorities()).ApplyT(
			func(all []any) (string, error) {
				return cluster.EKS.kubeconfig(all[0].(string), all[1].([]eks.GetClusterCertificateAuthority))
			}).(pulumi.StringOutput)
		args.ClusterIdentifier = found.Arn()
	}
	provider, err := kubernetes.NewProvider(ctx, name, args)
	if err != nil {
		return nil, creating("provider", name, err)
	}
	return provider, nil
}

// kubeconfig asks the AWS CLI for a short-lived token. It names no profile: one would tie the state to the machine of
// whoever ran `up` last (pulumi-eks#868). JSON is YAML.
func (c *EKSCluster) kubeconfig(endpoint string, authorities []eks.GetClusterCertificateAuthority) (string, error) {
	if endpoint == "" || len(authorities) == 0 {
		return "", fmt.Errorf("EKS cluster %q has no endpoint: is it still being created?", c.Name)
	}
	command := []string{"eks", "get-token", "--cluster-name", c.Name, "--region", c.Region, "--output", "json"}
	if c.RoleARN != "" {
		command = append(command, "--role-arn", c.RoleARN)
	}
	type object = map[string]any
	config, err := json.Marshal(object{
		"apiVersion":      "v1",
		"kind":            "Config",
		"current-context": c.Name,
		"clusters": []object{{"name": c.Name, "cluster": object{
			"server": endpoint, "certificate-authority-data": authorities[0].Data,
		}}},
		"contexts": []object{{"name": c.Name, "context": object{"cluster": c.Name, "user": c.Name}}},
		"users": []object{{"name": c.Name, "user": object{"exec": object{
			"apiVersion": "client.authentication.k8s.io/v1beta1", "command": "aws", "args": command,
			"interactiveMode": "Never",
		}}}},
	})
	return string(config), err
}
