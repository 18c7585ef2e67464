package platform

import (
	"fmt"

	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes"
	"github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apiextensions"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// NodePoolArgs describe the nodes that EKS Auto Mode makes for pods.
type NodePoolArgs struct {
	// Role is the name of the nodes' role. The cluster knows it already, by its pool `system`: no access entry is needed.
	// Required.
	Role pulumi.StringInput
	// Subnets are where the nodes go, SecurityGroup is what they have: IDs. Required.
	Subnets       pulumi.StringArrayInput
	SecurityGroup pulumi.StringInput
	// After is what must have happened before the first node: a node reads only at its start whether network policies are
	// enforced.
	After []pulumi.Resource
	NodePoolSettings
}

// NodePoolSettings are the decisions about nodes.
type NodePoolSettings struct {
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

// Validate reports everything wrong with the settings.
func (s *NodePoolSettings) Validate() field.ErrorList {
	problems := check.Quantity("cpuLimit", s.CPULimit, "2", "100000", "32")
	problems = append(problems, check.Quantity("memoryLimit", s.MemoryLimit, "4Gi", "1000Ti", "128Gi")...)
	problems = append(problems, check.OneOf("architecture", s.Architecture, "amd64", "arm64")...)
	problems = append(problems, check.OneOf("capacity", s.Capacity, "on-demand", "spot")...)
	return append(problems, check.Range("maxAgeHours", s.MaxAgeHours, 24, 480)...)
}

// drainHours is how long a node's pods may take to leave before they are made to. PodDisruptionBudgets are kept until
// then.
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
				in("kubernetes.io/arch", a.Architecture),
				in("kubernetes.io/os", "linux"),
				in("karpenter.sh/capacity-type", a.Capacity),
				// Compute, general purpose and memory, of the last generations: Auto Mode picks the cheapest that fits.
				in("eks.amazonaws.com/instance-category", "c", "m", "r"),
				pulumi.Map{
					"key": pulumi.String("eks.amazonaws.com/instance-generation"), "operator": pulumi.String("Gt"),
					"values": pulumi.ToStringArray([]string{"5"}),
				},
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

func in(key string, values ...string) pulumi.Map {
	return pulumi.Map{
		"key": pulumi.String(key), "operator": pulumi.String("In"), "values": pulumi.ToStringArray(values),
	}
}

func hours(n int) pulumi.String { return pulumi.String(fmt.Sprintf("%dh", n)) }
