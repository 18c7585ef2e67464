package review

import (
	"fmt"
	"strings"
	"testing"
)

// object returns a golden file of an object.
func object(kind, name, body string) string {
	return fmt.Sprintf("kind: %s\nmetadata: {name: %s, namespace: shop}\n%s\n"+
		"# urn: urn:pulumi:s::p::kubernetes:x/v1:%[1]s::%[2]s\n", kind, name, body)
}

// What a change of one object does: each case replaces a text in it.
func TestUpdates(t *testing.T) {
	policy := object("NetworkPolicy", "web", `spec:
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
    - to: [{podSelector: {matchLabels: {app: redis}}}, {ipBlock: {cidr: 10.0.0.0/20}}]
      ports: [{port: 6379}]`)
	route := object("HTTPRoute", "web", `spec:
  parentRefs: [{name: gateway}]
  hostnames: [a.test]
  rules: [{matches: [{path: {type: PathPrefix, value: /shop}}, {path: {type: Exact, value: /cart}}]}]`)
	ingress := object("Ingress", "web", `spec: {rules: [{host: a.test, http: {paths: [
  {path: /, pathType: Prefix, backend: {service: {name: web}}},
  {path: /api, pathType: Prefix, backend: {service: {name: web}}}]}}]}`)
	service := object("Service", "web", "spec: {ports: [{name: http, port: 80, targetPort: http}]}")
	fixed := object("Deployment", "web", "spec: {replicas: 10}")
	stateful := object("StatefulSet", "db",
		"spec: {replicas: 3, persistentVolumeClaimRetentionPolicy: {whenScaled: Delete}}")
	for _, test := range []struct {
		name, content, old, new string
		class                   Class
		want                    string
	}{
		{"a rule is added", policy, "egress:\n", "egress:\n    - ports: [{port: 53}]\n", InPlace, ""},
		{"a network is inserted", policy, "to: [", "to: [{ipBlock: {cidr: 10.9.0.0/16}}, ", InPlace, ""},
		{"a wider network", policy, "/20", "/8", InPlace, ""},
		{"all ports", policy, "ports: [{port: 6379}]", "ports: []", InPlace, ""},
		{"another direction", policy, "[Egress]", "[Ingress, Egress]", Outage, "no longer allows"},
		{"a label more", policy, "app: redis", "app: redis, tier: x", Outage, "no longer allows"},
		{"other pods", policy, "app: web", "app: api", Outage, "no longer allows"},
		{"a narrower network", policy, "/20", "/21", Outage, "no longer allows"},
		{"an exception", policy, "10.0.0.0/20", "10.0.0.0/20, except: [10.0.1.0/24]", Outage, "no longer allows"},
		{"all peers to one", policy, "ports: [{port: 6379}]", "ports: [{port: 6380}]", Outage, "no longer allows"},

		{"another host", route, "hostnames: [a.test]", "hostnames: [b.test]", Outage, "`a.test/shop`"},
		{"all hosts", route, "hostnames: [a.test]", "hostnames: []", InPlace, ""},
		{"another path", route, "value: /shop", "value: /s", Outage, "No longer served: `a.test/shop`"},
		{"a path above", route, "value: /shop", "value: /", InPlace, ""},
		{"another Gateway", route, "name: gateway", "name: other", Outage, "A Gateway no longer serves it"},

		{"a path below another one", ingress,
			",\n  {path: /api, pathType: Prefix, backend: {service: {name: web}}}", "", InPlace, ""},
		{"the path above", ingress, "path: /,", "path: /x,", Outage, "No longer served: `a.test/`."},
		{"another Service", ingress, "{path: /, pathType: Prefix, backend: {service: {name: web}}}",
			"{path: /, pathType: Prefix, backend: {service: {name: api}}}", Outage, "Requests to `a.test/` go to another"},

		{"another port of the pods", service, "targetPort: http", "targetPort: 9999", Outage, "another port of the pods"},
		{"no number any more", fixed, "replicas: 10", "paused: false", Outage, "All pods but one stop at once"},
		{"none", fixed, "replicas: 10", "replicas: 0", Outage, "No pod is left"},
		{"fewer", fixed, "replicas: 10", "replicas: 5", InPlace, ""},
		{"fewer pods with claims", stateful, "replicas: 3", "replicas: 2", DataLoss, "whenScaled"},
		{"more pods with claims", stateful, "replicas: 3", "replicas: 4", InPlace, ""},
	} {
		if !strings.Contains(test.content, test.old) {
			t.Fatalf("%s: there is no %q", test.name, test.old)
		}
		r := reviewed(t, map[string]string{"s/a.yaml": test.content},
			map[string]string{"s/a.yaml": strings.Replace(test.content, test.old, test.new, 1)})
		if worst, _ := r.worst(); worst != test.class || !strings.Contains(fmt.Sprint(found(r)), test.want) {
			t.Errorf("%s: got %s, %v; want %s, %q", test.name, worst, found(r), test.class, test.want)
		}
	}
}

// A new network policy is an outage only for pods that no other one selects.
func TestNewNetworkPolicy(t *testing.T) {
	pods := object("Deployment", "web", "spec: {}")
	added := object("NetworkPolicy", "new", "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}")
	for _, test := range []struct {
		name, other string
		want        Class
	}{
		{"no policy", "", Outage},
		{"one that denies all", "spec: {podSelector: {}, policyTypes: [Ingress, Egress]}", Addition},
		{"one for the other direction", "spec: {podSelector: {}}", Outage},
		{"one for some pods", "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}", Outage},
	} {
		before := map[string]string{"s/a.yaml": pods}
		if test.other != "" {
			before["s/b.yaml"] = object("NetworkPolicy", "old", test.other)
		}
		after := map[string]string{"s/a.yaml": pods, "s/b.yaml": before["s/b.yaml"], "s/c.yaml": added}
		if test.other == "" {
			delete(after, "s/b.yaml")
		}
		if worst, _ := reviewed(t, before, after).worst(); worst != test.want {
			t.Errorf("%s: got %s, want %s", test.name, worst, test.want)
		}
	}
}

// Pods restart for a change of a ConfigMap whose checksum is known only after an update.
func TestRestartForAConfigMap(t *testing.T) {
	config := func(name, fsync string) string {
		return object("ConfigMap", name, "data: {redis.conf: appendfsync "+fsync+"}")
	}
	pods := func(checksum string) string {
		return object("StatefulSet", "redis", `spec: {template: {metadata: {annotations: {checksum/config: "`+checksum+
			`"}}, spec: {volumes: [{name: c, configMap: {name: redis-config}}, {name: data, emptyDir: {}}]}}}`)
	}
	for _, test := range []struct {
		name, config, checksum string
		want                   Class
	}{
		{"an unknown checksum", "redis-config", "[unknown: pulumi stash key]", DataLoss},
		{"a known checksum", "redis-config", "0123", InPlace},
		{"another ConfigMap", "other", "[unknown: pulumi stash key]", InPlace},
	} {
		r := reviewed(t, map[string]string{"s/a.yaml": config(test.config, "no"), "s/b.yaml": pods(test.checksum)},
			map[string]string{"s/a.yaml": config(test.config, "always"), "s/b.yaml": pods(test.checksum)})
		if worst, _ := r.worst(); worst != test.want {
			t.Errorf("%s: got %s, %v; want %s", test.name, worst, found(r), test.want)
		}
	}
}

// A container that is removed is missed only if no other one serves in its place.
func TestRemovedContainer(t *testing.T) {
	container := func(name string) string {
		return "name: " + name + "\nnetworksAdvanced: [{name: n, aliases: [web]}]\n" +
			"# urn: urn:pulumi:s::p::my:index:App$docker:index/container:Container::" + name + "\n"
	}
	one, both := map[string]string{"s/a.yaml": container("a")},
		map[string]string{"s/a.yaml": container("a"), "s/b.yaml": container("b")}
	if worst, _ := reviewed(t, both, one).worst(); worst != Replacement {
		t.Errorf("one of two: got %s", worst)
	}
	if worst, _ := reviewed(t, one, map[string]string{"s/c.yaml": object("ConfigMap", "c", "")}).worst(); worst != Outage {
		t.Errorf("the only one: got %s", worst)
	}
}

// What is replaced has the name of what is lost.
func TestTitleOfAReplacement(t *testing.T) {
	claim := object("PersistentVolumeClaim", "data", "")
	r := reviewed(t, map[string]string{"s/a.yaml": claim},
		map[string]string{"s/a.yaml": strings.Replace(claim, "name: data", "name: other", 1)})
	if _, ok := found(r)["Data loss PersistentVolumeClaim shop/data"]; !ok {
		t.Errorf("got %v", found(r))
	}
}
