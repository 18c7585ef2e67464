package kubeconform

import (
	"errors"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yannh/kubeconform/pkg/validator"
)

// newer has the golden files of options that are documented to need a newer Kubernetes than the minimum, with the
// versions that lack them, in which the file must be invalid.
var newer = map[string][]string{
	// scaleTolerance is documented to need Kubernetes 1.35. 1.33 and 1.34 have the field, behind a feature gate.
	"testdata/golden/prod-tolerance/horizontalpodautoscaler-scaleout.web.yaml": {"1.30.0"},
}

// goldenFiles are the golden files of both projects and of the examples, relative to the root of the repository.
var goldenFiles = []string{
	"testdata/golden/*/*.yaml", "cluster/testdata/golden/*/*.yaml", "examples/*/testdata/golden/*.yaml",
}

// object matches a golden file of a Kubernetes object. The others contain resources of other providers, the stack's
// outputs, and files of Prometheus. One of the two fields is enough, so that a lack of the other one is detected.
var object = regexp.MustCompile(`(?m)^(apiVersion|kind):`)

// TestGolden: every object of every variant is valid in each version of Kubernetes, except for those in newer.
func TestGolden(t *testing.T) {
	root := os.DirFS("../..")
	for _, version := range versions {
		t.Run(version, func(t *testing.T) {
			v := schemas(t, version)
			seen := map[string]bool{}
			for _, pattern := range goldenFiles {
				files, err := fs.Glob(root, pattern)
				if err != nil {
					t.Fatal(err)
				}
				valid := 0
				for _, file := range files {
					content, err := fs.ReadFile(root, file)
					if err != nil {
						t.Fatal(err)
					}
					if !object.Match(content) {
						continue
					}
					finding, skipped := check(v, file, content)
					seen[skipped] = true
					if announced := slices.Contains(newer[file], version); announced && finding == "" {
						t.Errorf("%s is valid, although it needs a newer Kubernetes than %s according to newer", file, version)
					} else if !announced && finding != "" {
						t.Errorf("%s: %s", file, finding)
					}
					if finding+skipped == "" {
						valid++
					}
				}
				if valid == 0 {
					t.Errorf("%s has no valid object", pattern)
				}
			}
			for kind := range withoutSchema {
				if !seen[kind] {
					t.Errorf("no golden file has %s, which withoutSchema skips", kind)
				}
			}
		})
	}
}

// schemas returns a validator for a version of Kubernetes. Without network it skips the test, or fails it in CI.
func schemas(t *testing.T, version string) validator.Validator {
	t.Helper()
	v, err := newValidator(t.Context(), version, t.TempDir())
	if errors.Is(err, errDownload) && os.Getenv("CI") == "" {
		t.Skipf("the API of Kubernetes %s is not checked: %v", version, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// deployment has a placeholder for a value of each type.
const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: '[unknown: docker image app]'
  annotations: {checksum/config: '[secret]'}
spec:
  replicas: '[unknown]'
  paused: '[unknown: aws cluster cluster or 4 others]'
  selector: {matchLabels: {app: web}}
  strategy: {rollingUpdate: {maxSurge: 25%, maxUnavailable: 0}}
  template:
    metadata: {labels: '[unknown]'}
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: web
          image: '[unknown]'
          ports: '[unknown]'
          resources: {limits: {cpu: 1.5, memory: 64Mi}, requests: {cpu: '[unknown]', memory: '[secret]'}}
          readinessProbe: {httpGet: {path: /readyz, port: http}}
`

const autoscaler = `
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 20
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  behavior: {scaleUp: {tolerance: "0.05"}}
`

const nodePool = `
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: apps}
spec:
  limits: {cpu: "32"}
  template:
    spec:
      expireAfter: '[unknown]'
      nodeClassRef: {group: eks.amazonaws.com, kind: NodeClass, name: '[unknown]'}
      requirements: [{key: kubernetes.io/arch, operator: In, values: [arm64]}]
`

// finding returns the problem of an object as a golden file.
func finding(v validator.Validator, object string) string {
	found, _ := check(v, "object.yaml", []byte(strings.TrimSpace(object)))
	return found
}

func TestNothingWrong(t *testing.T) {
	v := schemas(t, versions[0])
	skipped := "apiVersion: eks.amazonaws.com/v1\nkind: NodeClass\nspec: 1\n"
	for _, object := range []string{deployment, nodePool, skipped} {
		if got := finding(v, object); got != "" {
			t.Errorf("got %s\nof %s", got, object)
		}
	}
}

func TestFieldThatIsTooNew(t *testing.T) {
	if got := finding(schemas(t, "1.30.0"), autoscaler); !strings.Contains(got, "'tolerance' not allowed") {
		t.Errorf("Kubernetes 1.30 must reject the field tolerance, got %q", got)
	}
	if got := finding(schemas(t, "1.34.2"), autoscaler); got != "" {
		t.Errorf("Kubernetes 1.34 has the field tolerance, got %s", got)
	}
}

// TestFindings: problems are found, even next to a placeholder, and reported with their location.
func TestFindings(t *testing.T) {
	v := schemas(t, versions[0])
	for name, test := range map[string]struct {
		object, old, new string
		// place and problem are parts of the finding.
		place, problem string
	}{
		"misspelt field":     {deployment, "image:", "imag:", "/template/spec/containers/0'", "'imag'"},
		"field elsewhere":    {deployment, "  paused", "  nodeName: a\n  paused", "/spec'", "'nodeName'"},
		"text for a number":  {deployment, "Seconds: 30", "Seconds: thirty", "/terminationGracePeriodSeconds'", "got string"},
		"number for a text":  {deployment, "name: web", "name: 8", "/containers/0/name'", "got number"},
		"text for a list":    {deployment, "ports: '[unknown]'", "ports: http", "/ports'", "'http' is not a placeholder"},
		"fraction":           {deployment, "replicas: '[unknown]'", "replicas: 1.5", "/spec/replicas'", "want integer"},
		"half a placeholder": {deployment, "paused: '", "paused: 'x", "/spec/paused'", "want boolean"},
		"no quantity":        {deployment, "64Mi", "64MB", "/resources/limits/memory'", "'64MB'"},
		"field is missing":   {deployment, ", port: http", "", "/readinessProbe/httpGet'", "missing property 'port'"},
		"object is missing":  {deployment, "  selector: {matchLabels: {app: web}}\n", "", "/spec'", "'selector'"},
		"null":               {deployment, "{httpGet: {path: /readyz, port: http}}", "null", "/readinessProbe'", "got null"},
		"a key twice":        {deployment, "  paused", "  replicas: 1\n  paused", "", "\"replicas\" already set"},
		"kind in lower case": {deployment, "Deployment", "deployment", "/kind'", "'Deployment'"},
		"no kind":            {deployment, "kind: Deployment\n", "", "", "missing 'kind'"},
		"no API version":     {deployment, "apiVersion: apps/v1\n", "", "", "missing 'apiVersion'"},
		"kind of nobody":     {deployment, "kind: Deployment", "kind: Deploy", "", "schema for Deploy"},
		"group of nobody":    {deployment, "apps/v1", "apps.example.com/v1", "", "schema for Deployment"},
		"version is gone":    {deployment, "apps/v1", "apps/v1beta1", "", "schema for Deployment"},
		"custom, misspelt":   {nodePool, "requirements", "requirement", "/template/spec'", "'requirement'"},
		"custom, wrong text": {nodePool, "expireAfter: '[unknown]'", "expireAfter: 2 weeks", "/expireAfter'", "'2 weeks'"},
	} {
		t.Run(name, func(t *testing.T) {
			if !strings.Contains(test.object, test.old) {
				t.Fatalf("the object has no %q", test.old)
			}
			got := finding(v, strings.Replace(test.object, test.old, test.new, 1))
			if !strings.Contains(got, test.place) || !strings.Contains(got, test.problem) {
				t.Errorf("got %q, want %q and %q in it", got, test.place, test.problem)
			}
		})
	}
}

// TestVersions: the list of versions includes those with which clusters are created.
func TestVersions(t *testing.T) {
	for file, form := range map[string]string{
		"../../cmd/scaleout/kind.go": `kindest/node:v(\d+\.\d+)`,
		"../../cluster/Pulumi.yaml":  `kubernetesVersion:\n +type: string\n +default: "(\d+\.\d+)"`,
	} {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		matches := regexp.MustCompile(form).FindAllStringSubmatch(string(content), -1)
		if len(matches) == 0 {
			t.Errorf("%s has no version", file)
		}
		for _, match := range matches {
			if !slices.ContainsFunc(versions, func(v string) bool { return strings.HasPrefix(v, match[1]+".") }) {
				t.Errorf("%s has Kubernetes %s, which is not one of %v", file, match[1], versions)
			}
		}
	}
}
