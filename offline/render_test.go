package offline

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// rendered renders into dir and returns the files by name.
func rendered(t *testing.T, r *Result, dir string) map[string]string {
	t.Helper()
	names, err := r.Render(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range names {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(content)
	}
	return files
}

// marker is the first line of every file.
const marker = "# Rendered by `scaleout render`; changes will be overwritten. Stack: dev.\n"

func TestRender(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	files := rendered(t, runDemo(t), dir)
	wantNames := []string{
		"02-namespace-demo.yaml", "08-secret-demo.web.yaml", "09-configmap-demo.careless.yaml",
		"28-statefulset-demo.redis.yaml", "29-deployment-demo.web.yaml", "35-horizontalpodautoscaler-demo.web.yaml",
	}
	if got := sortedKeys(files); !reflect.DeepEqual(got, wantNames) {
		t.Errorf("files: got %v, want %v", got, wantNames)
	}
	for name, want := range map[string]string{
		"29-deployment-demo.web.yaml": marker +
			"# Known only after `pulumi up`: spec.template.spec.containers[0].image [unknown: docker image app]\n" +
			`apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: demo
spec:
  template:
    spec:
      containers:
        - image: '[unknown: docker image app]'
          name: main
          resources:
            limits:
              memory: 64Mi
            requests:
              cpu: 250m
              memory: 64Mi
`,
		"08-secret-demo.web.yaml": marker + `# Secret, not shown: data.plain
# Secret, not shown: stringData.own
# Secret, not shown: stringData.password
apiVersion: v1
kind: Secret
metadata:
  name: web
  namespace: demo
data:
  plain: '[secret]'
stringData:
  own: '[secret]'
  password: '[secret]'
`,
		"09-configmap-demo.careless.yaml": marker + `apiVersion: v1
kind: ConfigMap
metadata:
  name: careless
  namespace: demo
data:
  "on": "yes"
  script: |
    a
    b
`,
	} {
		if files[name] != want {
			t.Errorf("%s (- want, + got)\n%s", name, unified(want, files[name]))
		}
	}
}

func TestRenderAgainReplacesItsOwnFilesOnly(t *testing.T) {
	dir := t.TempDir()
	r := runDemo(t)
	first := rendered(t, r, dir)
	if again := rendered(t, r, dir); !reflect.DeepEqual(first, again) {
		t.Error("a second run changed the files")
	}
	r.Resources = slices.DeleteFunc(r.Resources, func(r Resource) bool { return r.Name == "configmap-careless" })
	rendered(t, r, dir)
	if _, err := os.Stat(filepath.Join(dir, "09-configmap-demo.careless.yaml")); !os.IsNotExist(err) {
		t.Errorf("the file of a removed object: got %v, want none", err)
	}

	for _, test := range []struct{ name, file, content string }{
		{"another file", "notes.txt", "mine"},
		{"a file with a name like ours", "02-namespace-mine.yaml", "kind: Namespace\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, test.file)
			if err := os.WriteFile(path, []byte(test.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := r.Render(dir)
			if err == nil || !strings.Contains(err.Error(), path+" was not written by `render`") {
				t.Errorf("got %v, want an error that names the file", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "02-namespace-demo.yaml")); err != nil {
				t.Errorf("a refused run touched the folder: %v", err)
			}
			if err := os.Remove(path); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a folder", func(t *testing.T) {
		if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Render(dir); err == nil || !strings.Contains(err.Error(), "sub was not written by `render`") {
			t.Errorf("got %v, want an error that names the folder", err)
		}
	})
}

// manifests returns a result with the given objects, each as kind, namespace, name.
func manifests(objects ...[3]string) *Result {
	r := &Result{Stack: "dev"}
	for _, o := range objects {
		metadata := map[string]any{"name": o[2]}
		if o[1] != "" {
			metadata["namespace"] = o[1]
		}
		r.Resources = append(r.Resources, Resource{
			URN: strings.Join(o[:], "/"), Type: "kubernetes:x/v1:" + o[0], Name: o[2], Custom: true,
			Inputs: map[string]any{"apiVersion": "x/v1", "kind": o[0], "metadata": metadata},
		})
	}
	return r
}

func TestRenderOrderAndNames(t *testing.T) {
	r := manifests(
		[3]string{"HorizontalPodAutoscaler", "a", "web"}, [3]string{"Deployment", "a", "web"},
		[3]string{"Widget", "a", "web"}, [3]string{"Ingress", "a", "web"}, [3]string{"Service", "a", "b-c"},
		[3]string{"Service", "a-b", "c"}, [3]string{"ClusterRole", "", "system:reader"},
		[3]string{"ServiceAccount", "a", "web"}, [3]string{"NetworkPolicy", "a", "web"}, [3]string{"Namespace", "", "a"},
	)
	want := []string{
		"02-namespace-a.yaml", "03-networkpolicy-a.web.yaml", "07-serviceaccount-a.web.yaml",
		"14-clusterrole-system_reader.yaml", "20-service-a-b.c.yaml", "20-service-a.b-c.yaml", "24-ingress-a.web.yaml",
		"29-deployment-a.web.yaml", "34-widget-a.web.yaml", "35-horizontalpodautoscaler-a.web.yaml",
	}
	if got := sortedKeys(rendered(t, r, t.TempDir())); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestRenderRefusesTwoObjectsInOneFile(t *testing.T) {
	r := manifests([3]string{"Service", "a", "web"}, [3]string{"Service", "a", "web"})
	r.Resources[1].Inputs["apiVersion"] = "serving.knative.dev/v1"
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := r.Render(dir); err == nil || !strings.Contains(err.Error(), "20-service-a.web.yaml") {
		t.Errorf("got %v, want an error that names the file", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("a refused run touched the folder: %v", err)
	}
}

func TestRenderOfAnObjectWithoutAName(t *testing.T) {
	r := manifests([3]string{"ConfigMap", "a", "settings"})
	delete(r.Resources[0].Inputs["metadata"].(map[string]any), "name")
	for name, content := range rendered(t, r, t.TempDir()) {
		if want := "name: '[unknown: auto-named settings]'"; !strings.Contains(content, want) {
			t.Errorf("%s: got %s, want it to contain %s", name, content, want)
		}
	}
}

// A pipeline that applies rendered files must not continue without any.
func TestRenderOfNothing(t *testing.T) {
	result, err := Record(func(*pulumi.Context) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := result.Render(dir); err == nil || !strings.Contains(err.Error(), "no Kubernetes objects") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it created the folder")
	}
}
