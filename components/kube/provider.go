package kube

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// EKSCluster holds the connection settings of an Amazon EKS cluster.
type EKSCluster struct {
	// Name of the cluster. Required.
	Name pulumi.StringInput
	// Region of the cluster, e.g. eu-central-1. Required.
	Region string
	// RoleARN is the role to assume for access to the cluster. Empty for the caller's own identity.
	RoleARN string
	// Endpoint (a URL), CertificateAuthority (base64) and ARN, as AWS reports them. Required.
	Endpoint, CertificateAuthority, ARN pulumi.StringInput
}

var (
	// kindContextForm is kind- followed by the name of a kind cluster.
	kindContextForm = regexp.MustCompile(`^kind-[a-z0-9.-]+$`)
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html
	eksNameForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z_-]{0,99}$`)
	roleForm    = regexp.MustCompile(`^$|^arn:aws[a-z-]*:iam::[0-9]{12}:role/[0-9A-Za-z_+=,.@/-]+$`)
)

// CheckKindContext reports a context that does not belong to a kind cluster.
func CheckKindContext(context string) field.ErrorList {
	return check.Match("context", context, kindContextForm,
		"must be the context of a kind cluster: kind-<name>, in lower case")
}

// Validate reports everything wrong with the cluster, except missing values of AWS: they are nil before the look-up.
func (c *EKSCluster) Validate() field.ErrorList {
	name, known := c.Name.(pulumi.String)
	return slices.Concat(
		check.Region("region", c.Region),
		check.Match("roleArn", c.RoleARN, roleForm, "must be arn:aws:iam::<account>:role/<name>, or empty"),
		check.That(c.Name != nil && !known || eksNameForm.MatchString(string(name)), "name", string(name),
			"must be the name of an EKS cluster: up to 100 letters, digits, - and _, such as production"),
	)
}

// KindCluster describes a local kind cluster.
type KindCluster struct {
	// Context of the kubeconfig, kind-<cluster>. Other contexts are rejected, so that a wrong current context cannot
	// deploy a development stack to another cluster. Required.
	Context string
	// AdoptExisting takes over objects that exist already when they are to be created, as after an interrupted update.
	// Otherwise the creation fails, because they may belong to another stack.
	AdoptExisting bool
}

// NewKindProvider connects to a local kind cluster.
func NewKindProvider(
	ctx *pulumi.Context, name string, cluster KindCluster, opts ...pulumi.ResourceOption,
) (*kubernetes.Provider, error) {
	if err := check.Join(fmt.Sprintf("provider %q", name), CheckKindContext(cluster.Context)); err != nil {
		return nil, err
	}
	args := &kubernetes.ProviderArgs{
		Context: pulumi.String(cluster.Context), ClusterIdentifier: pulumi.String(cluster.Context),
	}
	if cluster.AdoptExisting {
		args.UpsertExistingObjects = pulumi.Bool(true)
	}
	return newProvider(ctx, name, args, opts...)
}

// NewEKSProvider connects to an EKS cluster.
func NewEKSProvider(
	ctx *pulumi.Context, name string, cluster EKSCluster, opts ...pulumi.ResourceOption,
) (*kubernetes.Provider, error) {
	problems := slices.Concat(cluster.Validate(), check.Set("endpoint", cluster.Endpoint != nil),
		check.Set("certificateAuthority", cluster.CertificateAuthority != nil), check.Set("arn", cluster.ARN != nil))
	if err := check.Join(fmt.Sprintf("provider %q", name), problems); err != nil {
		return nil, err
	}
	kubeconfig := pulumi.All(cluster.Name, cluster.Endpoint, cluster.CertificateAuthority).ApplyT(
		func(all []any) (string, error) {
			return cluster.kubeconfig(all[0].(string), all[1].(string), all[2].(string))
		}).(pulumi.StringOutput)
	args := &kubernetes.ProviderArgs{Kubeconfig: kubeconfig, ClusterIdentifier: cluster.ARN}
	return newProvider(ctx, name, args, opts...)
}

// newProvider connects to a cluster. Resources use it explicitly: the default provider would follow the current
// context of the kubeconfig. ClusterIdentifier identifies the cluster while its kubeconfig changes; otherwise a new
// token or endpoint would replace every resource (pulumi-kubernetes#2745).
func newProvider(
	ctx *pulumi.Context, name string, args *kubernetes.ProviderArgs, opts ...pulumi.ResourceOption,
) (*kubernetes.Provider, error) {
	// A change of data updates the object in place; the checksum annotation of the pods triggers their rollout.
	args.EnableConfigMapMutable, args.EnableSecretMutable = pulumi.Bool(true), pulumi.Bool(true)
	// Fields that were edited manually, or set by a deleted autoscaler, are overwritten. Without this option even the
	// preview fails with a field conflict: https://github.com/pulumi/pulumi-kubernetes/issues/2280
	args.EnablePatchForce = pulumi.Bool(true)
	return kubernetes.NewProvider(ctx, name, args, opts...)
}

// kubeconfig returns a kubeconfig that gets a short-lived token from the AWS CLI. It contains no profile, which would
// tie the state to one machine (pulumi-eks#868). JSON is valid YAML.
func (c EKSCluster) kubeconfig(name, endpoint, authority string) (string, error) {
	if endpoint == "" || authority == "" {
		return "", fmt.Errorf("EKS cluster %q has no endpoint or certificate authority: wait until it is ACTIVE", name)
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
