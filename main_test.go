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

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/internal/rendered"
	"example.com/scaleout/offline"
	"example.com/scaleout/offline/goldentest"
)

var update = flag.Bool("update", false, "write the golden files and generated documents instead of comparing them")

// results holds the result of each variant; each runs once, since runs are deterministic.
var results = map[string]*offline.Result{}

func TestMain(m *testing.M) {
	flag.Parse()
	for name, v := range variants {
		result, err := v.run(program)
		if err != nil {
			fmt.Fprintf(os.Stderr, "running %s: %v\n", name, err)
			os.Exit(1)
		}
		results[name] = result
	}
	os.Exit(m.Run())
}

// variant is a stack file of testdata/ with further settings. No team edits these files, so the tests stay valid.
type variant struct {
	stack    string
	settings []string
	noRedis  bool
}

// onAWS is a variant of testdata/Pulumi.example.yaml.
func onAWS(settings ...string) variant { return variant{stack: "example", settings: settings} }

func (v variant) run(program pulumi.RunFunc) (*offline.Result, error) {
	return offline.Run(program, "testdata", v.stack, v.settings...)
}

// If the SDK refuses a resource of the stack, the program ends with that error.
func TestErrorsOfResources(t *testing.T) {
	for _, name := range []string{"docker", "dev-prometheus", "prod-names"} {
		for _, r := range results[name].Resources {
			if r.Parent != "" || r.Type == "pulumi:pulumi:StackReference" {
				continue
			}
			_, err := variants[name].run(componenttest.Refusing(program, r))
			if !componenttest.IsRefused(err) {
				t.Errorf("%s: %s %s: got %v, want its error", name, r.Type, r.Name, err)
			}
		}
	}
}

// otherApp configures podinfo, which is independent of this project: a finished image, one other port, no Redis.
var otherApp = []string{
	"image=ghcr.io/stefanprodan/podinfo@sha256:0000000000000000000000000000000000000000000000000000000000000000",
	"port=9898", "user=100", "metricsPort=9898", "sloHistogram=", "redis=false",
	"environment={PODINFO_UI_MESSAGE: hello}", "drainDelayVariable=", "drainTimeoutVariable=",
	"writablePaths=[/data]", "labels={team: shop}",
}

// variants lists the stack files of testdata/, and variants with the optional features.
var variants = map[string]variant{
	"dev":            {stack: "dev"},
	"docker":         {stack: "docker"},
	"dev-prometheus": {stack: "dev", settings: []string{"installPrometheus=true", "installGrafana=true"}},
	"dev-other-app":  {stack: "dev", noRedis: true, settings: otherApp},
	"docker-other-app": {stack: "docker", noRedis: true, settings: append([]string{
		"healthCommand=[]", "imageRepository=",
		"balancerImage=localhost:5001/scaleout-nginx@sha256:" + strings.Repeat("0", 64),
	}, otherApp...)},
	"prod-other-app": {stack: "example", noRedis: true, settings: otherApp},
	"example":        onAWS(),
	"prod-operator": onAWS(
		"prometheusOperator=true", "prometheusNamespace=monitoring", "prometheusLabels={release: kube-prometheus-stack}",
		"runbookUrl=https://example.com/runbook",
	),
	// AWS Load Balancer Controller, Graviton nodes; the ALB has a group, a web ACL and access logs.
	"prod-controller": onAWS(
		"albController=awsLoadBalancerController", "albGroup=public", "imagePlatform=linux/arm64",
		"albAccessLogsBucket=example-logs", "albAccessLogsPrefix=scaleout",
		"albWebAclArn=arn:aws:wafv2:eu-central-1:111122223333:regional/webacl/public/00000000-0000-0000-0000-000000000000",
	),
	// The same on Auto Mode, which requires a separate IngressClass for it; with a new certificate and DNS record.
	"prod-names": onAWS(
		"installAlbIngressClass=true", "ingressClass=scaleout", "albGroup=public", "albAccessLogsBucket=example-logs",
		"certificateArn=", "hostedZoneId=Z0123456789ABCDEFGHIJ", "ecrLogin=token",
	),
	// All values that the cluster's stack exports are read from it.
	"prod-cluster-stack": onAWS(
		"clusterStack=organization/scaleout-cluster/prod", "eksCluster=", "loadBalancerCidrs=[]", "nodeCpuLimit=",
		"nodeMemoryLimit=", "certificateArn=cluster", "hostedZoneId=cluster",
	),
	"prod-tolerance":   onAWS("scaleTolerance=0.05"),
	"prod-elasticache": onAWS("elasticacheName=scaleout", "aws:defaultTags={tags: {team: shop}}"),
	"prod-elasticache-serverless": onAWS(
		"elasticacheName=scaleout", "elasticacheKind=serverless", "elasticacheEngine=redis", "elasticacheEngineVersion=7.1",
	),
}

func TestStacks(t *testing.T) {
	if len(inClusters())+len(onDocker()) != len(results) || len(onDocker()) == 0 {
		t.Errorf("of %d stacks %d are in clusters and %d on Docker", len(results), len(inClusters()), len(onDocker()))
	}
}

// TestGolden compares how each variant differs from its stack file alone.
func TestGolden(t *testing.T) {
	for name, v := range variants {
		if name == v.stack {
			continue
		}
		t.Run(name, func(t *testing.T) {
			files := v.differing(t, goldenFiles(t, results[name]))
			addFiles(t, results[name], files)
			goldentest.Check(t, filepath.Join("testdata", "golden", name), files, *update)
		})
	}
}

// TestRendered compares the golden files of this project's stacks, which reviewers read as the diff of a pull request:
// every object as it would be created. `make golden-check` runs it, and `make test` does not, since teams edit these
// stack files.
func TestRendered(t *testing.T) {
	files, _ := filepath.Glob("Pulumi.*.yaml") // fails only for a bad pattern
	for _, file := range files {
		if exec.Command("git", "check-ignore", "--quiet", file).Run() == nil { // left by a killed end-to-end test
			continue
		}
		stack := strings.TrimSuffix(strings.TrimPrefix(file, "Pulumi."), ".yaml")
		t.Run(stack, func(t *testing.T) {
			result, err := offline.Run(program, ".", stack)
			if err != nil {
				t.Fatal(err)
			}
			goldentest.Check(t, filepath.Join("testdata", "golden", stack), goldenFiles(t, result), *update)
		})
	}
	folders, _ := filepath.Glob("testdata/golden/*")
	for _, folder := range folders {
		stack := filepath.Base(folder)
		v, isVariant := variants[stack]
		if isVariant && v.stack != stack || slices.Contains(files, "Pulumi."+stack+".yaml") {
			continue
		}
		if !*update || os.RemoveAll(folder) != nil {
			t.Errorf("%s belongs to no stack file: make golden removes it", folder)
		}
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

// differing removes the files that are the same without the variant's settings, and the dashboards, which are copies
// of internal/counter/dashboards.
func (v variant) differing(t *testing.T, files map[string]string) map[string]string {
	t.Helper()
	files = goldentest.Differing(files, goldenFiles(t, results[v.stack]))
	for name := range files {
		if strings.HasSuffix(name, "-dashboards.yaml") {
			delete(files, name)
		}
	}
	return files
}

// addFiles adds the unchanged files of Prometheus' ConfigMap, which the tests in monitoring/ read.
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

// inClusters returns the stacks that deploy to Kubernetes, onDocker those that deploy to a Docker host.
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

// Every pod of the program, including those in kube-system, satisfies the Pod Security Standard `restricted`.
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

// pinned matches an image with an exact version or a digest.
var pinned = regexp.MustCompile(`:v?[0-9]+\.[0-9]+\.[0-9]+[^/:]*$|@sha256:[0-9a-f]{64}$`)

// A tag such as 8.2 moves to the newest 8.2.x, so two nodes could run different versions under it.
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
					t.Errorf("%s: %s: image %v is not an exact version", stack, name, image)
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
			t.Errorf("%s: the Deployment sets replicas to %v, which only the autoscaler may set", stack, replicas)
		}
		container := offline.Lookup(hpa.Inputs, "spec", "metrics", 0, "containerResource", "container")
		if offline.Lookup(deployment.Inputs, "spec", "template", "spec", "containers", 0, "name") != container {
			t.Errorf("%s: the autoscaler measures container %v, which the Deployment does not have", stack, container)
		}
		wait := offline.Lookup(hpa.Inputs, "metadata", "annotations", "pulumi.com/waitFor")
		if wait != "condition=ScalingActive" {
			t.Errorf("%s: pulumi up does not wait until the autoscaler has metrics: %v", stack, wait)
		}
	}
}

func TestNothingUsesTheDefaultKubernetesProvider(t *testing.T) {
	for stack, result := range results {
		for _, r := range result.Resources {
			if strings.HasPrefix(r.Type, "kubernetes:") &&
				!strings.HasSuffix(r.Provider, "pulumi:providers:kubernetes::cluster") {
				t.Errorf("%s: %s %s uses provider %q, want the explicit one", stack, r.Type, r.Name, r.Provider)
			}
		}
	}
}

func TestSecretsStaySecret(t *testing.T) {
	for stack, result := range results {
		if len(result.Exposed) > 0 {
			t.Errorf("%s: these values depend on a secret but are not marked as secret: %v", stack, result.Exposed)
		}
		if !slices.Contains(result.MissingSecrets, "redisPassword") && !variants[stack].noRedis {
			t.Errorf("%s: redisPassword is not reported as missing", stack)
		}
	}
}

// runStack runs the program with a stack file of the given content.
func runStack(t *testing.T, content string) (*offline.Result, error) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"Pulumi.yaml": readFile(t, "Pulumi.yaml"), "Pulumi.another.yaml": content,
	} {
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

// A copy of a stack file defines another environment.
func TestCopyOfAStackIsAStack(t *testing.T) {
	staging, err := runStack(t, readFile(t, "testdata/Pulumi.example.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := len(staging.Resources), len(results["example"].Resources); got != want {
		t.Errorf("staging has %d resources, want the %d of the original", got, want)
	}
}

// The stack file in docs/your-app.md is valid except for the digest placeholder.
func TestStackFileOfTheDocumentation(t *testing.T) {
	_, rest, _ := strings.Cut(readFile(t, "docs/your-app.md"), "```yaml\n")
	stack, _, found := strings.Cut(rest, "```")
	if !found || !strings.Contains(stack, "<digest>") {
		t.Fatalf("got %q, want the stack file", stack)
	}
	if _, err := runStack(t, strings.ReplaceAll(stack, "<digest>", strings.Repeat("0", 64))); err != nil {
		t.Error(err)
	}
}

// The capacity that a review computes from the golden files is that of the output `requests`.
func TestCapacityOfGoldenFiles(t *testing.T) {
	for name, result := range inClusters() {
		stack, err := rendered.Parse(name, goldenFiles(t, result))
		if err != nil {
			t.Fatal(err)
		}
		got, requests := stack.Capacity(), result.Exports["requests"].(map[string]any)
		for key, load := range map[string]rendered.Load{
			"atMin": got.AtMin, "atMax": got.AtMax, "atMaxInRollout": got.InRollout,
		} {
			if _, got, _ := strings.Cut(load.String(), ", "); got != requests[key] {
				t.Errorf("%s %s: got %s, want %s", name, key, got, requests[key])
			}
		}
	}
}
