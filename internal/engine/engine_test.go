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
)

// projects are the two, in a folder of their own with a state of their own.
type projects struct {
	t           *testing.T
	root        string
	environment []string
	substitute  *substitute
}

const password = "correct-horse-battery-staple-2"

// stackFiles are what somebody edits, whatever those of a team are.
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

// prepare copies what the projects consist of besides their programs, and builds these.
func prepare(t *testing.T) *projects {
	t.Helper()
	for _, tool := range []string{"pulumi", "pulumi-language-go"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("there is no %s", tool)
		}
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	p := &projects{t: t, root: t.TempDir()}
	s, debug := serve(t)
	p.substitute = s
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
		for file, content := range map[string]string{"Pulumi.yaml": string(content), "Pulumi.prod.yaml": stackFiles[name]} {
			if err := os.WriteFile(filepath.Join(folder, file), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.CopyFS(filepath.Join(p.root, "app"), os.DirFS(filepath.Join(repository, "app"))); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(p.root, "state")
	if err := os.Mkdir(state, 0o755); err != nil {
		t.Fatal(err)
	}
	p.environment = append(os.Environ(), debug, "PULUMI_BACKEND_URL=file://"+state, "PULUMI_CONFIG_PASSPHRASE=test",
		"PULUMI_SKIP_UPDATE_CHECK=1", "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=1")
	p.must("cluster", "stack", "init", "prod")
	p.must(".", "stack", "init", "prod")
	return p
}

// run runs a pulumi command in the folder of a project.
func (p *projects) run(dir string, args ...string) (string, error) {
	command := exec.Command("pulumi", append(args, "--stack", "prod", "--non-interactive")...)
	if args[0] == "stack" && args[1] == "init" {
		command = exec.Command("pulumi", append(args, "--non-interactive")...)
	}
	command.Dir, command.Env = filepath.Join(p.root, dir), p.environment
	if slices.Contains(args, "--secret") {
		command.Stdin = strings.NewReader(password)
	}
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

// refused runs a command that must fail and say why.
func (p *projects) refused(why, dir string, args ...string) {
	p.t.Helper()
	if out, err := p.run(dir, args...); err == nil || !strings.Contains(out, why) {
		p.t.Errorf("pulumi %s in %s: got %v, want a refusal that says %q\n%s", strings.Join(args, " "), dir, err, why, out)
	}
}

// From an empty account to the app and back, as docs/production.md has it.
func TestFromNothingAndBack(t *testing.T) {
	p := prepare(t)
	for key, value := range map[string]string{
		"clusterStack": "organization/scaleout-cluster/prod", "hostedZoneId": "Z0123456789ABCDEFGHIJ",
		"elasticacheName": "scaleout", "installAlbClass": "true", "ingressClass": "scaleout", "albGroup": "public",
	} {
		p.must(".", "config", "set", key, value)
	}
	p.must(".", "config", "set", "redisPassword", "--secret")

	p.must(".", "preview") // what the cluster will say is unknown
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
		"AccessPolicyAssociation cluster-role/ci", "NodePool apps", // through the provider, which is the engine's own
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
	// One key, one change.
	p.substitute.forget()
	p.must(".", "config", "set", "maxReplicas", "30")
	p.must(".", "up", "--yes", "--skip-preview")
	if got := fmt.Sprint(p.substitute.updated); got != "map[HorizontalPodAutoscaler web:true]" {
		p.t.Errorf("another maxReplicas updated %s", got)
	}
}

// anotherLoadBalancer changes what makes a controller build a new one: the Ingress is a new one too, so that its address is, and
// the name is led there in the same run. The pods stay.
func (p *projects) anotherLoadBalancer(key, value string) {
	p.t.Helper()
	p.substitute.forget()
	p.must(".", "config", "set", key, value)
	p.must(".", "up", "--yes", "--skip-preview")
	if gone, came := p.substitute.deleted["Ingress web"], p.substitute.created["Ingress web"]; gone.to.IsZero() || !gone.to.Before(came.from) {
		p.t.Errorf("%s: the Ingress was not replaced: %v, %v", key, p.substitute.deleted, p.substitute.created)
	}
	if len(p.substitute.deleted) != 1 || len(p.substitute.created) != 1 {
		p.t.Errorf("%s: it also deleted %v or created %v", key, p.substitute.deleted, p.substitute.created)
	}
	if !p.substitute.updated["Record web"] {
		p.t.Errorf("%s: the name was not led to the new load balancer", key)
	}
}

// staysSecret looks for a secret in all that Pulumi keeps.
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
		p.t.Errorf("looked into %d files: %v", files, err)
	}
	if !strings.Contains(p.must(".", "stack", "export", "--show-secrets"), secret) {
		p.t.Errorf("%s is not in the state at all, so the search proves nothing", secret)
	}
}

// destroy removes a project that refuses until the protection is lifted.
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
		"ReplicationGroup redis", "SecurityGroup redis", "ReplicationGroup redis", "UserGroup redis", "ReplicationGroup redis", "SubnetGroup redis",
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
		"IngressClass alb", "IngressClassParams alb-params", "IngressClassParams alb-params", "AccessPolicyAssociation cluster-role/ci",
		"NodePool apps", "AccessPolicyAssociation cluster-role/platform", "AccessPolicyAssociation cluster-role/ci", "Cluster cluster",
		"Cluster cluster", "RolePolicyAttachment roles-cluster-AmazonEKSLoadBalancingPolicy",
		"Cluster cluster", "Route network-private-eu-central-1a", "Cluster cluster", "NatGateway network-eu-central-1b",
		"NatGateway network-eu-central-1b", "InternetGateway network", "Cluster cluster", "Key cluster", "Cluster cluster", "LogGroup cluster",
	)
	// The record that proves the ownership of the name stays, for other certificates of it.
	if left := fmt.Sprint(p.substitute.left()); left != "[Record web-validation]" {
		p.t.Errorf("left are %s", left)
	}
}

// before wants the first of each pair to have ended before the second began.
func (p *projects) before(calls map[string]span, pairs ...string) {
	p.t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		first, second := calls[pair[0]], calls[pair[1]]
		if first.to.IsZero() || second.from.IsZero() || !first.to.Before(second.from) {
			p.t.Errorf("%s did not end before %s began", pair[0], pair[1])
		}
	}
}

// A team that has a cluster uses only the app's project: here with the AWS Load Balancer Controller, a certificate that there
// is, a serverless ElastiCache, and a token for the push.
func TestClusterThatIsThere(t *testing.T) {
	p := prepare(t)
	for key, value := range map[string]string{
		"eksCluster": "production", "albController": "awsLoadBalancerController", "ingressClass": "alb",
		"elasticacheName": "scaleout", "elasticacheKind": "serverless", "elasticacheProtect": "false", "ecrLogin": "token",
	} {
		p.must(".", "config", "set", key, value)
	}
	p.must(".", "config", "set", "--path", "clientCidrs[0]", "10.0.0.0/20")
	p.must(".", "config", "set", "redisPassword", "--secret")
	if out := p.must(".", "preview"); !strings.Contains(out, "serves plain HTTP") {
		t.Errorf("nothing warns of plain HTTP:\n%s", out)
	}
	p.must(".", "config", "set", "certificateArn", "arn:aws:acm:eu-central-1:111122223333:certificate/1")
	if out := p.must(".", "up", "--yes", "--skip-preview"); strings.Contains(out, "plain HTTP") {
		t.Errorf("it warns of plain HTTP where there is a certificate:\n%s", out)
	}
	p.must(".", "preview", "--expect-no-changes")
	p.before(p.substitute.created, "Ingress web", "Deployment web", "ServerlessCache redis", "Deployment web")
	p.staysSecret(password)
	p.staysSecret(token)
	p.substitute.forget()
	p.must(".", "destroy", "--yes", "--skip-preview")
	p.before(p.substitute.deleted, "Deployment web", "Ingress web", "ServerlessCache redis", "SecurityGroup redis")
	if left := p.substitute.left(); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// Who could not create anything in the cluster is told so before the cluster is.
func TestStrangersAreRefused(t *testing.T) {
	p := prepare(t)
	p.must("cluster", "config", "set", "--path", "adminArns[0]", "arn:aws:iam::111122223333:role/other")
	p.must("cluster", "config", "rm", "--path", "adminArns[1]")
	if out := p.must("cluster", "preview", "--color", "never"); !strings.Contains(out, "none of scaleout-cluster:adminArns") {
		t.Errorf("a preview does not warn:\n%s", out)
	}
	p.refused("none of scaleout-cluster:adminArns", "cluster", "up", "--yes", "--skip-preview", "--color", "never")
	if left := p.substitute.left(); len(left) > 0 {
		t.Errorf("before the refusal it created %v", left)
	}
}
