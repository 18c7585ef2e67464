package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// fake is a cluster with objects by kind, as YAML.
type fake struct {
	t       *testing.T
	objects map[string]string
}

func (f fake) get(_ context.Context, args ...string) ([]any, error) {
	content, found := f.objects[args[0]]
	line := strings.Join(args, " ")
	if !found || strings.Contains(line, "--selector app=redis") {
		return nil, nil
	}
	if args[0] == "pods" && !strings.Contains(line, "--all-namespaces") {
		content = strings.ReplaceAll(content, ", "+other, "")
	}
	var list []any
	if err := yaml.Unmarshal([]byte(content), &list); err != nil {
		f.t.Fatal(err)
	}
	return list, nil
}

const golden = `-- tree.txt --
x
-- outputs.yaml --
{}
-- provider.yaml --
context: kind-shop
# urn: urn:pulumi:s::p::pulumi:providers:kubernetes::cluster
-- deployment.yaml --
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  strategy: {rollingUpdate: {maxSurge: 1}}
  selector: {matchLabels: {app: web}}
  template: {spec: {containers: [{name: web, resources: {requests: {cpu: 100m, memory: 64Mi}}}]}}
# urn: urn:pulumi:s::p::kubernetes:apps/v1:Deployment::web
-- statefulset.yaml --
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis, namespace: shop}
spec:
  selector: {matchLabels: {app: redis}}
  template: {spec: {containers: [{name: redis, resources: {requests: {cpu: 100m, memory: 64Mi}}}]}}
# urn: urn:pulumi:s::p::kubernetes:apps/v1:StatefulSet::redis
-- hpa.yaml --
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec:
  maxReplicas: 9
  metrics:
    - {type: ContainerResource, containerResource: {name: cpu, container: web, target: {averageUtilization: 60}}}
  scaleTargetRef: {kind: Deployment, name: web}
# urn: urn:pulumi:s::p::kubernetes:autoscaling/v2:HorizontalPodAutoscaler::web
`

const (
	pod = `{metadata: {name: web-0123-a, namespace: shop, labels: {pod-template-hash: "0123"},
  ownerReferences: [{kind: ReplicaSet, name: web-0123}]}, spec: {nodeName: a,
  containers: [{name: web, resources: {requests: {cpu: 100m}}}]}}`
	other = `{metadata: {name: other, namespace: else}, spec: {nodeName: a,
  containers: [{name: x, resources: {requests: {cpu: "3", memory: 1Gi}}}]}}`
)

var (
	ofPods = [2]string{"ContainerResource, containerResource: {name: cpu, container: web,",
		"Resource, resource: {name: cpu,"}
	tolerating = [2]string{"template: {spec: {containers: [{name: web", "template: {spec: {tolerations: [{key: apps, " +
		"operator: Exists}], containers: [{name: web"}
)

// healthy returns a cluster in which nothing is in the way: 1.1 CPU of 4.5 are needed, and 3 are taken.
func healthy(t *testing.T) map[string]string {
	t.Helper()
	return map[string]string{
		"apiservices.apiregistration.k8s.io": `[{spec: {service: {namespace: kube-system, name: metrics-server}},
  status: {conditions: [{type: Available, status: "True"}]}}]`,
		"pods": "[" + pod + ", " + other + "]",
		"horizontalpodautoscalers.autoscaling": `[{kind: HorizontalPodAutoscaler, metadata: {name: web, namespace: shop},
  spec: {scaleTargetRef: {kind: Deployment, name: web}}}]`,
		"nodes": `[{metadata: {name: a}, status: {allocatable: {cpu: 4500m, memory: 8Gi}}},
  {metadata: {name: b}, spec: {taints: [{effect: NoSchedule}]}, status: {allocatable: {cpu: "64", memory: 8Gi}}}]`,
	}
}

func TestPreflight(t *testing.T) {
	for _, test := range []struct {
		name, kind, objects string
		golden              [2]string
		inPool              bool // whether a NodePool created the nodes
		blocked             bool
		want                string
	}{
		{name: "nothing", want: "nothing keeps the autoscaler from working"},
		{name: "no metrics API", kind: "apiservices.apiregistration.k8s.io", objects: "[]", blocked: true,
			want: "no metrics API"},
		{name: "a broken metrics API", kind: "apiservices.apiregistration.k8s.io", blocked: true,
			objects: `[{status: {conditions: [{type: Available, status: "False", message: no endpoints}]}}]`,
			want:    "does not answer: no endpoints"},
		{name: "another metrics API", blocked: true, golden: [2]string{"-- hpa.yaml --",
			"-- apiservice.yaml --\nkind: APIService\nmetadata: {name: v1beta1.metrics.k8s.io}\n" +
				"# urn: urn:pulumi:s::p::kubernetes:apiregistration.k8s.io/v1:APIService::x\n-- hpa.yaml --"},
			want: "belongs to kube-system/metrics-server, and the stack installs another one"},
		{name: "a foreign pod", kind: "pods", blocked: true,
			objects: "[" + strings.Replace(pod, "web-0123}", "api-0123}", 1) + "]",
			want:    "Pod shop/web-0123-a of ReplicaSet api-0123 has the labels of Deployment shop/web"},
		{name: "a sidecar", kind: "pods",
			objects: "[" + strings.Replace(pod, "[{name: web,", "[{name: proxy}, {name: web,", 1) + "]",
			want:    "warning  Container proxy in the pods of Deployment shop/web is not the stack's"},
		{name: "a sidecar that counts", kind: "pods", blocked: true,
			objects: "[" + strings.Replace(pod, "[{name: web,", "[{name: proxy}, {name: web,", 1) + "]",
			golden:  ofPods, want: "error    Container proxy"},
		{name: "a native sidecar", kind: "pods", blocked: true, golden: ofPods,
			objects: "[" + strings.Replace(pod, "containers:",
				"initContainers: [{name: proxy, restartPolicy: Always}], containers:", 1) + "]",
			want: "error    Container proxy"},
		{name: "an init container", kind: "pods", golden: ofPods,
			objects: "[" + strings.Replace(pod, "containers:", "initContainers: [{name: proxy}], containers:", 1) + "]",
			want:    "nothing keeps"},
		{name: "a finished pod", kind: "pods",
			objects: "[" + strings.Replace(pod, "web-0123},", "api-0123}, status: {phase: Succeeded},", 1) + "]",
			want:    "nothing keeps"},
		{name: "a vertical one for memory", kind: "verticalpodautoscalers.autoscaling.k8s.io",
			objects: `[{kind: VerticalPodAutoscaler, metadata: {name: rival, namespace: shop}, spec: {resourcePolicy:
  {containerPolicies: [{containerName: "*", controlledResources: [memory]}]},
  targetRef: {kind: Deployment, name: web}}}]`,
			want: "nothing keeps"},
		{name: "no KEDA", blocked: true, golden: [2]string{"kind: HorizontalPodAutoscaler", "kind: ScaledObject"},
			want: "The cluster has no KEDA"},
		{name: "another autoscaler", kind: "horizontalpodautoscalers.autoscaling", blocked: true,
			objects: `[{kind: HorizontalPodAutoscaler, metadata: {name: rival, namespace: shop},
  spec: {scaleTargetRef: {kind: Deployment, name: web}}}]`,
			want: "HorizontalPodAutoscaler shop/rival also scales Deployment shop/web"},
		{name: "KEDA", kind: "scaledobjects.keda.sh", blocked: true,
			objects: `[{kind: ScaledObject, metadata: {name: rival, namespace: shop}, spec: {scaleTargetRef: {name: web}}}]`,
			want:    "ScaledObject shop/rival also scales"},
		{name: "a vertical one", kind: "verticalpodautoscalers.autoscaling.k8s.io", blocked: true,
			objects: `[{kind: VerticalPodAutoscaler, metadata: {name: rival, namespace: shop},
  spec: {targetRef: {kind: Deployment, name: web}}}]`, want: "VerticalPodAutoscaler shop/rival also scales"},
		{name: "a vertical one that only recommends", kind: "verticalpodautoscalers.autoscaling.k8s.io",
			objects: `[{kind: VerticalPodAutoscaler, metadata: {name: rival, namespace: shop},
  spec: {updatePolicy: {updateMode: "Off"}, targetRef: {kind: Deployment, name: web}}}]`, want: "nothing keeps"},
		{name: "that of another workload", kind: "horizontalpodautoscalers.autoscaling",
			objects: `[{kind: HorizontalPodAutoscaler, metadata: {name: rival, namespace: shop},
  spec: {scaleTargetRef: {kind: Deployment, name: api}}}]`, want: "nothing keeps"},
		{name: "a quota", kind: "resourcequotas", blocked: true,
			objects: `[{metadata: {name: small, namespace: shop}, spec: {hard: {requests.cpu: 1500m, pods: 8}}}]`,
			want:    "ResourceQuota shop/small allows 8 of pods; the stack needs 11"},
		{name: "a large quota", kind: "resourcequotas",
			objects: `[{metadata: {name: large, namespace: shop}, spec: {hard: {requests.cpu: "5", pods: 20}}}]`,
			want:    "nothing keeps"},
		{name: "a quota of limits", kind: "resourcequotas",
			blocked: true, objects: `[{metadata: {name: q, namespace: shop}, spec: {hard: {limits.cpu: "1", services: 0}}}]`,
			want: "error    ResourceQuota shop/q limits limits.cpu, so the API server refuses the pods of " +
				"Deployment shop/web: container web sets none"},
		{name: "a quota of objects", kind: "resourcequotas", blocked: true,
			objects: `[{metadata: {name: q, namespace: shop}, spec: {hard: {count/pods: 10}}}]`,
			want:    "allows 10 of count/pods; the stack needs 11 at its maximum in a rollout, others use 0"},
		{name: "small nodes", kind: "nodes",
			objects: `[{metadata: {name: a}, status: {allocatable: {cpu: "4", memory: 8Gi}}}]`,
			want:    "warning  The nodes that exist now have 4 of cpu; the stack needs 1100m"},
		{name: "a small NodePool", kind: "nodepools.karpenter.sh", inPool: true, blocked: true,
			objects: `[{spec: {limits: {cpu: "1", memory: 8Gi}}}, {spec: {template: {spec: {taints: [{effect: NoSchedule}]}}}}]`,
			want: "error    The NodePools, with the nodes outside of them, have 1 of cpu; the stack needs 1100m " +
				"at its maximum in a rollout, " +
				"other pods request 3"},
		{name: "a NodePool that the pods tolerate", kind: "nodepools.karpenter.sh", golden: tolerating,
			objects: `[{spec: {limits: {cpu: "64", memory: 64Gi},
  template: {spec: {taints: [{key: apps, effect: NoSchedule}]}}}}]`,
			want: "nothing keeps"},
		{name: "a NodePool beside nodes", kind: "nodepools.karpenter.sh",
			objects: `[{spec: {limits: {cpu: "1", memory: 8Gi}}}]`, want: "nothing keeps"},
		{name: "a NodePool of another architecture", kind: "nodepools.karpenter.sh", blocked: true,
			golden: [2]string{"template: {spec: {containers: [{name: web", "template: {spec: {nodeSelector: {arch: amd64}, " +
				"containers: [{name: web"},
			objects: `[{spec: {template: {spec: {requirements: [{key: arch, operator: In, values: [arm64]}],
  taints: [{effect: NoSchedule}]}}}}]`,
			want: "The NodePools, with the nodes outside of them, have 0 of cpu"},
		{name: "a NodePool with one limit", kind: "nodepools.karpenter.sh", inPool: true, blocked: true,
			objects: `[{spec: {limits: {cpu: "1"}}}]`, want: "the nodes outside of them, have 1 of cpu"},
		{name: "a quota for some pods", kind: "resourcequotas",
			objects: `[{metadata: {name: best, namespace: shop}, spec: {scopes: [BestEffort], hard: {pods: 1}}}]`,
			want:    "warning  ResourceQuota shop/best is for some pods only"},
		{name: "a NodePool without a limit", kind: "nodepools.karpenter.sh", objects: "[{spec: {}}]", want: "nothing keeps"},
		{name: "no autoscaler", golden: [2]string{"name: web}\n# urn: urn:pulumi:s::p::kubernetes:autoscaling",
			"name: api}\n# urn: urn:pulumi:s::p::kubernetes:autoscaling"}, want: "the stack has no autoscaler"},
	} {
		t.Run(test.name, func(t *testing.T) {
			objects := healthy(t)
			if test.kind != "" {
				objects[test.kind] = test.objects
			}
			if test.inPool {
				objects["nodes"] = strings.Replace(objects["nodes"], "name: a",
					"name: a, labels: {karpenter.sh/nodepool: x}", 1)
			}
			context, out := "", bytes.Buffer{}
			blocked, err := run(t.Context(), func(given string) cluster {
				context = given
				return fake{t, objects}
			}, strings.NewReader(strings.Replace(golden, test.golden[0], test.golden[1], 1)), &out)
			if err != nil || blocked != test.blocked || !strings.Contains(out.String(), test.want) {
				t.Errorf("got %t, %v: %s, want %t, %q", blocked, err, out.String(), test.blocked, test.want)
			}
			if context != "kind-shop" && test.name != "no autoscaler" {
				t.Errorf("the context of the stack: got %q", context)
			}
		})
	}
}

func TestSelector(t *testing.T) {
	var value any
	err := yaml.Unmarshal([]byte(`{matchLabels: {b: x, a: y}, matchExpressions: [
  {key: c, operator: In, values: [d, e]}, {key: f, operator: NotIn, values: [g]},
  {key: h, operator: Exists}, {key: i, operator: DoesNotExist}]}`), &value)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := selector(value), "a=y,b=x,c in (d,e),f notin (g),h,!i"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestPreflightNeedsAContext(t *testing.T) {
	_, err := kubectl{}.get(t.Context(), "pods")
	if err == nil || !strings.Contains(fmt.Sprint(err), "set CONTEXT=NAME") {
		t.Errorf("got %v", err)
	}
	if _, err := run(t.Context(), nil, strings.NewReader(""), nil); err == nil {
		t.Error("got no error without golden files")
	}
}
