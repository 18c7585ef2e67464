package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/scaleout/internal/rendered"
)

// stack returns a stack with resources, each YAML with its type in the first line.
func stack(t *testing.T, outputs string, resources ...string) *Stack {
	t.Helper()
	files := map[string]string{"tree.txt": "x", "outputs.yaml": outputs + "\n"}
	for i, resource := range resources {
		typ, inputs, _ := strings.Cut(resource, "\n")
		inputs, options, _ := strings.Cut(inputs, "# options")
		if options != "" {
			inputs += "# options" + strings.TrimSuffix(options, "\n") + "\n"
		}
		files[fmt.Sprint(i, ".yaml")] = fmt.Sprintf("%s# urn: urn:pulumi:s::p::%s::r%d\n", inputs, typ, i)
	}
	parsed, err := rendered.Parse("test", files)
	if err != nil {
		t.Fatal(err)
	}
	return &Stack{parsed, map[string]any{}}
}

const (
	deployment = `kubernetes:apps/v1:Deployment
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec:
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: web
          image: registry.example/web@sha256:0123
          env: [{name: PASSWORD_FILE, value: /etc/password}, {name: TOKEN, value: "[secret]"}]
          resources: {requests: {cpu: 100m}}
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`
	autoscaler = `kubernetes:autoscaling/v2:HorizontalPodAutoscaler
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {minReplicas: 2, maxReplicas: 10, scaleTargetRef: {kind: Deployment, name: web}}
`
	budget = `kubernetes:policy/v1:PodDisruptionBudget
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: shop}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: web}}}
`
	ingress = `kubernetes:networking.k8s.io/v1:Ingress
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: web
  namespace: shop
  annotations:
    alb.ingress.kubernetes.io/target-type: ip
    alb.ingress.kubernetes.io/scheme: internet-facing
    alb.ingress.kubernetes.io/listen-ports: '[{"HTTP":80},{"HTTPS":443}]'
    alb.ingress.kubernetes.io/ssl-redirect: "443"
spec: {rules: [{host: app.example.com}]}
`
	claim = `kubernetes:core/v1:PersistentVolumeClaim
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data, namespace: shop}
# options:
#   protect: true
`
	service = `kubernetes:core/v1:Service
apiVersion: v1
kind: Service
metadata: {name: redis, namespace: shop}
spec: {type: ClusterIP, ports: [{port: 6379}]}
`
	settings = `kubernetes:core/v1:ConfigMap
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {LOG_LEVEL: debug}
`
	secret = `kubernetes:core/v1:Secret
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: shop}
data: {KEY: "[secret]"}
`
	database = `aws:rds/instance:Instance
publiclyAccessible: false
tags: {team: shop}
# options:
#   protect: true
`
	repository = `aws:ecr/repository:Repository
name: shop
tags: {team: shop}
`
	group = `aws:ec2/securityGroup:SecurityGroup
ingress: [{fromPort: 6379, cidrBlocks: [10.0.0.0/16]}]
`
	container = `docker:index/container:Container
image: docker.io/library/redis@sha256:4567
envs: ["REDIS_HOST=redis", "TOKEN=[secret]"]
ports: [{internal: 6379, ip: 127.0.0.1}]
`
	built = `docker:index/image:Image
build: {args: {VERSION: "1"}}
`
	remote = `docker:index/remoteImage:RemoteImage
name: docker.io/library/redis@sha256:0123
`
)

var good = []string{deployment, autoscaler, budget, ingress, claim, service, settings, secret, database, repository,
	group, container, built, remote}

const limits = "requests: {nodeLimits: '32 CPU, 128Gi'}"

func TestGoodStack(t *testing.T) {
	s := stack(t, limits, good...)
	for _, rule := range rules() {
		if got := rule.Check(s); len(got) > 0 {
			t.Errorf("%s: got %v", rule.ID, got)
		}
	}
}

func TestLimitsThatCannotBeRead(t *testing.T) {
	s := stack(t, "requests: {nodeLimits: many}", good...)
	if got := fmt.Sprint(workloadRules[2].Check(s)); !strings.Contains(got, `nodeLimits is "many"`) {
		t.Errorf("got %s", got)
	}
}

// Each change violates one rule.
func TestRules(t *testing.T) {
	violated := map[string]bool{}
	for _, test := range []struct{ rule, old, new, want string }{
		{"autoscaler-owns-replicas", "spec:\n  template", "spec:\n  replicas: 3\n  template", "has 3 replicas"},
		{"autoscaler-needs-request", "{requests: {cpu: 100m}}", "{}", "container web has no CPU request"},
		{"room-for-maximum", "cpu: 100m", "cpu: '3'", "39 of CPU at maximum scale in a rollout, limit 32"},
		{"image-by-digest", "web@sha256:0123", "web:1.0", "image registry.example/web:1.0 has no digest"},
		{"image-by-digest", "redis@sha256:0123", "redis:8", "image docker.io/library/redis:8"},
		{"image-with-version", "web@sha256:0123", "web", "registry.example/web has no version"},
		{"image-with-version", "web@sha256:0123", "web:latest", "has no version"},
		{"restricted-pods", "drop: [ALL]", "drop: [NET_RAW]", "unrestricted capabilities"},
		{"restricted-pods", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot != true"},
		{"no-plain-secret", `value: "[secret]"`, "value: hunter2",
			"Deployment shop/web, container web, variable TOKEN is plain text"},
		{"no-plain-secret", `KEY: "[secret]"`, "KEY: aHVudGVyMg==", "key KEY"},
		{"no-plain-secret", "LOG_LEVEL: debug", "DB_PASSWORD: hunter2", "key DB_PASSWORD"},
		{"no-plain-secret", `TOKEN=[secret]`, "TOKEN=hunter2", "variable TOKEN"},
		{"no-plain-secret", "LOG_LEVEL: debug", "URL: postgres://u:hunter2@db/x", "key URL"},
		{"no-plain-secret", "LOG_LEVEL: debug", "AWS_SECRET_ACCESS_KEY: x", "key AWS_SECRET_ACCESS_KEY"},
		{"no-plain-secret", "LOG_LEVEL: debug", "SECRET_KEY_BASE: x", "key SECRET_KEY_BASE"},
		{"no-plain-secret", "LOG_LEVEL: debug", "REDIS_AUTH: x", "key REDIS_AUTH"},
		{"no-plain-secret", "LOG_LEVEL: debug", "DB_PASS: x", "key DB_PASS"},
		{"no-plain-secret", "LOG_LEVEL: debug", "DATABASE: Server=db;Password=x;", "key DATABASE"},
		{"no-plain-secret", `VERSION: "1"`, "NPM_TOKEN: hunter2", "build argument NPM_TOKEN"},
		{"budget-can-be-met", "maxUnavailable: 1", "maxUnavailable: 0", "maxUnavailable 0 of the 2 pods"},
		{"budget-can-be-met", "maxUnavailable: 1", "minAvailable: 100%", "minAvailable 100% of the 2 pods"},
		{"budget-can-be-met", "maxUnavailable: 1", "minAvailable: 2", "minAvailable 2 of the 2 pods"},
		{"budget-exists", "matchLabels: {app: web}", "matchLabels: {app: other}", "has no disruption budget"},
		{"budget-exists", "matchLabels: {app: web}", "matchExpressions: [{key: app, operator: In, values: [other]}]",
			"has no disruption budget"},
		{"tls-at-load-balancer", `,{"HTTPS":443}`, "", "does not listen for HTTPS"},
		{"tls-at-load-balancer", "ssl-redirect", "other", "HTTP without a redirect"},
		{"tls-at-ingress", "target-type", "other", "has a host and no spec.tls"},
		{"no-public-database", "type: ClusterIP", "type: LoadBalancer", "publishes port 6379"},
		{"no-public-database", "type: ClusterIP, ports: [{port: 6379}]",
			"type: LoadBalancer, ports: [{port: 80, targetPort: 6379}]", "publishes port 6379"},
		{"no-public-database", "securityGroup:SecurityGroup\ningress: [{fromPort: 6379, cidrBlocks: [10.0.0.0/16]}]",
			"securityGroupRule:SecurityGroupRule\ntype: ingress\nfromPort: 5432\ncidrBlocks: [0.0.0.0/0]", "allows 5432"},
		{"image-with-version", "image: docker.io/library/redis@sha256:4567", "image: redis:latest",
			"redis:latest has no version"},
		{"no-public-database", "publiclyAccessible: false", "publiclyAccessible: true", "publicly accessible"},
		{"no-public-database", "cidrBlocks: [10.0.0.0/16]", "cidrBlocks: [0.0.0.0/0]", "from everywhere"},
		{
			"no-public-database", "fromPort: 6379, cidrBlocks: [10.0.0.0/16]",
			"fromPort: 0, toPort: 65535, cidrBlocks: [0.0.0.0/0]", "5432",
		},
		{
			"no-public-database", "fromPort: 6379, cidrBlocks: [10.0.0.0/16]",
			"protocol: '-1', cidrBlocks: [0.0.0.0/0]", "9200",
		},
		{
			"budget-can-be-met", "{maxUnavailable: 1, selector: {matchLabels: {app: web}}}",
			"{maxUnavailable: 0, selector: {}}", "of Deployment shop/web",
		},
		{"no-public-database", "ip: 127.0.0.1", "ip: 0.0.0.0", "on all interfaces"},
		{"protected-data", "# options:\n#   protect: true\n", "", "PersistentVolumeClaim shop/data"},
		{"protected-data", "name: shop\ntags", "forceDelete: true\ntags", "aws:ecr:Repository"},
		{"tags", "name: shop\ntags: {team: shop}\n", "name: shop\n", "has no tags"},
	} {
		changed, done := []string{}, false
		for _, resource := range good {
			if !done && strings.Contains(resource, test.old) {
				resource, done = strings.Replace(resource, test.old, test.new, 1), true
			}
			changed = append(changed, resource)
		}
		if !done {
			t.Fatalf("no resource has %q", test.old)
		}
		s, violated := stack(t, limits, changed...), violated
		for _, rule := range rules() {
			got := fmt.Sprint(rule.Check(s))
			if rule.ID == test.rule {
				violated[rule.ID] = true
				if !strings.Contains(got, test.want) {
					t.Errorf("%s with %q: got %s, want %q in it", rule.ID, test.new, got, test.want)
				}
			}
		}
	}
	for _, rule := range slices.Concat(workloadRules, trafficRules, dataRules) { // a team tests its own
		if !violated[rule.ID] {
			t.Errorf("no test violates %s", rule.ID)
		}
		if rule.Reason == "" || rule.Fix == "" || rule.Severity != Error && rule.Severity != Warning {
			t.Errorf("%s has no reason, fix or severity", rule.ID)
		}
	}
}

func TestWaivers(t *testing.T) {
	today := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, list string
		want       []string // in the error; none without one
	}{
		{"fine", `[{rule: tags, object: a, reason: b, until: 2026-12-01}]`, nil},
		{"none", `[]`, nil},
		{"another key", `[]`, []string{"policy:waiver in the stack file: there is no such key"}},
		{"expired", `[{rule: tags, object: a, reason: b, until: "2026-11-30"}]`, []string{"expired on 2026-11-30"}},
		{
			"unknown", `[{rule: tag, object: a, reason: b, until: 2027-01-01}]`,
			[]string{`no rule "tag"; the rules are autoscaler-`},
		},
		{"all at once", `[{rule: x}, {rule: y}]`, []string{"waivers[0]: there is no rule", "waivers[1]: there is no rule",
			"object and reason are required", "until is \"\""}},
		{"misspelled", `[{rule: tags, object: a, reason: b, end: 2027-01-01}]`, []string{`no field "end"`}},
		{"an empty element", `[null]`, []string{"policy:waivers[0]: is empty"}},
		{"no list", `{rule: tags}`, []string{"policy:waivers in the stack file"}},
	} {
		content := "config:\n  aws:region: x\n  policy:waivers: " + test.list + "\n"
		if test.name == "another key" {
			content = strings.Replace(content, "waivers", "waiver", 1)
		}
		config, _, err := stackFile([]byte(content), ids(), today)
		if len(test.want) == 0 && (err != nil || config["aws:region"] != "x") {
			t.Errorf("%s: got %v, %v", test.name, config, err)
		}
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", test.name, err, want)
			}
		}
	}
}

// An invalid waiver covers nothing, and hides neither the valid ones nor the findings.
func TestInvalidWaiver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "Pulumi.prod.yaml")
	content := `config: {"policy:waivers": [{rule: tag}, {rule: tags, object: "aws:ecr:Repository r", reason: x, ` +
		`until: 2126-01-01}]}`
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	golden := "-- tree.txt --\nType Name\n-- outputs.yaml --\n{}\n-- r.yaml --\nname: r\n" +
		"# urn: urn:pulumi:s::p::aws:ecr/repository:Repository::r\n" +
		"-- q.yaml --\nname: q\n# urn: urn:pulumi:s::p::aws:ecr/repository:Repository::q\n"
	var out bytes.Buffer
	if failed, err := run(file, strings.NewReader(golden), &out); !failed || err != nil {
		t.Errorf("got %t, %v", failed, err)
	}
	for _, want := range []string{`error    policy:waivers[0]: there is no rule "tag"`, "rules: 3 errors",
		"waived   tags: aws:ecr:Repository r", "warning  tags: aws:ecr:Repository q"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %s, want %q in it", out.String(), want)
		}
	}
}

func TestReport(t *testing.T) {
	s := stack(t, "{}", strings.Replace(deployment, "drop: [ALL]", "drop: []", 1))
	waivers := []*Waiver{
		{Rule: "restricted-pods", Object: "Deployment shop/web", Reason: "a profiler", Until: "2027-01-01"},
		{Rule: "tags", Object: "nothing", Reason: "x", Until: "2027-01-01"},
	}
	var out bytes.Buffer
	if report(s, nil, nil, &out) != true ||
		!strings.Contains(out.String(), "error    restricted-pods: Deployment shop/web: ") ||
		!strings.Contains(out.String(), "rules: 1 error, 0 warnings") {
		t.Errorf("without waivers: got %s", out.String())
	}
	out.Reset()
	if report(s, waivers, nil, &out) != false || !strings.Contains(out.String(), "until 2027-01-01: a profiler") ||
		!strings.Contains(out.String(), "there is no such finding for the waiver of tags for nothing") {
		t.Errorf("with waivers: got %s", out.String())
	}
}

// kube-score.sh fails for a finding that kube-score.txt does not explain, and if kube-score itself fails.
func TestKubeScore(t *testing.T) {
	dir := t.TempDir()
	program := func(name, script string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		return path
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	// A line without a reason is refused.
	bad := filepath.Join(dir, "explained.txt")
	if err := os.WriteFile(bad, []byte("# comment\n\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("sh", "kube-score.sh", "true")
	command.Env = append(os.Environ(), "explained="+bad)
	out, err := command.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "explained.txt:2: want a regular") {
		t.Errorf("an empty pattern: got %v: %s", err, out)
	}
	for _, test := range []struct {
		name, program, score string
		failed               bool
		want                 string
	}{
		{"explained", "exit 0",
			"echo '[CRITICAL] web/shop apps/v1/Deployment: (web) ImagePullPolicy is not set to Always'; exit 1",
			false, "intended web/shop apps/v1/Deployment: (web) ImagePullPolicy is not set to Always\n "},
		{"not explained", "exit 0", "echo '[CRITICAL] web/shop apps/v1/Deployment: (web) CPU limit is not set'; exit 1",
			true, "error    kube-score: web/shop apps/v1/Deployment: (web) CPU limit"},
		{"broken", "exit 0", "echo broken >&2; exit 1", true, "broken"},
		{
			"Docker", "echo 'stack docker has no Kubernetes objects to render' >&2; exit 1", "exit 9", false,
			"no Kubernetes objects",
		},
		{"no stack", "echo 'there is no stack' >&2; exit 1", "exit 9", true, "there is no stack"},
	} {
		program("go", test.score)
		out, err := exec.Command("sh", "kube-score.sh", program("scaleout", test.program), "-stack", "x").CombinedOutput()
		if (err != nil) != test.failed || !strings.Contains(string(out), test.want) {
			t.Errorf("%s: got %v: %s, want %q in it", test.name, err, out, test.want)
		}
	}
}
