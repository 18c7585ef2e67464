package objects

import (
	"errors"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

// Port is a protocol (TCP or UDP) and a port of the pod, not of a Service in front of it.
type Port struct {
	Protocol string
	Number   int
}

// TCP are ports of that protocol.
func TCP(numbers ...int) []Port {
	ports := make([]Port, len(numbers))
	for i, number := range numbers {
		ports[i] = Port{"TCP", number}
	}
	return ports
}

// Peer is one allowed side of a connection. Without pods, namespace and CIDRs it is anyone; no ports are all ports.
type Peer struct {
	// Pods in the policy's own namespace, by their labels.
	Pods map[string]string
	// Namespace whose pods are meant, all of them.
	Namespace string
	// CIDRs are blocks of IP addresses.
	CIDRs pulumi.StringArrayInput
	Ports []Port
}

// NewNetworkPolicy restricts the selected pods. A nil direction is left alone; an empty one is denied entirely.
func NewNetworkPolicy(
	ctx *pulumi.Context, parent pulumi.Resource, name string, meta *metav1.ObjectMetaArgs,
	pods *metav1.LabelSelectorArgs, ingress, egress []Peer,
) (*networkingv1.NetworkPolicy, error) {
	spec := &networkingv1.NetworkPolicySpecArgs{PodSelector: pods}
	var types pulumi.StringArray
	if ingress != nil {
		types = append(types, pulumi.String("Ingress"))
		rules := networkingv1.NetworkPolicyIngressRuleArray{}
		for _, p := range ingress {
			rules = append(rules, networkingv1.NetworkPolicyIngressRuleArgs{From: p.peers(), Ports: p.policyPorts()})
		}
		spec.Ingress = rules
	}
	if egress != nil {
		types = append(types, pulumi.String("Egress"))
		rules := networkingv1.NetworkPolicyEgressRuleArray{}
		for _, p := range egress {
			rules = append(rules, networkingv1.NetworkPolicyEgressRuleArgs{To: p.peers(), Ports: p.policyPorts()})
		}
		spec.Egress = rules
	}
	spec.PolicyTypes = types
	policy, err := networkingv1.NewNetworkPolicy(ctx, name, &networkingv1.NetworkPolicyArgs{Metadata: meta, Spec: spec},
		pulumi.Parent(parent))
	if err != nil {
		return nil, component.Creating("network policy", name, err)
	}
	return policy, nil
}

func (p Peer) peers() networkingv1.NetworkPolicyPeerArrayInput {
	switch {
	case p.CIDRs != nil:
		return p.CIDRs.ToStringArrayOutput().ApplyT(blocks).(networkingv1.NetworkPolicyPeerArrayOutput)
	case p.Pods != nil:
		return networkingv1.NetworkPolicyPeerArray{networkingv1.NetworkPolicyPeerArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(p.Pods)},
		}}
	case p.Namespace != "": // by the label that the API server itself puts on each namespace
		return networkingv1.NetworkPolicyPeerArray{networkingv1.NetworkPolicyPeerArgs{
			NamespaceSelector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{
				"kubernetes.io/metadata.name": pulumi.String(p.Namespace),
			}},
		}}
	}
	return nil
}

// blocks refuses an empty list, which in a policy would be everyone: the addresses may come from another program, and
// nothing tells before that there are none.
func blocks(cidrs []string) ([]networkingv1.NetworkPolicyPeer, error) {
	if len(cidrs) == 0 {
		return nil, errors.New("the list of CIDRs of a network policy is empty, which would admit every address")
	}
	peers := make([]networkingv1.NetworkPolicyPeer, len(cidrs))
	for i, cidr := range cidrs {
		peers[i].IpBlock = &networkingv1.IPBlock{Cidr: cidr}
	}
	return peers, nil
}

func (p Peer) policyPorts() networkingv1.NetworkPolicyPortArray {
	var ports networkingv1.NetworkPolicyPortArray
	for _, x := range p.Ports {
		ports = append(ports, networkingv1.NetworkPolicyPortArgs{
			Protocol: pulumi.String(x.Protocol), Port: pulumi.Int(x.Number),
		})
	}
	return ports
}

// PeersOf lets pods in the policy's own namespace reach a port. The result is never nil, because a nil peer list means
// "unrestricted".
func PeersOf(pods []map[string]string, number int) []Peer {
	peers := []Peer{}
	for _, each := range pods {
		peers = append(peers, Peer{Pods: each, Ports: TCP(number)})
	}
	return peers
}
