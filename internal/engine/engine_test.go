//go:build e2e

package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// projects holds copies of the two projects in a temporary folder, with their own state.
type projects struct {
	t           *testing.T
	root        string
	environment []string
	substitute  *substitute
}

const password = "correct-horse-battery-staple-2"

// stackFiles holds the stack files of the tests, independent of those of a team.
var stackFiles = map[string]string{
	"cluster": `config:
  pulumi:disable-default-providers: [kubernetes]
  aws:region: eu-central-1
  aws:allowedAccountIds: ["111122223333"]
  scaleout-cluster:name: production
  scaleout-cluster:zones: [eu-central-1a, eu-central-1b, eu-central-1c]
  scaleout-cluster:apiCidrs: [203.0.113.0/24]
  scaleout-cluster:adminArns: [arn:aws:iam::111122223333:role/platform, arn:aws:iam::111122223333:role/ci]
`,
	"scaleout": `config:
  pulumi:disable-default-providers: [kubernetes]
  aws:region: eu-central-1
  aws:allowedAccountIds: ["111122223333"]
  scaleout:target: eks
  scaleout:ecrRepository: scaleout
  scaleout:minReplicas: 3
  scaleout:maxReplicas: 20
  scaleout:host: app.example.com
  scaleout:albScheme: internet-facing
  scaleout:albController: eksAutoMode
`,
}

// prepare builds the programs and copies the other files of the projects.
func prepare(t *testing.T) *projects {
	t.Helper()
	return prepareOf(t, "../..")
}

// newProjects returns an empty folder with its own state and the substitute.
func newProjects(t *testing.T) *projects {
	t.Helper()
	componenttest.Command(t, "pulumi")
	componenttest.Command(t, "pulumi-language-go")
	p := &projects{t: t, root: t.TempDir()}
	s, debug := serve(t)
	p.substitute = s
	state := filepath.Join(p.root, "state")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	// Without metadata=skip a killed command can leave an empty file beside one of the state: see cmd/scaleout/stack.go.
	backend := "PULUMI_BACKEND_URL=file://" + state + "?metadata=skip"
	p.environment = append(os.Environ(), debug, backend, "PULUMI_CONFIG_PASSPHRASE=test",
		"PULUMI_SKIP_UPDATE_CHECK=1", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=1")
	return p
}

func prepareOf(t *testing.T, checkout string) *projects {
	t.Helper()
	p := newProjects(t)
	repository, err := filepath.Abs(checkout)
	if err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"scaleout": ".", "cluster": "cluster"} {
		binary := filepath.Join(p.root, "bin-"+name)
		build := exec.Command("go", "build", "-o", binary, "./"+dir)
		build.Dir = repository
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", name, err, out)
		}
		folder := filepath.Join(p.root, dir)
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(filepath.Join(repository, dir, "Pulumi.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		content = regexp.MustCompile(`buildTarget: \S+`).ReplaceAll(content, []byte("binary: "+binary))
		for file, content := range map[string]string{
			"Pulumi.yaml": string(content), "Pulumi.prod.yaml": stackFiles[name],
		} {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.CopyFS(filepath.Join(p.root, "app"), os.DirFS(filepath.Join(repository, "app"))); err != nil {
		t.Fatal(err)
	}
	p.must("cluster", "stack", "init", "prod")
	p.must(".", "stack", "init", "prod")
	return p
}

// command returns a pulumi command in the folder of a project.
func (p *projects) command(dir string, args ...string) *exec.Cmd {
	command := exec.Command("pulumi", append(args, "--stack", "prod", "--non-interactive")...)
	if args[0] == "stack" && args[1] == "init" {
		command = exec.Command("pulumi", append(args, "--non-interactive")...)
	}
	command.Dir, command.Env = filepath.Join(p.root, dir), p.environment
	if slices.Contains(args, "--secret") {
		command.Stdin = strings.NewReader(password)
	}
	return command
}

func (p *projects) run(dir string, args ...string) (string, error) {
	command := p.command(dir, args...)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

func (p *projects) must(dir string, args ...string) string {
	p.t.Helper()
	out, err := p.run(dir, args...)
	if err != nil {
		p.t.Fatalf("pulumi %s in %s: %v\n%s", strings.Join(args, " "), dir, err, out)
	}
	return out
}

// refused runs a command that must fail with a message that contains why.
func (p *projects) refused(why, dir string, args ...string) {
	p.t.Helper()
	if out, err := p.run(dir, args...); err == nil || !strings.Contains(out, why) {
		p.t.Errorf("pulumi %s in %s: got %v, want a refusal with %q\n%s", strings.Join(args, " "), dir, err, why, out)
	}
}

// From an empty account to the app and back, as described in docs/production.md.
func TestFromNothingAndBack(t *testing.T) {
	p := prepare(t)
	for key, value := range map[string]string{
		"clusterStack": "organization/scaleout-cluster/prod", "hostedZoneId": "Z0123456789ABCDEFGHIJ",
		"elasticacheName": "scaleout", "installAlbIngressClass": "true", "ingressClass": "scaleout", "albGroup": "public",
	} {
		p.must(".", "config", "set", key, value)
	}
	p.must(".", "config", "set", "redisPassword", "--secret")

	p.must(".", "preview") // the cluster's outputs are unknown
	p.refused("has no outputs yet; run pulumi up there first", ".", "up", "--yes", "--skip-preview", "--color", "never")
	if left := p.substitute.left(); len(left) > 0 {
		t.Errorf("without a cluster it created %v", left)
	}
	p.upCluster()
	p.upApp()
	p.downApp()
	p.downCluster()
}

func (p *projects) upCluster() {
	p.must("cluster", "preview")
	p.must("cluster", "up", "--yes", "--skip-preview")
	p.must("cluster", "preview", "--expect-no-changes")
	p.before(p.substitute.created,
		"AccessPolicyAssociation cluster-role/ci", "NodePool apps", // through the provider, a resource of the engine itself
		"RouteTableAssociation network-private-eu-central-1c-0", "Cluster cluster",
		"RolePolicyAttachment roles-cluster-AmazonEKSComputePolicy", "Cluster cluster",
		"NodePool apps", "Addon metrics-server",
	)
}

func (p *projects) upApp() {
	p.substitute.forget()
	p.must(".", "preview")
	p.must(".", "up", "--yes", "--skip-preview")
	p.must(".", "preview", "--expect-no-changes")
	p.before(p.substitute.created,
		"CertificateValidation web", "Ingress web", "IngressClass alb", "Ingress web", "Ingress web", "Deployment web",
		"ReplicationGroup redis", "Deployment web", "Ingress web", "Record web",
	)
	var outputs map[string]any
	if err := json.Unmarshal([]byte(p.must(".", "stack", "output", "--json")), &outputs); err != nil {
		p.t.Fatal(err)
	}
	requests, _ := outputs["requests"].(map[string]any)
	if outputs["url"] != "https://app.example.com/" || requests["nodeLimits"] != "32 CPU, 128Gi" {
		p.t.Errorf("got outputs %v", outputs)
	}
	p.staysSecret(password)
	p.anotherLoadBalancer("albScheme", "internal")
	p.anotherLoadBalancer("albGroup", "private")
	// Changing one key updates one resource.
	p.substitute.forget()
	p.must(".", "config", "set", "maxReplicas", "30")
	p.must(".", "up", "--yes", "--skip-preview")
	if got := fmt.Sprint(p.substitute.updated); got != "map[HorizontalPodAutoscaler web:true]" {
		p.t.Errorf("changing maxReplicas updated %s", got)
	}
}

// anotherLoadBalancer changes a setting for which the controller creates a new load balancer. The Ingress is replaced
// too, so that the same run updates the address and the DNS record. The pods stay.
func (p *projects) anotherLoadBalancer(key, value string) {
	p.t.Helper()
	p.substitute.forget()
	p.must(".", "config", "set", key, value)
	p.must(".", "up", "--yes", "--skip-preview")
	gone, came := p.substitute.deleted["Ingress web"], p.substitute.created["Ingress web"]
	if gone.to.IsZero() || !gone.to.Before(came.from) {
		p.t.Errorf("%s: the Ingress was not replaced: %v, %v", key, p.substitute.deleted, p.substitute.created)
	}
	if len(p.substitute.deleted) != 1 || len(p.substitute.created) != 1 {
		p.t.Errorf("%s: deleted %v and created %v, want the Ingress only", key, p.substitute.deleted, p.substitute.created)
	}
	if !p.substitute.updated["Record web"] {
		p.t.Errorf("%s: the DNS record was not updated to the new load balancer", key)
	}
}

// staysSecret checks that no file of the state contains a secret in plain text.
func (p *projects) staysSecret(secret string) {
	p.t.Helper()
	files := 0
	err := filepath.WalkDir(filepath.Join(p.root, "state"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		files++
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(secret)) {
			p.t.Errorf("%s is in %s", secret, filepath.Base(path))
		}
		return err
	})
	if err != nil || files < 2 {
		p.t.Errorf("searched %d files: %v", files, err)
	}
	if !strings.Contains(p.must(".", "stack", "export", "--show-secrets"), secret) {
		p.t.Errorf("%s is not in the state at all, so the search proves nothing", secret)
	}
}

// destroy checks that a protected project refuses a destroy, removes the protection and destroys it.
func (p *projects) destroy(dir, protection string) {
	p.t.Helper()
	p.refused("protect", dir, "destroy", "--yes", "--skip-preview", "--color", "never")
	p.must(dir, "config", "set", protection, "false")
	p.must(dir, "up", "--yes", "--skip-preview")
	p.substitute.forget()
	p.must(dir, "destroy", "--yes", "--skip-preview")
}

func (p *projects) downApp() {
	p.destroy(".", "elasticacheProtect")
	p.before(p.substitute.deleted,
		"Record web", "Ingress web", "HorizontalPodAutoscaler web", "Deployment web", "Deployment web", "Ingress web",
		"Ingress web", "IngressClass alb", "IngressClass alb", "IngressClassParams alb-params",
		"Ingress web", "CertificateValidation web", "Ingress web", "Namespace namespace",
		"ReplicationGroup redis", "SecurityGroup redis", "ReplicationGroup redis", "UserGroup redis",
		"ReplicationGroup redis", "SubnetGroup redis",
	)
	for _, name := range p.substitute.left() {
		if strings.HasSuffix(name, " web") || strings.HasSuffix(name, " redis") {
			p.t.Errorf("%s is left", name)
		}
	}
}

func (p *projects) downCluster() {
	p.destroy("cluster", "deletionProtection")
	p.before(p.substitute.deleted,
		"Addon metrics-server", "NodePool apps", "NodePool apps", "NodeClass apps-class", "NodePool apps", "Cluster cluster",
		"IngressClass alb", "IngressClassParams alb-params",
		"IngressClassParams alb-params", "AccessPolicyAssociation cluster-role/ci",
		"NodePool apps", "AccessPolicyAssociation cluster-role/platform",
		"AccessPolicyAssociation cluster-role/ci", "Cluster cluster",
		"Cluster cluster", "RolePolicyAttachment roles-cluster-AmazonEKSLoadBalancingPolicy",
		"Cluster cluster", "Route network-private-eu-central-1a", "Cluster cluster", "NatGateway network-eu-central-1b",
		"NatGateway network-eu-central-1b", "InternetGateway network",
		"Cluster cluster", "Key cluster", "Cluster cluster", "LogGroup cluster",
	)
	// The validation record stays, since other certificates for the name may use it.
	if left := fmt.Sprint(p.substitute.left()); left != "[Record web-validation]" {
		p.t.Errorf("%s are left", left)
	}
}

// before requires that the first call of each pair ended before the second began.
func (p *projects) before(calls map[string]span, pairs ...string) {
	p.t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		first, second := calls[pair[0]], calls[pair[1]]
		if first.to.IsZero() || second.from.IsZero() || !first.to.Before(second.from) {
			p.t.Errorf("%s did not end before %s began", pair[0], pair[1])
		}
	}
}

// A team with an existing cluster uses only the app's project: here with the AWS Load Balancer Controller, an existing
// certificate, a serverless ElastiCache and an ECR token for the push.
func TestClusterThatIsThere(t *testing.T) {
	p := prepare(t)
	for key, value := range map[string]string{
		"eksCluster": "production", "albController": "awsLoadBalancerController", "ingressClass": "alb",
		"elasticacheName": "scaleout", "elasticacheKind": "serverless", "elasticacheProtect": "false", "ecrLogin": "token",
	} {
		p.must(".", "config", "set", key, value)
	}
	p.must(".", "config", "set", "--path", "loadBalancerCidrs[0]", "10.0.0.0/20")
	p.must(".", "config", "set", "redisPassword", "--secret")
	if out := p.must(".", "preview"); !strings.Contains(out, "serves plain HTTP") {
		t.Errorf("there is no warning about plain HTTP:\n%s", out)
	}
	p.must(".", "config", "set", "certificateArn", "arn:aws:acm:eu-central-1:111122223333:certificate/1")
	if out := p.must(".", "up", "--yes", "--skip-preview"); strings.Contains(out, "plain HTTP") {
		t.Errorf("there is a warning about plain HTTP although there is a certificate:\n%s", out)
	}
	p.must(".", "preview", "--expect-no-changes")
	p.before(p.substitute.created, "Ingress web", "Deployment web", "ServerlessCache redis", "Deployment web")
	p.staysSecret(password)
	p.staysSecret(token)
	p.substitute.forget()
	p.must(".", "destroy", "--yes", "--skip-preview")
	p.before(p.substitute.deleted, "Deployment web", "Ingress web", "ServerlessCache redis", "SecurityGroup redis")
	if left := p.substitute.left(); len(left) > 0 {
		t.Errorf("%v are left", left)
	}
}

// A caller that is not an admin is refused before the cluster is created.
func TestStrangersAreRefused(t *testing.T) {
	p := prepare(t)
	p.must("cluster", "config", "set", "--path", "adminArns[0]", "arn:aws:iam::111122223333:role/other")
	p.must("cluster", "config", "rm", "--path", "adminArns[1]")
	out := p.must("cluster", "preview", "--color", "never")
	if !strings.Contains(out, "not listed in scaleout-cluster:adminArns") {
		t.Errorf("a preview does not warn:\n%s", out)
	}
	p.refused("not listed in scaleout-cluster:adminArns", "cluster", "up", "--yes", "--skip-preview", "--color", "never")
	if left := p.substitute.left(); len(left) > 0 {
		t.Errorf("before the refusal it created %v", left)
	}
}

// existing prepares the app's project for an existing cluster, with further settings.
func existing(t *testing.T, settings ...string) *projects {
	t.Helper()
	p := prepare(t)
	p.configure(settings...)
	return p
}

func (p *projects) configure(settings ...string) {
	p.t.Helper()
	p.set("eksCluster", "production", "ingressClass", "alb",
		"certificateArn", "arn:aws:acm:eu-central-1:111122223333:certificate/1")
	p.set(settings...)
	p.must(".", "config", "set", "--path", "loadBalancerCidrs[0]", "10.0.0.0/20")
	p.must(".", "config", "set", "redisPassword", "--secret")
}

func (p *projects) set(settings ...string) {
	p.t.Helper()
	for pair := range slices.Chunk(settings, 2) {
		p.must(".", "config", "set", pair[0], pair[1])
	}
}

// A change of the Redis or its password keeps the Secret that the pods mount. Without it running pods would continue,
// but no new one could start.
func TestAnotherRedisKeepsTheSecret(t *testing.T) {
	p := existing(t, "redisProtect", "false")
	for _, step := range [][]string{
		{"redisHost", ""}, // in the cluster
		{"redisHost", "redis.example.com"},
		{"redisHost", "", "elasticacheName", "scaleout", "elasticacheProtect", "false"},
		{"redisHost", "", "elasticacheName", ""},
		{"elasticacheName", "scaleout"},
		{"redisHost", "redis.example.com", "elasticacheName", ""},
	} {
		p.set(step...)
		p.substitute.forget()
		p.must(".", "up", "--yes", "--skip-preview")
		gone, ok := p.substitute.deleted["Secret redis-auth"]
		if ok || !slices.Contains(p.substitute.left(), "Secret redis-auth") {
			t.Errorf("%v deleted the Secret: %v", step, gone)
		}
		p.must(".", "preview", "--expect-no-changes")
	}
	before := p.annotation()
	command := exec.Command("pulumi", "config", "set", "redisPassword", "--secret", "--stack", "prod")
	command.Dir, command.Env, command.Stdin = p.root, p.environment, strings.NewReader("another-horse-battery-staple")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	p.substitute.forget()
	p.must(".", "up", "--yes", "--skip-preview")
	if !p.substitute.updated["Secret redis-auth"] || !p.substitute.updated["Deployment web"] ||
		len(p.substitute.deleted) > 0 {
		t.Errorf("changing the password updated %v and deleted %v", p.substitute.updated, p.substitute.deleted)
	}
	if after := p.annotation(); after == before || before == "" {
		t.Errorf("changing the password starts no rollout: the annotation was %q and is %q", before, after)
	}
	p.staysSecret("another-horse-battery-staple")
}

// annotation returns the pod annotation whose change starts a rollout.
func (p *projects) annotation() string {
	p.t.Helper()
	var state struct {
		Deployment struct {
			Resources []struct {
				URN    string
				Inputs map[string]any
			}
		}
	}
	if err := json.Unmarshal([]byte(p.must(".", "stack", "export", "--show-secrets")), &state); err != nil {
		p.t.Fatal(err)
	}
	for _, r := range state.Deployment.Resources {
		if strings.HasSuffix(r.URN, "Deployment::web") {
			value, _ := offline.Lookup(r.Inputs, "spec", "template", "metadata", "annotations", "checksum/config").(string)
			return value
		}
	}
	return ""
}

// Changing the storage class would replace the claim and delete its data, so it is refused before anything is touched.
func TestAnotherStorageClassIsRefused(t *testing.T) {
	p := existing(t, "redisStorageClass", "gp2")
	p.must(".", "up", "--yes", "--skip-preview")
	p.set("redisStorageClass", "gp3")
	p.substitute.forget()
	p.refused("Another storage class", ".", "preview", "--color", "never")
	p.refused("Another storage class", ".", "up", "--yes", "--color", "never")
	if len(p.substitute.deleted)+len(p.substitute.created) > 0 {
		t.Errorf("it created %v and deleted %v", p.substitute.created, p.substitute.deleted)
	}
	p.set("redisStorageClass", "gp2")
	p.must(".", "preview", "--expect-no-changes")
}

// A finished image is deployed unchanged. The stack records the deployed images for rollbacks.
func TestPromotedImage(t *testing.T) {
	p := existing(t)
	digest := func(digit string) string {
		return "registry.example.com/shop@sha256:" + strings.Repeat(digit, 64)
	}
	for _, image := range []string{digest("1"), digest("2"), digest("2"), digest("1")} {
		p.set("image", image)
		p.must(".", "up", "--yes", "--skip-preview")
	}
	var images []struct{ Image, Since string }
	if err := json.Unmarshal([]byte(p.must(".", "stack", "output", "images", "--json")), &images); err != nil {
		t.Fatal(err)
	}
	if len(images) != 3 || images[0].Image != digest("1") || images[1].Image != digest("2") ||
		images[2].Image != digest("1") {
		t.Errorf("got %v, want the three deployments, newest first", images)
	}
	if slices.Contains(p.substitute.left(), "Image app") {
		t.Error("it built an image")
	}
	p.set("buildContext", "./app")
	p.refused("remove one of them", ".", "preview", "--color", "never")
	p.set("buildContext", "", "image", "registry.example.com/shop:1.2")
	p.refused("@sha256:", ".", "preview", "--color", "never")
}

// upgrades lists the states of earlier program versions in testdata/upgrade, with their settings.
var upgrades = map[string][]string{
	"redis": {
		"hostedZoneId", "Z0123456789ABCDEFGHIJ", "prometheusOperator", "true", "prometheusNamespace", "monitoring",
	},
	"elasticache": {
		"elasticacheName", "scaleout", "elasticacheProtect", "false", "installAlbIngressClass", "true",
		"ingressClass", "scaleout",
	},
	"external": {"redisHost", "redis.example.com", "redisTls", "true"},
}

// An upgrade from an earlier version only updates in place: no resource is replaced or deleted.
//
// BEFORE=<checkout of the earlier version> regenerates the states with the program of that version.
func TestUpgrade(t *testing.T) {
	for name, settings := range upgrades {
		t.Run(name, func(t *testing.T) {
			file, err := filepath.Abs(filepath.Join("testdata", "upgrade", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			settings := append([]string{"runbookUrl", "https://example.com/runbook"}, settings...)
			if checkout := os.Getenv("BEFORE"); checkout != "" {
				saveState(t, checkout, file, settings)
			}
			p := existing(t, settings...)
			p.must(".", "stack", "import", "--file", file)
			var plan struct{ Steps []struct{ Op, URN string } }
			if err := json.Unmarshal([]byte(p.must(".", "preview", "--json", "--suppress-progress")), &plan); err != nil {
				t.Fatal(err)
			}
			for _, step := range plan.Steps {
				if !slices.Contains([]string{"same", "update", "create", "read"}, step.Op) {
					t.Errorf("%s of %s", step.Op, step.URN)
				}
			}
			if len(plan.Steps) < 15 {
				t.Errorf("the plan has only %d steps", len(plan.Steps))
			}
			p.must(".", "up", "--yes", "--skip-preview")
			if len(p.substitute.deleted) > 0 {
				t.Errorf("it deleted %v", p.substitute.deleted)
			}
			p.must(".", "preview", "--expect-no-changes")
		})
	}
}

// saveState runs `up` with the program of a checkout and exports the state.
func saveState(t *testing.T, checkout, file string, settings []string) {
	t.Helper()
	p := prepareOf(t, checkout)
	p.configure(settings...)
	p.must(".", "up", "--yes", "--skip-preview")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	p.must(".", "stack", "export", "--file", file)
}
