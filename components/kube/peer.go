package kube

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/internal/check"
)

// Peer is one allowed side of a connection. Exactly one of Pods, Namespace, CIDRs and Anyone is set.
type Peer struct {
	// Pods in the app's namespace, by their labels, at least one; WebAppPods and the like give those of a component.
	Pods map[string]string
	// Namespace whose pods are meant, all of them, e.g. that of an ingress controller.
	Namespace string
	// CIDRs are blocks of IP addresses, e.g. the subnets of a load balancer whose targets are pods. An output that turns out
	// to be empty is an error: in a network policy an empty list is everyone.
	CIDRs pulumi.StringArrayInput
	// Anyone is for what has no address that could be known, such as a service on the internet.
	Anyone bool
	// Ports of TCP on the called side. Empty: of an app's own callers, the port of its container; else all.
	Ports []int
}

// Validate reports everything wrong with the peer.
func (p *Peer) Validate() field.ErrorList {
	var problems field.ErrorList
	given := 0
	for _, set := range []bool{len(p.Pods) > 0, p.Namespace != "", p.CIDRs != nil, p.Anyone} {
		if set {
			given++
		}
	}
	if given != 1 {
		problems = check.Invalid("pods", len(p.Pods), "must be given, or else one of namespace, cidrs and anyone")
	}
	problems = append(problems, check.Labels("pods", p.Pods)...)
	if p.Namespace != "" {
		problems = append(problems, check.Label("namespace", p.Namespace)...)
	}
	problems = append(problems, checkCIDRs(p.CIDRs)...)
	for _, port := range p.Ports {
		problems = append(problems, check.Range("ports", port, 1, 65535)...)
	}
	return problems
}

// checkPeers puts the problems of each peer under its place in the list.
func checkPeers(name string, peers []Peer) (problems field.ErrorList) {
	for i := range peers {
		problems = append(problems, check.In(field.NewPath(name).Index(i).String(), peers[i].Validate())...)
	}
	return problems
}

// policyPeers are the peers in the form that network policies take; never nil, which would be "unrestricted".
func policyPeers(peers []Peer, defaultPorts ...int) []objects.Peer {
	all := []objects.Peer{}
	for _, p := range peers {
		ports := p.Ports
		if len(ports) == 0 {
			ports = defaultPorts
		}
		all = append(all, objects.Peer{Pods: p.Pods, Namespace: p.Namespace, CIDRs: p.CIDRs, Ports: objects.TCP(ports...)})
	}
	return all
}

// checkCIDRs reports what is wrong with the elements that are known. Those of an output are not yet.
func checkCIDRs(list pulumi.StringArrayInput) (problems field.ErrorList) {
	elements, plain := list.(pulumi.StringArray)
	if plain && len(elements) == 0 {
		return field.ErrorList{field.Required(field.NewPath("cidrs"), "must have an element: an empty list is everyone")}
	}
	for _, element := range elements {
		if cidr, known := element.(pulumi.String); known {
			problems = append(problems, check.CIDR("cidrs", string(cidr))...)
		}
	}
	return problems
}
