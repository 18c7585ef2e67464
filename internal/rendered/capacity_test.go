package rendered

import "testing"

// A number of replicas that is not known yet makes the sums unknown, rather than too small.
func TestCapacityOfUnknownReplicas(t *testing.T) {
	deployment := `kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, resources: {requests: {cpu: 100m, memory: 1Mi}}}]}}}
`
	for _, test := range []struct{ name, autoscaler, want string }{
		{"known", "maxReplicas: 3", "3 pods, 300m CPU, 3Mi"},
		{"unknown", "maxReplicas: '[unknown: my config app]'", "1 pod, 100m + [unknown] CPU, 1Mi + [unknown]"},
	} {
		const urn = "# urn: urn:pulumi:s::p::kubernetes:"
		stack, err := Parse("s", map[string]string{
			"outputs.yaml": "{}\n",
			"a.yaml":       deployment + urn + "apps/v1:Deployment::web\n",
			"b.yaml": "kind: HorizontalPodAutoscaler\nspec: {" + test.autoscaler + ", scaleTargetRef: {kind: Deployment, " +
				"name: web}}\n" + urn + "autoscaling/v2:HorizontalPodAutoscaler::web\n",
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := stack.Capacity().AtMax.String(); got != test.want {
			t.Errorf("%s: got %s, want %s", test.name, got, test.want)
		}
	}
}

// Limits of NodePools add up; one with taints is for others, and a missing limit is none.
func TestNodeLimits(t *testing.T) {
	const urn = "\n# urn: urn:pulumi:s::p::kubernetes:karpenter.sh/v1:NodePool::"
	for _, test := range []struct{ name, outputs, pool, want string }{
		{"none", "{}", "kind: Service", ""},
		{"an output", "requests: {nodeLimits: '32 CPU, 128Gi'}", "kind: Service", "32 CPU, 128Gi"},
		{"two", "{}", "kind: NodePool\nspec: {limits: {cpu: 4, memory: 8Gi}}", "6 CPU, 12Gi"},
		{"one without a limit", "{}", "kind: NodePool\nspec: {limits: {cpu: 4}}", "6 CPU, none"},
		{"one for others", "{}", "kind: NodePool\nspec: {template: {spec: {taints: [{key: a}]}}}", "2 CPU, 4Gi"},
	} {
		files := map[string]string{"outputs.yaml": test.outputs, "a.yaml": test.pool + urn + "a\n"}
		if test.pool != "kind: Service" {
			files["b.yaml"] = "kind: NodePool\nspec: {limits: {cpu: 2, memory: 4Gi}}" + urn + "b\n"
		}
		stack, err := Parse("s", files)
		if err != nil {
			t.Fatal(err)
		}
		if got, _, _ := stack.NodeLimits(); got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, got, test.want)
		}
	}
}
