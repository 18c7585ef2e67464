package review

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"example.com/scaleout/internal/rendered"
)

// service adds what an update of a Service does to its clients.
func (c *change) service(add func(Class, string, string)) {
	if c.changes("spec.selector") {
		add(Outage, "It selects other pods: no request is served until such pods are ready.",
			"Start these pods first, and change the selector afterwards.")
	}
	switch before, after := c.before.Get("spec", "type"), c.after.Get("spec", "type"); {
	case before == "LoadBalancer" && after != before:
		add(Outage, "Its load balancer is deleted.", "Move the clients to another Service first.")
	case before == "NodePort" && after != before && after != "LoadBalancer":
		add(Outage, "Its node ports are closed.", "Move the clients to another Service first.")
	}
	if gone := missing(ports(c.before), ports(c.after)); len(gone) > 0 {
		add(Outage, "Clients of port "+enumerate(gone)+" are refused.", "Keep the old port beside the new one at first.")
	}
	if slices.ContainsFunc(c.fields, func(f field) bool {
		return strings.HasSuffix(f.path, ".targetPort") && f.within == ""
	}) {
		add(Outage, "All requests go to another port of the pods at once, also of those that do not listen there yet.",
			"Let the pods listen on both ports first.")
	}
}

func ports(service *rendered.Resource) (ports []string) {
	for _, port := range rendered.List(service.Inputs, "spec", "ports") {
		ports = append(ports, fmt.Sprint(rendered.Get(port, "port")))
		if node := rendered.Get(port, "nodePort"); node != nil {
			ports = append(ports, fmt.Sprint(node))
		}
	}
	return ports
}

// ingress adds what an update of an Ingress does to its clients.
func (c *change) ingress(add func(Class, string, string)) {
	if c.changes("spec.ingressClassName") {
		add(Outage, "Another controller serves it, at another address.",
			"Create a second Ingress with the new class, move the DNS record, and remove this one last.")
	}
	before, after := routes(c.before), routes(c.after)
	unserved(before, after, add)
	for _, old := range before {
		if slices.ContainsFunc(after, func(r route) bool {
			return r.String() == old.String() && r.backend != old.backend
		}) {
			add(Outage, "Requests to "+code(old.String())+" go to another Service or port at once.",
				"Check that pods are ready behind it.")
		}
	}
	if gone := missing(listeners(c.before), listeners(c.after)); len(gone) > 0 {
		add(Outage, "The load balancer no longer listens on "+enumerate(quoted(gone))+".", "")
	}
	if c.before.Get("spec", "defaultBackend") != nil && c.after.Get("spec", "defaultBackend") == nil {
		add(Outage, "Requests that no rule matches are no longer served.", "")
	}
	if c.before.Get("spec", "tls") != nil && c.after.Get("spec", "tls") == nil {
		add(Outage, "Clients that use HTTPS are refused.", "")
	}
}

// listeners returns the ports in the annotation of an ALB, [{"HTTP": 80}, {"HTTPS": 443}], as "HTTP 80".
func listeners(ingress *rendered.Resource) (ports []string) {
	var list []map[string]any
	_ = yaml.Unmarshal([]byte(ingress.ALBAnnotation("listen-ports")), &list) // the controller refuses anything else
	for _, entry := range list {
		for protocol, port := range entry {
			ports = append(ports, fmt.Sprint(protocol, " ", port))
		}
	}
	slices.Sort(ports)
	return ports
}

// route is a host and a path that an Ingress or an HTTPRoute serves, how they match, and the backend of an Ingress.
type route struct{ host, path, match, backend string }

// String returns host and path, and how the path matches if that is not by prefix.
func (r route) String() string {
	text := r.host + r.path
	if r.match != prefix {
		text += " " + r.match
	}
	return text
}

const prefix = "Prefix"

// covers reports whether r serves what another route served.
func (r route) covers(other route) bool {
	below := r.match == prefix && (other.match == prefix || other.match == "Exact") &&
		strings.HasPrefix(strings.TrimSuffix(other.path, "/")+"/", strings.TrimSuffix(r.path, "/")+"/")
	return (r.host == "*" || r.host == other.host) && (below || r.path == other.path && r.match == other.match)
}

// unserved adds the routes that none of those afterwards covers.
func unserved(before, after []route, add func(Class, string, string)) {
	var gone []string
	for _, old := range before {
		if !slices.ContainsFunc(after, func(r route) bool { return r.covers(old) }) {
			gone = append(gone, old.String())
		}
	}
	if len(gone) > 0 {
		add(Outage, "No longer served: "+enumerate(quoted(gone))+".",
			"Keep the old host and path beside the new ones, until no client uses them.")
	}
}

// routes returns the routes of an Ingress. A rule without a host serves all.
func routes(ingress *rendered.Resource) (routes []route) {
	for _, rule := range rendered.List(ingress.Inputs, "spec", "rules") {
		host, _ := rendered.Get(rule, "host").(string)
		for _, path := range rendered.List(rule, "http", "paths") {
			at, _ := rendered.Get(path, "path").(string)
			match, _ := rendered.Get(path, "pathType").(string)
			routes = append(routes, route{cmp.Or(host, "*"), cmp.Or(at, "/"), cmp.Or(match, prefix),
				fmt.Sprint(rendered.Get(path, "backend"))})
		}
	}
	return routes
}

// route adds what an update of an HTTPRoute does to its clients.
func (c *change) route(add func(Class, string, string)) {
	unserved(matches(c.before), matches(c.after), add)
	gateways := func(r *rendered.Resource) []string { return texts(rendered.List(r.Inputs, "spec", "parentRefs")) }
	if gone := missing(gateways(c.before), gateways(c.after)); len(gone) > 0 {
		add(Outage, "A Gateway no longer serves it.", "Serve it by both, move the DNS record, and remove the old one last.")
	}
}

// matches returns the routes of an HTTPRoute. Without hostnames it serves all, and a rule without matches all paths.
// https://gateway-api.sigs.k8s.io/reference/spec/#httproutespec
func matches(r *rendered.Resource) (routes []route) {
	hosts := texts(rendered.List(r.Inputs, "spec", "hostnames"))
	if len(hosts) == 0 {
		hosts = []string{"*"}
	}
	for _, rule := range rendered.List(r.Inputs, "spec", "rules") {
		found := rendered.List(rule, "matches")
		if len(found) == 0 {
			found = []any{nil}
		}
		for _, match := range found {
			path, _ := rendered.Get(match, "path", "value").(string)
			typ, _ := rendered.Get(match, "path", "type").(string)
			for _, host := range hosts {
				routes = append(routes, route{host, cmp.Or(path, "/"), cmp.Or(strings.TrimPrefix(typ, "Path"), prefix), ""})
			}
		}
	}
	return routes
}

// isolates reports whether a new network policy refuses what was allowed: unless an older one selects all pods of the
// namespace already, for the same directions, for pods are open until a policy selects them, and policies add up.
// https://kubernetes.io/docs/concepts/services-networking/network-policies/#the-two-sorts-of-pod-isolation
func isolates(previous *rendered.Stack, policy *rendered.Resource) bool {
	namespace, open, others := policy.Get("metadata", "namespace"), directionsOf(policy), false
	for _, r := range previous.Resources {
		if r.Get("metadata", "namespace") != namespace || namespace == nil {
			continue
		}
		if r.Kind() != "NetworkPolicy" {
			others = true
			continue
		}
		if len(rendered.Children("", r.Get("spec", "podSelector"))) == 0 {
			open = missing(open, directionsOf(r))
		}
	}
	return others && len(open) > 0
}

// narrows reports whether a network policy allows less than before, or applies to other pods or directions.
func narrows(before, after *rendered.Resource) bool {
	if !reflect.DeepEqual(before.Get("spec", "podSelector"), after.Get("spec", "podSelector")) ||
		!slices.Equal(directionsOf(before), directionsOf(after)) {
		return true
	}
	for direction, peers := range map[string]string{"ingress": "from", "egress": "to"} {
		allowed := rendered.List(after.Inputs, "spec", direction)
		for _, rule := range rendered.List(before.Inputs, "spec", direction) {
			if !slices.ContainsFunc(allowed, func(wider any) bool {
				return contains(rendered.List(wider, peers), rendered.List(rule, peers), widerPeer) &&
					contains(rendered.List(wider, "ports"), rendered.List(rule, "ports"), reflect.DeepEqual)
			}) {
				return true
			}
		}
	}
	return false
}

// directionsOf returns the directions that a network policy restricts.
func directionsOf(policy *rendered.Resource) []string {
	directions := texts(rendered.List(policy.Inputs, "spec", "policyTypes"))
	if len(directions) == 0 { // the default
		directions = []string{"Ingress"}
		if policy.Get("spec", "egress") != nil {
			directions = append(directions, "Egress")
		}
	}
	slices.Sort(directions)
	return directions
}

// contains reports whether each element of a list of peers or ports is in a wider list. An empty list allows all.
func contains(wider, list []any, covers func(wider, element any) bool) bool {
	if len(wider) == 0 || len(list) == 0 {
		return len(wider) == 0
	}
	return !slices.ContainsFunc(list, func(element any) bool {
		return !slices.ContainsFunc(wider, func(w any) bool { return covers(w, element) })
	})
}

// widerPeer reports whether a peer contains another one: it is the same, or a network around it.
func widerPeer(wider, peer any) bool {
	if reflect.DeepEqual(wider, peer) {
		return true
	}
	network := func(peer any) netip.Prefix {
		text, _ := rendered.Get(peer, "ipBlock", "cidr").(string)
		network, _ := netip.ParsePrefix(text) // an invalid one contains nothing
		return network
	}
	around, inside := network(wider), network(peer)
	return around.IsValid() && inside.IsValid() && around.Bits() <= inside.Bits() && around.Contains(inside.Addr()) &&
		len(missing(texts(rendered.List(wider, "ipBlock", "except")), texts(rendered.List(peer, "ipBlock", "except")))) == 0
}
