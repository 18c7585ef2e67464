package objects

import (
	"errors"
	"slices"

	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// Peer is an allowed source or destination of connections. Exactly one of Pods, Namespace, CIDRs and Anyone is set.
type Peer struct {
	// Pods are the labels, at least one, of pods in the policy's own namespace: WebAppPods, PrometheusPods and the like.
	Pods map[string]string
	// Namespace selects all pods of a namespace, e.g. that of an ingress controller.
	Namespace string
	// CIDRs are blocks of IP addresses, e.g. the subnets of a load balancer whose targets are pods. An output that
	// resolves to an empty list is an error, because in a network policy an empty list admits every address.
	CIDRs pulumi.StringArrayInput
	// Anyone admits every address, for peers with unknown addresses such as services on the internet.
	Anyone bool
	// Ports are TCP ports of the called pod. Empty for the container's port in WebAppArgs.AllowFrom, elsewhere for all.
	Ports []int
	// UDPPorts are additional UDP ports.
	UDPPorts []int
}

// Validate reports everything wrong with the peer.
func (p *Peer) Validate() field.ErrorList {
	given := 0
	for _, set := range []bool{len(p.Pods) > 0, p.Namespace != "", p.CIDRs != nil, p.Anyone} {
		if set {
			given++
		}
	}
	blocks, plain := p.CIDRs.(pulumi.StringArray)
	problems := slices.Concat(
		check.That(given == 1, "pods", len(p.Pods), "exactly one of pods, namespace, cidrs and anyone must be set"),
		check.Labels("pods", p.Pods),
		check.Optional(check.Label, "namespace", p.Namespace),
		check.That(!plain || len(blocks) > 0, "cidrs", "", "must not be empty: an empty list would admit every address"),
	)
	for _, port := range p.Ports {
		problems = append(problems, check.Range("ports", port, 1, 65535)...)
	}
	for _, port := range p.UDPPorts {
		problems = append(problems, check.Range("udpPorts", port, 1, 65535)...)
	}
	for _, block := range blocks {
		if cidr, known := block.(pulumi.String); known {
			problems = append(problems, check.CIDR("cidrs", string(cidr))...)
		}
	}
	return problems
}

// NetworkPolicy restricts the app's pods. A nil direction is unrestricted; an empty one is denied entirely.
func (o Owner) NetworkPolicy(ingress, egress []Peer) *networkingv1.NetworkPolicy {
	return o.policy("", o.Meta(""), o.LabelSelector(), ingress, egress)
}

// NamespacePolicy restricts all pods of the namespace. Its name must be unique in the namespace.
func (o Owner) NamespacePolicy(name string, ingress, egress []Peer) {
	meta := o.ClusterMeta(pulumi.String(name))
	meta.Namespace = o.Namespace
	o.policy("-"+name, meta, &metav1.LabelSelectorArgs{}, ingress, egress)
}

func (o Owner) policy(
	suffix string, meta *metav1.ObjectMetaArgs, pods *metav1.LabelSelectorArgs, ingress, egress []Peer,
) *networkingv1.NetworkPolicy {
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
	args := &networkingv1.NetworkPolicyArgs{Metadata: meta, Spec: spec}
	return component.Create(o.Builder, networkingv1.NewNetworkPolicy, suffix, args)
}

func (p Peer) peers() networkingv1.NetworkPolicyPeerArrayInput {
	switch {
	case p.CIDRs != nil:
		return p.CIDRs.ToStringArrayOutput().ApplyT(blocks).(networkingv1.NetworkPolicyPeerArrayOutput)
	case p.Pods != nil:
		return networkingv1.NetworkPolicyPeerArray{networkingv1.NetworkPolicyPeerArgs{
			PodSelector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.ToStringMap(p.Pods)},
		}}
	case p.Namespace != "": // by the label that the API server sets on each namespace
		return networkingv1.NetworkPolicyPeerArray{networkingv1.NetworkPolicyPeerArgs{
			NamespaceSelector: &metav1.LabelSelectorArgs{MatchLabels: pulumi.StringMap{
				"kubernetes.io/metadata.name": pulumi.String(p.Namespace),
			}},
		}}
	}
	return nil
}

// blocks rejects an empty list, which would admit every address. The addresses may be the output of another program.
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

func (p Peer) policyPorts() (ports networkingv1.NetworkPolicyPortArray) {
	add := func(protocol string, numbers []int) {
		for _, number := range numbers {
			ports = append(ports, networkingv1.NetworkPolicyPortArgs{
				Protocol: pulumi.String(protocol), Port: pulumi.Int(number),
			})
		}
	}
	add("UDP", p.UDPPorts)
	add("TCP", p.Ports)
	return ports
}

// PeersOf lets pods in the same namespace connect to a port. It is never nil, because a nil list means "unrestricted".
func PeersOf(pods []map[string]string, port int) []Peer {
	peers := []Peer{}
	for _, each := range pods {
		peers = append(peers, Peer{Pods: each, Ports: []int{port}})
	}
	return peers
}
