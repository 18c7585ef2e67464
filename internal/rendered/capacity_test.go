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
