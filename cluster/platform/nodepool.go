package platform

import (
	"fmt"
	"slices"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// NodePoolArgs describe the nodes that EKS Auto Mode creates for pods.
type NodePoolArgs struct {
	// Role is the name of the nodes' IAM role. It needs no access entry: the NodePool `system` uses it too. Required.
	Role pulumi.StringInput
	// Subnets and SecurityGroup are the IDs of the nodes' subnets and security group. Required.
	Subnets       pulumi.StringArrayInput
	SecurityGroup pulumi.StringInput
	// After lists resources to create before the first node, which reads only at its start whether to enforce network
	// policies.
	After []pulumi.Resource
	// CPULimit and MemoryLimit are the totals of all nodes, e.g. 32 and 128Gi. They limit the cost: pods beyond them stay
	// pending. Required.
	CPULimit, MemoryLimit string
	// Architecture of the nodes and of the images that run on them: amd64 or arm64 (Graviton). Required.
	Architecture string
	// Capacity is on-demand or spot: a third of the price, but AWS may reclaim nodes with two minutes' notice. Required.
	Capacity string
	// MaxAgeHours is the age at which a node is replaced by a new one with the latest security updates. 24 to 480: with
	// the day for the drain that stays within the 21 days that Auto Mode allows. Required.
	// https://docs.aws.amazon.com/eks/latest/userguide/automode.html
	MaxAgeHours int
}

// Validate reports everything wrong with the arguments that is known before other resources exist.
func (a *NodePoolArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Quantity("cpuLimit", a.CPULimit, "2", "100000", "32"),
		check.Quantity("memoryLimit", a.MemoryLimit, "4Gi", "1000Ti", "128Gi"),
		check.OneOf("architecture", a.Architecture, "amd64", "arm64"),
		check.OneOf("capacity", a.Capacity, "on-demand", "spot"),
		check.Range("maxAgeHours", a.MaxAgeHours, 24, 480),
	)
}

// NewNodePool creates a NodeClass and a NodePool, whose nodes are created and removed with the demand of the pods.
func NewNodePool(stack *component.Builder, name string, args *NodePoolArgs, opts ...pulumi.ResourceOption) *Part {
	return part(stack, "NodePool", name, args.Validate(), opts, func(b *component.Builder) pulumi.Resource {
		class := component.Create(b, apiextensions.NewCustomResource, "-class", &apiextensions.CustomResourceArgs{
			ApiVersion: pulumi.String("eks.amazonaws.com/v1"), Kind: pulumi.String("NodeClass"),
			Metadata:    metav1.ObjectMetaArgs{Name: pulumi.String(name)},
			OtherFields: kubernetes.UntypedArgs{"spec": args.class()},
		}, pulumi.DependsOn(args.After))
		return component.Create(b, apiextensions.NewCustomResource, "", &apiextensions.CustomResourceArgs{
			ApiVersion: pulumi.String("karpenter.sh/v1"), Kind: pulumi.String("NodePool"),
			Metadata:    metav1.ObjectMetaArgs{Name: pulumi.String(name)},
			OtherFields: kubernetes.UntypedArgs{"spec": args.pool(name)},
		}, pulumi.DependsOn([]pulumi.Resource{class}),
			pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: "30m"})) // the deletion waits for the last node
	})
}

// class returns the spec of the NodeClass: https://docs.aws.amazon.com/eks/latest/userguide/create-node-class.html
func (a *NodePoolArgs) class() pulumi.Map {
	return pulumi.Map{
		"role": a.Role,
		"subnetSelectorTerms": a.Subnets.ToStringArrayOutput().ApplyT(func(ids []string) []map[string]string {
			terms := make([]map[string]string, len(ids))
			for i, id := range ids {
				terms[i] = map[string]string{"id": id}
			}
			return terms
		}),
		"securityGroupSelectorTerms": pulumi.Array{pulumi.Map{"id": a.SecurityGroup}},
		// Pods without a policy are unrestricted, those with a policy have only its permissions. This is the default, but
		// earlier versions of Auto Mode enforced nothing without it:
		// https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
		"networkPolicy": pulumi.String("DefaultAllow"),
	}
}

// pool returns the spec of the NodePool: https://docs.aws.amazon.com/eks/latest/userguide/create-node-pool.html
func (a *NodePoolArgs) pool(name string) pulumi.Map {
	return pulumi.Map{
		"template": pulumi.Map{"spec": pulumi.Map{
			"nodeClassRef": pulumi.StringMap{
				"group": pulumi.String("eks.amazonaws.com"), "kind": pulumi.String("NodeClass"), "name": pulumi.String(name),
			},
			"requirements": pulumi.Array{
				requirement("kubernetes.io/arch", "In", a.Architecture),
				requirement("kubernetes.io/os", "In", "linux"),
				requirement("karpenter.sh/capacity-type", "In", a.Capacity),
				// Compute, general purpose and memory, of the latest generations: Auto Mode selects the cheapest that fits.
				requirement("eks.amazonaws.com/instance-category", "In", "c", "m", "r"),
				requirement("eks.amazonaws.com/instance-generation", "Gt", "5"),
			},
			"expireAfter":            pulumi.String(fmt.Sprintf("%dh", a.MaxAgeHours)),
			"terminationGracePeriod": pulumi.String("24h"), // for which PodDisruptionBudgets may delay the drain of a node
		}},
		"limits": pulumi.StringMap{"cpu": pulumi.String(a.CPULimit), "memory": pulumi.String(a.MemoryLimit)},
		"disruption": pulumi.Map{
			"consolidationPolicy": pulumi.String("WhenEmptyOrUnderutilized"),
			// After a scale-down, underutilized nodes stay for five minutes, in case the load returns.
			"consolidateAfter": pulumi.String("5m"),
			// At most a tenth of the nodes at a time, since each disruption evicts the app's pods on the node.
			"budgets": pulumi.Array{pulumi.StringMap{"nodes": pulumi.String("10%")}},
		},
	}
}

func requirement(key, operator string, values ...string) pulumi.Map {
	return pulumi.Map{
		"key": pulumi.String(key), "operator": pulumi.String(operator), "values": pulumi.ToStringArray(values),
	}
}
