package components

import (
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// port is a protocol (TCP or UDP) and a port of the pod, not of a Service in front of it.
type port struct {
	protocol string
	number   int
}

// peer is one allowed side of a connection. Without `to` and addresses it is anyone; no ports are all ports.
type peer struct {
	to networkingv1.NetworkPolicyPeerArgs
	// addresses are blocks of IP addresses in CIDR form, in place of `to`.
	addresses pulumi.StringArrayInput
	ports     []port
}

// newNetworkPolicy restricts the selected pods. A nil direction is left alone; an empty one is denied entirely.
func newNetworkPolicy(
	ctx *pulumi.Context, parent pulumi.Resource, name string, meta *metav1.ObjectMetaArgs,
	pods *metav1.LabelSelectorArgs, ingress, egress []peer,
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
		return nil, creating("network policy", name, err)
	}
	return policy, nil
}

func (p peer) peers() networkingv1.NetworkPolicyPeerArrayInput {
	if p.addresses != nil {
		return p.addresses.ToStringArrayOutput().ApplyT(func(cidrs []string) []networkingv1.NetworkPolicyPeer {
			blocks := make([]networkingv1.NetworkPolicyPeer, len(cidrs))
			for i, cidr := range cidrs {
				blocks[i].IpBlock = &networkingv1.IPBlock{Cidr: cidr}
			}
			return blocks
		}).(networkingv1.NetworkPolicyPeerArrayOutput)
	}
	if p.to == (networkingv1.NetworkPolicyPeerArgs{}) {
		return nil
	}
	return networkingv1.NetworkPolicyPeerArray{p.to}
}

func (p peer) policyPorts() networkingv1.NetworkPolicyPortArray {
	var ports networkingv1.NetworkPolicyPortArray
	for _, x := range p.ports {
		ports = append(ports, networkingv1.NetworkPolicyPortArgs{
			Protocol: pulumi.String(x.protocol), Port: pulumi.Int(x.number),
		})
	}
	return ports
}

// podsOf are the pods of an app in the policy's own namespace.
func podsOf(app App) networkingv1.NetworkPolicyPeerArgs {
	return networkingv1.NetworkPolicyPeerArgs{PodSelector: app.labelSelector()}
}

// podsIn are all pods of a namespace, by the label that the API server itself puts on each.
func podsIn(namespace string) networkingv1.NetworkPolicyPeerArgs {
	return networkingv1.NetworkPolicyPeerArgs{NamespaceSelector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{
		"kubernetes.io/metadata.name": pulumi.String(namespace),
	}}}
}

// peersOf lets apps in the policy's own namespace reach a port. It is never nil: nobody is not anybody.
func peersOf(apps []App, number int) []peer {
	peers := []peer{}
	for _, app := range apps {
		peers = append(peers, peer{to: podsOf(app), ports: []port{{"TCP", number}}})
	}
	return peers
}

// plainStrings are the elements of a list, and false if they are not known yet.
func plainStrings(list pulumi.StringArrayInput) ([]string, bool) {
	if list == nil {
		return nil, true
	}
	elements, plain := list.(pulumi.StringArray)
	texts := make([]string, len(elements))
	for i, element := range elements {
		text, known := element.(pulumi.String)
		texts[i], plain = string(text), plain && known
	}
	return texts, plain
}
