package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
	"example.com/scaleout/offline/goldentest"
)

var update = flag.Bool("update", false, "write the golden files and generated documents instead of comparing them")

// results are those of the stacks that have a file; each is run once, since nothing differs from run to run.
var results = map[string]*offline.Result{}

func TestMain(m *testing.M) {
	flag.Parse()
	files, _ := filepath.Glob("Pulumi.*.yaml") // fails only for a bad pattern
	for _, file := range files {
		if exec.Command("git", "check-ignore", "--quiet", file).Run() == nil { // left by an end-to-end test that was killed
			continue
		}
		stack := strings.TrimSuffix(strings.TrimPrefix(file, "Pulumi."), ".yaml")
		result, err := offline.Run(program, ".", stack)
		if err != nil {
			fmt.Fprintf(os.Stderr, "running stack %s: %v\n", stack, err)
			os.Exit(1)
		}
		results[stack] = result
	}
	for name, v := range variants {
		result, err := v.run()
		if err != nil {
			fmt.Fprintf(os.Stderr, "running %s: %v\n", name, err)
			os.Exit(1)
		}
		results[name] = result
	}
	os.Exit(m.Run())
}

// variant is a stack with other settings than its file has.
type variant struct {
	stack string
	// base has what the variant's golden files leave out.
	base     string
	settings []string
	noRedis  bool
}

// onAWS is a variant of testdata/Pulumi.example.yaml.
func onAWS(settings ...string) variant {
	return variant{stack: "example", base: "example", settings: settings}
}

func (v variant) run() (*offline.Result, error) {
	dir := "."
	if v.stack == "example" { // which no team edits, so that what tests say of it holds
		dir = "testdata"
	}
	return offline.Run(program, dir, v.stack, v.settings...)
}

// otherApp is podinfo, which knows nothing of this project: a finished image, another port for everything, no Redis.
var otherApp = []string{
	"image=ghcr.io/stefanprodan/podinfo@sha256:0000000000000000000000000000000000000000000000000000000000000000",
	"port=9898", "user=100", "metricsPort=9898", "sloHistogram=", "redis=false", "environment={PODINFO_UI_MESSAGE: hello}",
	"drainDelayVariable=", "drainTimeoutVariable=", "writablePaths=[/data]", "labels={team: shop}",
}

// variants are what users switch on.
var variants = map[string]variant{
	"dev-prometheus": {stack: "dev", base: "dev", settings: []string{"installPrometheus=true", "installGrafana=true"}},
	"dev-other-app":  {stack: "dev", base: "dev", noRedis: true, settings: otherApp},
	"docker-other-app": {stack: "docker", base: "docker", noRedis: true, settings: append([]string{
		"healthCommand=[]", "imageRepository=", "balancerImage=localhost:5001/scaleout-nginx@sha256:" + strings.Repeat("0", 64),
	}, otherApp...)},
	"prod-other-app": {stack: "example", base: "example", noRedis: true, settings: otherApp},
	"example":        onAWS(),
	"prod-operator": onAWS(
		"prometheusOperator=true", "prometheusNamespace=monitoring", "prometheusLabels={release: kube-prometheus-stack}",
		"runbookUrl=https://example.com/runbook",
	),
	// A cluster with the AWS Load Balancer Controller, whose nodes are Graviton; the ALB is shared, filtered and logged.
	"prod-controller": onAWS(
		"albController=awsLoadBalancerController", "albGroup=public", "imagePlatform=linux/arm64",
		"albAccessLogsBucket=example-logs", "albAccessLogsPrefix=scaleout",
		"albWebAclArn=arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/public/00000000-0000-0000-0000-000000000000",
	),
	// The same on Auto Mode, which wants it in an IngressClass of its own; with a certificate and a name that it makes
	// itself.
	"prod-names": onAWS(
		"installAlbClass=true", "ingressClass=scaleout", "albGroup=public", "albAccessLogsBucket=example-logs",
		"certificateArn=", "hostedZoneId=Z0123456789ABCDEFGHIJ", "ecrLogin=token",
	),
	// All that the cluster's stack knows comes from there.
	"prod-cluster-stack": onAWS(
		"clusterStack=organization/scaleout-cluster/prod", "eksCluster=", "clientCidrs=[]", "nodeCpuLimit=", "nodeMemoryLimit=",
		"certificateArn=cluster", "hostedZoneId=cluster",
	),
	"prod-tolerance":   onAWS("scaleTolerance=0.05"),
	"prod-elasticache": onAWS("elasticacheName=scaleout", "aws:defaultTags={tags: {team: shop}}"),
	"prod-elasticache-serverless": onAWS(
		"elasticacheName=scaleout", "elasticacheKind=serverless", "elasticacheEngine=redis", "elasticacheEngineVersion=7.1",
	),
}

func TestStacks(t *testing.T) {
	for _, stack := range []string{"dev", "prod", "docker"} {
		if results[stack] == nil {
			t.Errorf("there is no stack %s", stack)
		}
	}
	if len(inClusters())+len(onDocker()) != len(results) || len(onDocker()) == 0 {
		t.Errorf("of %d stacks %d are in clusters and %d on Docker", len(results), len(inClusters()), len(onDocker()))
	}
}

// The golden files are what a reviewer reads: every object of every stack, as it would be created.
func TestGolden(t *testing.T) {
	for stack, result := range results {
		if stack == "example" { // what the others are compared with
			continue
		}
		t.Run(stack, func(t *testing.T) {
			files := goldenFiles(t, result)
			if v, ok := variants[stack]; ok {
				files = v.differing(t, files)
				addFiles(t, result, files)
			}
			goldentest.Check(t, filepath.Join("testdata", "golden", stack), files, *update)
		})
	}
}

func goldenFiles(t *testing.T, result *offline.Result) map[string]string {
	t.Helper()
	files, err := result.Golden()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// differing leaves out what is the same in the variant's base, and the dashboards, which are in
// internal/counter/dashboards as they are.
func (v variant) differing(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	files = goldentest.Differing(files, goldenFiles(t, results[v.base]))
	for name := range files {
		if strings.HasSuffix(name, "-dashboards.yaml") {
			delete(files, name)
		}
	}
	return files
}

// addFiles adds the files in a ConfigMap of Prometheus as they are, for the tests in monitoring/ to read.
func addFiles(t *testing.T, result *offline.Result, files map[string]string) {
	t.Helper()
	for _, r := range result.Resources {
		if r.Type == "kubernetes:core/v1:ConfigMap" && r.Name == prometheusName+"-config" {
			for name, content := range offline.Lookup(r.Inputs, "data").(map[string]any) {
				files[name] = content.(string)
			}
		}
	}
}

// inClusters are the stacks that deploy to Kubernetes, onDocker those that deploy to a Docker host.
func inClusters() map[string]*offline.Result { return stacksWith("kubernetes:apps/v1:Deployment") }

func onDocker() map[string]*offline.Result { return stacksWith("docker:index/container:Container") }

func stacksWith(kind string) map[string]*offline.Result {
	found := map[string]*offline.Result{}
	for stack, result := range results {
		for _, r := range result.Resources {
			if r.Type == kind {
				found[stack] = result
			}
		}
	}
	return found
}

// The rules of the Pod Security Standard `restricted`, on every pod of the program, those in kube-system included.
func TestEveryPodIsRestricted(t *testing.T) {
	for stack, result := range inClusters() {
		templates := componenttest.Pods(result)
		if len(templates) == 0 {
			t.Errorf("%s: no pod template", stack)
		}
		for name, template := range templates {
			for _, problem := range componenttest.Unrestricted(template) {
				t.Errorf("%s: %s: %s", stack, name, problem)
			}
		}
	}
}

// pinned is an image by an exact version or a digest.
var pinned = regexp.MustCompile(`:v?[0-9]+\.[0-9]+\.[0-9]+[^/:]*$|@sha256:[0-9a-f]{64}$`)

// A tag such as 8.2 moves to the newest 8.2.x, so two nodes could run different programs under it.
func TestImagesAreExact(t *testing.T) {
	for stack, result := range inClusters() {
		for name, template := range componenttest.Pods(result) {
			list, _ := offline.Lookup(template, "spec", "containers").([]any)
			for _, c := range list {
				image := offline.Lookup(c, "image")
				if _, unknown := image.(offline.Unknown); unknown {
					continue // the app's own, by digest once it is pushed
				}
				if text, _ := image.(string); !pinned.MatchString(text) {
					t.Errorf("%s: %s: image %v is no exact version", stack, name, image)
				}
			}
		}
	}
}

func TestAutoscalerTargetsTheDeployment(t *testing.T) {
	for stack, result := range inClusters() {
		objects := map[string]offline.Resource{}
		for _, r := range result.Resources {
			if object, ok := r.Object(); ok {
				objects[object.String()] = r
			}
		}
		hpa, deployment := objects["HorizontalPodAutoscaler scaleout/web"], objects["Deployment scaleout/web"]
		target := offline.Lookup(hpa.Inputs, "spec", "scaleTargetRef")
		if offline.Lookup(target, "kind") != "Deployment" ||
			offline.Lookup(target, "name") != offline.Lookup(deployment.Inputs, "metadata", "name") {
			t.Errorf("%s: the autoscaler's target is %v, want the Deployment web", stack, target)
		}
		if replicas := offline.Lookup(deployment.Inputs, "spec", "replicas"); replicas != nil {
			t.Errorf("%s: the Deployment sets replicas to %v, which are the autoscaler's", stack, replicas)
		}
		container := offline.Lookup(hpa.Inputs, "spec", "metrics", 0, "containerResource", "container")
		if offline.Lookup(deployment.Inputs, "spec", "template", "spec", "containers", 0, "name") != container {
			t.Errorf("%s: the autoscaler looks at container %v, which the Deployment does not have", stack, container)
		}
		if wait := offline.Lookup(hpa.Inputs, "metadata", "annotations", "pulumi.com/waitFor"); wait != "condition=ScalingActive" {
			t.Errorf("%s: pulumi up does not wait until the autoscaler has metrics: %v", stack, wait)
		}
	}
}

func TestNothingUsesTheDefaultKubernetesProvider(t *testing.T) {
	for stack, result := range results {
		for _, r := range result.Resources {
			if strings.HasPrefix(r.Type, "kubernetes:") && !strings.HasSuffix(r.Provider, "pulumi:providers:kubernetes::cluster") {
				t.Errorf("%s: %s %s uses provider %q, want the explicit one", stack, r.Type, r.Name, r.Provider)
			}
		}
	}
}

func TestSecretsStaySecret(t *testing.T) {
	for stack, result := range results {
		if len(result.Exposed) > 0 {
			t.Errorf("%s: these follow from a secret and are not marked as secret: %v", stack, result.Exposed)
		}
		if !slices.Contains(result.MissingSecrets, "redisPassword") && !hasSecret(t, stack) && !variants[stack].noRedis {
			t.Errorf("%s: nothing says that redisPassword is not set", stack)
		}
	}
}

// hasSecret tells whether a stack file has its password already.
func hasSecret(t *testing.T, stack string) bool {
	t.Helper()
	if v, ok := variants[stack]; ok {
		stack = v.stack
	}
	if stack == "example" {
		return false
	}
	content, err := os.ReadFile("Pulumi." + stack + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Contains(string(content), "redisPassword:")
}

// runStack runs the program with a stack file of this content.
func runStack(t *testing.T, content string) (*offline.Result, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"Pulumi.yaml": readFile(t, "Pulumi.yaml"), "Pulumi.another.yaml": content} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return offline.Run(program, dir, "another")
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// A third environment is a copy of a stack file.
func TestCopyOfAStackIsAStack(t *testing.T) {
	staging, err := runStack(t, readFile(t, "Pulumi.prod.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(staging.Resources), len(results["prod"].Resources); got != want {
		t.Errorf("staging has %d resources, want the %d of prod", got, want)
	}
}

// The stack file of another app that the README shows is one, but for the digest.
func TestStackFileOfTheReadme(t *testing.T) {
	_, rest, _ := strings.Cut(readFile(t, "README.md"), "```yaml\n")
	stack, _, found := strings.Cut(rest, "```")
	if !found || !strings.Contains(stack, "<digest>") {
		t.Fatalf("got %q, want the first stack file of the README", stack)
	}
	if _, err := runStack(t, strings.ReplaceAll(stack, "<digest>", strings.Repeat("0", 64))); err != nil {
		t.Error(err)
	}
}
