package cost

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/scaleout/internal/rendered"
)

var update = flag.Bool("update", false, "write docs/cost.md instead of comparing it")

func table(t *testing.T) *Table {
	t.Helper()
	prices, err := Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return prices
}

// TestRendered compares docs/cost.md with the golden files of the stacks that teams edit, so `make golden-check` runs
// it, and `make test` does not.
func TestRendered(t *testing.T) {
	files, _ := filepath.Glob("../../Pulumi.*.yaml") // fails only for a bad pattern
	more, _ := filepath.Glob("../../*/Pulumi.*.yaml")
	var stacks []*rendered.Stack
	for _, file := range append(more, files...) {
		folder, base := filepath.Split(file)
		stack := strings.TrimSuffix(strings.TrimPrefix(base, "Pulumi."), ".yaml")
		golden, _ := filepath.Glob(filepath.Join(folder, "testdata", "golden", stack, "*"))
		contents := map[string]string{}
		for _, path := range golden {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			contents[filepath.Base(path)] = string(content)
		}
		if len(contents) == 0 {
			continue // a stack file in testdata, or one that git ignores
		}
		name := strings.TrimPrefix(folder, "../../") + stack
		parsed, err := rendered.Parse(name, contents)
		if err != nil {
			t.Fatal(err)
		}
		stacks = append(stacks, parsed)
	}
	want, err := table(t).Page(stacks)
	if err != nil {
		t.Fatal(err)
	}
	path := "../../docs/cost.md"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s (%v) does not follow from the prices and the golden files; run: make golden", path, err)
	}
}

func TestEstimate(t *testing.T) {
	prices := table(t)
	pods := func(replicas string, resources string) string {
		return "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: " + replicas +
			"\n  template:\n    spec:\n      containers:\n        - resources:\n            requests: " + resources + "\n"
	}
	hpa := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata:\n  name: web\nspec:\n  minReplicas: 1\n" +
		"  maxReplicas: 10\n  scaleTargetRef:\n    kind: Deployment\n    name: web\n"
	ingress := "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n  annotations:\n" +
		"    alb.ingress.kubernetes.io/target-type: ip\n    alb.ingress.kubernetes.io/scheme: "
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: x}\n" +
		"spec: {storageClassName: gp3, resources: {requests: {storage: 10Gi}}}\n"
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {type: LoadBalancer}\n"
	for _, test := range []struct {
		name      string
		resources map[string]string // inputs by type
		want      Month
		unknown   string
	}{
		{"nothing of AWS", map[string]string{"kubernetes:apps/v1:Deployment": pods("3", "{cpu: 100m}")}, Month{}, ""},
		{"a cluster", map[string]string{"aws:eks/cluster:Cluster": "{}\n", "aws:kms/key:Key": "{}\n"}, Month{74, 74, 74}, ""},
		{
			"endpoints",
			map[string]string{"aws:ec2/vpcEndpoint:VpcEndpoint": "vpcEndpointType: Interface\nsubnetIds: [a, b, c]\n"},
			Month{21.9, 21.9, 21.9}, ""},
		{"free", map[string]string{"aws:ec2/vpc:Vpc": "{}\n"}, Month{}, ""},
		{"unknown", map[string]string{"aws:rds/instance:Instance": "{}\n"}, Month{}, "[aws:rds:Instance x]"},
		{"a cache", map[string]string{"aws:elasticache/replicationGroup:ReplicationGroup": "engine: valkey\n" +
			"nodeType: cache.t4g.small\nnumCacheClusters: 2\n"}, Month{37.376, 37.376, 37.376}, ""},
		{"an unknown cache", map[string]string{"aws:elasticache/replicationGroup:ReplicationGroup": "engine: valkey\n" +
			"nodeType: cache.r7g.large\nnumCacheClusters: 2\n"}, Month{},
			"[aws:elasticache:ReplicationGroup x: nodes valkey-cache.r7g.large]"},
		{"a serverless cache", map[string]string{"aws:elasticache/serverlessCache:ServerlessCache": "engine: redis\n"},
			Month{91.25, 91.25, 91.25}, ""},
		{"a volume", map[string]string{"aws:ec2/vpc:Vpc": "{}\n", "kubernetes:core/v1:PersistentVolumeClaim": claim},
			Month{0.8, 0.8, 0.8}, ""},
		{
			"a public load balancer",
			map[string]string{"kubernetes:networking.k8s.io/v1:Ingress": ingress + "internet-facing\n"},
			Month{27.375, 27.375, 27.375}, ""},
		{"an internal one", map[string]string{"kubernetes:networking.k8s.io/v1:Ingress": ingress + "internal\n"},
			Month{16.425, 16.425, 16.425}, ""},
		{"the load balancer of a Service", map[string]string{
			"aws:ec2/vpc:Vpc": "{}\n", "kubernetes:core/v1:Service": service,
		}, Month{}, "[Service x: load balancer of a Service]"},
		// One node at the minimum, three at the maximum, two at 0.3 of the way: 3.7 CPU of 1.93.
		{"nodes", map[string]string{
			"aws:ec2/vpc:Vpc": "{}\n", "kubernetes:apps/v1:Deployment": pods("1", "{cpu: '1', memory: 128Mi}"),
			"kubernetes:autoscaling/v2:HorizontalPodAutoscaler": strings.Replace(hpa, "10", "4", 1),
		}, Month{62.5464, 187.6392, (12*1 + 10*1 + 2*3) / 24.0 * 62.5464}, ""},
		{"nodes for memory", map[string]string{
			"aws:ec2/vpc:Vpc": "{}\n", "kubernetes:apps/v1:Deployment": pods("2", "{cpu: 10m, memory: 2Gi}"),
		}, Month{125.0928, 125.0928, 125.0928}, ""},
	} {
		files := map[string]string{"tree.txt": "x", "outputs.yaml": "{}\n"}
		for typ, inputs := range test.resources {
			files[strings.ReplaceAll(typ, "/", "-")+".yaml"] = inputs + "# urn: urn:pulumi:s::p::" + typ + "::x\n"
		}
		s, err := rendered.Parse(test.name, files)
		if err != nil {
			t.Fatal(err)
		}
		got := prices.Estimate(s)
		off := got.Total.Minus(test.want)
		if max(off.AtMin, -off.AtMin, off.AtMax, -off.AtMax, off.Profile, -off.Profile) > 0.01 {
			t.Errorf("%s: got %+v, want %+v", test.name, got.Total, test.want)
		}
		if unknown := fmt.Sprint(got.Unknown); unknown != cmpOr(test.unknown) {
			t.Errorf("%s: unknown: got %s, want %s", test.name, unknown, test.unknown)
		}
	}
}

func cmpOr(unknown string) string {
	if unknown == "" {
		return "[]"
	}
	return unknown
}

// A table with a hole is refused with everything that is missing.
func TestTableWithAHole(t *testing.T) {
	for _, test := range []struct {
		old, new string
		want     []string
	}{
		{"region: us-east-1", "", []string{"region is missing"}},
		{"  kms:\n    name: KMS key\n", "  other:\n    name: KMS key\n", []string{"prices.kms is missing"}},
		{"usd: 0.045", "usd: 0", []string{"has no usd above 0"}},
		{"usd: 0.045", "usd: free", []string{"cannot unmarshal"}},
		{"source: ipv4", "source: somebody", []string{`prices.address: sources has no "somebody"`}},
		{"date: 2024-02-01", "date: February", []string{"sources.ipv4 has no url, or no date"}},
		{"hours: 12", "hours: 13", []string{"the hours of the day are 25, not 24"}},
		{"share: 0.3", "share: 3", []string{"the share 3 is not between 0 and 1"}},
		{"cpu: 1930m", "cpu: many", []string{"node.cpu or node.memory is no quantity"}},
		{"    setting:", "    settings:", []string{"field settings not found"}},
	} {
		content := strings.Replace(string(embedded), test.old, test.new, 1)
		if content == string(embedded) {
			t.Fatalf("%q is not in prices.yaml", test.old)
		}
		_, err := Parse([]byte(content))
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", test.new, err, want)
			}
		}
	}
}
