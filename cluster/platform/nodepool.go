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
)

// NodePoolArgs describe the nodes that EKS Auto Mode makes for pods.
type NodePoolArgs struct {
	// Role is the name of the nodes' role, which needs no access entry: the pool `system` has it too. Required.
	Role pulumi.StringInput
	// Subnets are where the nodes go, SecurityGroup is what they have: IDs. Required.
	Subnets       pulumi.StringArrayInput
	SecurityGroup pulumi.StringInput
	// After is what the first node waits for: only at its start it reads whether network policies are enforced.
	After []pulumi.Resource
	// CPULimit and MemoryLimit are what the nodes may have together, e.g. 32 and 128Gi. When they are reached, pods stay
	// pending: they bound the bill of these nodes. Required.
	CPULimit, MemoryLimit string
	// Architecture of the nodes and of the images that run on them: amd64 or arm64 (Graviton). Required.
	Architecture string
	// Capacity is on-demand or spot. Spot costs a third or so, and a node may go within two minutes. Required.
	Capacity string
	// MaxAgeHours is how long a node lives before a fresh one replaces it, which is how security updates arrive. 24 to
	// 480; with the day for its end that stays below the 21 days that Auto Mode allows. Required.
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

// drainHours is how long PodDisruptionBudgets may keep pods on a node that is to go.
const drainHours = 24

// NewNodePool creates a NodeClass and a NodePool: nodes that come and go with the pods that need them.
func NewNodePool(ctx *pulumi.Context, name string, args *NodePoolArgs, opts ...pulumi.ResourceOption) (*Part, error) {
	return part(ctx, "NodePool", name, args.Validate(), opts, func(child pulumi.ResourceOption) (pulumi.Resource, error) {
		class, err := apiextensions.NewCustomResource(ctx, name+"-class", &apiextensions.CustomResourceArgs{
			ApiVersion: pulumi.String("eks.amazonaws.com/v1"), Kind: pulumi.String("NodeClass"),
			Metadata:    metav1.ObjectMetaArgs{Name: pulumi.String(name)},
			OtherFields: kubernetes.UntypedArgs{"spec": args.class()},
		}, child, pulumi.DependsOn(args.After))
		if err != nil {
			return nil, err
		}
		return apiextensions.NewCustomResource(ctx, name, &apiextensions.CustomResourceArgs{
			ApiVersion: pulumi.String("karpenter.sh/v1"), Kind: pulumi.String("NodePool"),
			Metadata:    metav1.ObjectMetaArgs{Name: pulumi.String(name)},
			OtherFields: kubernetes.UntypedArgs{"spec": args.pool(name)},
		}, child, pulumi.DependsOn([]pulumi.Resource{class}),
			pulumi.Timeouts(&pulumi.CustomTimeouts{Delete: "30m"})) // which ends when the last node has gone
	})
}

// class says what a node is in AWS: https://docs.aws.amazon.com/eks/latest/userguide/create-node-class.html
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
		// Pods without a policy may do what they want, those with one only what it says. The default, written down because
		// earlier versions of Auto Mode enforced nothing without it:
		// https://docs.aws.amazon.com/eks/latest/userguide/auto-net-pol.html
		"networkPolicy": pulumi.String("DefaultAllow"),
	}
}

// pool says which nodes there may be: https://docs.aws.amazon.com/eks/latest/userguide/create-node-pool.html
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
				// Compute, general purpose and memory, of the last generations: Auto Mode picks the cheapest that fits.
				requirement("eks.amazonaws.com/instance-category", "In", "c", "m", "r"),
				requirement("eks.amazonaws.com/instance-generation", "Gt", "5"),
			},
			"expireAfter":            hours(a.MaxAgeHours),
			"terminationGracePeriod": hours(drainHours),
		}},
		"limits": pulumi.StringMap{"cpu": pulumi.String(a.CPULimit), "memory": pulumi.String(a.MemoryLimit)},
		"disruption": pulumi.Map{
			"consolidationPolicy": pulumi.String("WhenEmptyOrUnderutilized"),
			// Scale-down leaves nodes half empty for minutes; a wave that comes back within them finds a node.
			"consolidateAfter": pulumi.String("5m"),
			// One node at a time of ten: each costs the app's pods on it a move.
			"budgets": pulumi.Array{pulumi.StringMap{"nodes": pulumi.String("10%")}},
		},
	}
}

func requirement(key, operator string, values ...string) pulumi.Map {
	return pulumi.Map{
		"key": pulumi.String(key), "operator": pulumi.String(operator), "values": pulumi.ToStringArray(values),
	}
}

func hours(n int) pulumi.String { return pulumi.String(fmt.Sprintf("%dh", n)) }
