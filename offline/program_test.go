package offline

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"github.com/rogpeppe/go-internal/diff"
)

// plainSecret is a secret in the demo program itself. No output may contain it.
const plainSecret = "plain-Secret-of-the-program"

// projectYAML and stackYAML configure the demo program.
const (
	projectYAML = `name: demo
runtime: go
config:
  replicas: {type: integer, default: 2}
  debug: {type: boolean, default: false}
  hosts: {type: array, items: {type: string}, default: []}
  labels: {type: object, default: {}}
  title: {type: string}
  password: {secret: true, default: ""}
  token: {secret: true, default: ""}
  key: {secret: true}
`
	stackYAML = `config:
  pulumi:disable-default-providers: [kubernetes]
  demo:title: Hello
  demo:hosts: [a.example, b.example]
`
)

// project writes a project with stack files, by stack name, and returns its folder.
func project(t *testing.T, stacks map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Pulumi.yaml", projectYAML)
	for stack, content := range stacks {
		write("Pulumi."+stack+".yaml", content)
	}
	return dir
}

// runDemo runs the demo program for stack dev.
func runDemo(t *testing.T) *Result {
	t.Helper()
	result, err := Run(demo, project(t, map[string]string{"dev": stackYAML}), "dev")
	if err != nil {
		t.Fatal(err)
	}
	return result
}

type (
	object struct {
		pulumi.CustomResourceState
		Metadata pulumi.MapOutput `pulumi:"metadata"`
		Status   pulumi.MapOutput `pulumi:"status"`
	}
	image struct {
		pulumi.CustomResourceState
		RepoDigest pulumi.StringOutput `pulumi:"repoDigest"`
	}
	component struct{ pulumi.ResourceState }
	provider  struct{ pulumi.ProviderResourceState }
)

// valueOf returns a configuration value, or empty if there is none.
func valueOf(ctx *pulumi.Context, key string) string {
	value, _ := ctx.GetConfig("demo:" + key)
	return value
}

func secretOf(ctx *pulumi.Context, key string) pulumi.StringOutput {
	return pulumi.ToSecret(pulumi.String(valueOf(ctx, key))).(pulumi.StringOutput)
}

// demo covers all relevant cases: a component, an explicit provider, a function call, a provider output, secrets of the
// program and of the configuration, an autoscaler and fixed workloads.
func demo(ctx *pulumi.Context) error {
	password := secretOf(ctx, "key").ApplyT(func(key string) string { return "pw-" + key }).(pulumi.StringOutput)

	app := &component{}
	if err := ctx.RegisterComponentResourceV2("demo:index:App", "app", pulumi.Map{}, app); err != nil {
		return err
	}
	found := ctx.InvokeOutput("aws:eks/getCluster:getCluster", map[string]any{"name": "prod"}, pulumi.MapOutput{},
		pulumi.InvokeOutputOptions{}).(pulumi.MapOutput)
	cluster := &provider{}
	err := ctx.RegisterResource("pulumi:providers:kubernetes", "cluster", pulumi.Map{
		"kubeconfig": found.ApplyT(func(map[string]any) string { panic("the cluster is not known") }),
	}, cluster)
	if err != nil {
		return err
	}
	built := &image{}
	err = ctx.RegisterResource("docker:index/image:Image", "app", pulumi.Map{
		"imageName": pulumi.String("registry.example/app:0123456789abcdef"),
		"build":     pulumi.Map{"args": pulumi.Map{"VERSION": pulumi.String("0123456789abcdef")}},
		"password":  pulumi.ToSecret(pulumi.String(plainSecret)),
	}, built, pulumi.Parent(app), pulumi.Protect(true))
	if err != nil {
		return err
	}
	ctx.Export("image", built.RepoDigest)
	ctx.Export("title", pulumi.String(valueOf(ctx, "title")))
	ctx.Export("password", password)
	ctx.Export("commands", pulumi.StringArray{
		pulumi.String("kubectl get pods"), pulumi.Sprintf("run %s", built.RepoDigest),
	})
	return demoObjects(ctx, app, cluster, built, password)
}

func demoObjects(
	ctx *pulumi.Context, app *component, cluster *provider, built *image, password pulumi.StringOutput,
) error {
	add := func(typ, apiVersion, name string, rest pulumi.Map) error {
		kind := typ[strings.LastIndex(typ, ":")+1:]
		inputs := pulumi.Map{"apiVersion": pulumi.String(apiVersion), "kind": pulumi.String(kind)}
		metadata := pulumi.Map{"name": pulumi.String(name), "namespace": pulumi.String("demo")}
		if kind == "Namespace" {
			delete(metadata, "namespace")
		}
		inputs["metadata"] = metadata
		for key, value := range rest {
			inputs[key] = value
		}
		return ctx.RegisterResource(typ, strings.ToLower(kind)+"-"+name, inputs, &object{},
			pulumi.Parent(app), pulumi.Provider(cluster))
	}
	pod := func(image pulumi.Input, cpu, memory string) pulumi.Map {
		sizes := pulumi.Map{"cpu": pulumi.String(cpu), "memory": pulumi.String(memory)}
		return pulumi.Map{"template": pulumi.Map{"spec": pulumi.Map{"containers": pulumi.Array{pulumi.Map{
			"name": pulumi.String("main"), "image": image,
			"resources": pulumi.Map{"requests": sizes, "limits": pulumi.Map{"memory": pulumi.String(memory)}},
		}}}}}
	}
	fixed := pod(pulumi.String("redis:8"), "100m", "128Mi")
	fixed["replicas"] = pulumi.Int(1)
	for _, o := range []struct {
		typ, apiVersion, name string
		rest                  pulumi.Map
	}{
		{"kubernetes:autoscaling/v2:HorizontalPodAutoscaler", "autoscaling/v2", "web", pulumi.Map{"spec": pulumi.Map{
			"minReplicas": pulumi.Int(2), "maxReplicas": pulumi.Int(10),
			"scaleTargetRef": pulumi.Map{"kind": pulumi.String("Deployment"), "name": pulumi.String("web")},
			"metrics": pulumi.Array{pulumi.Map{
				"type": pulumi.String("Resource"),
				"resource": pulumi.Map{
					"name": pulumi.String("cpu"), "target": pulumi.Map{"averageUtilization": pulumi.Int(50)},
				},
			}},
		}}},
		{"kubernetes:apps/v1:Deployment", "apps/v1", "web", pulumi.Map{"spec": pod(built.RepoDigest, "250m", "64Mi")}},
		{"kubernetes:apps/v1:StatefulSet", "apps/v1", "redis", pulumi.Map{"spec": fixed}},
		{"kubernetes:core/v1:Namespace", "v1", "demo", nil},
		{"kubernetes:core/v1:ConfigMap", "v1", "careless", pulumi.Map{
			"data": pulumi.StringMap{"on": pulumi.String("yes"), "script": pulumi.String("a\nb\n")},
		}},
		{"kubernetes:core/v1:Secret", "v1", "web", pulumi.Map{
			"data":       pulumi.ToSecret(pulumi.StringMap{"plain": pulumi.String("cGxhaW4=")}),
			"stringData": pulumi.ToSecret(pulumi.StringMap{"password": password, "own": pulumi.String(plainSecret)}),
		}},
	} {
		if err := add(o.typ, o.apiVersion, o.name, o.rest); err != nil {
			return err
		}
	}
	return nil
}

// find returns the resource with this title, e.g. "Deployment demo/web".
func find(t *testing.T, r *Result, title string) *Resource {
	t.Helper()
	for i := range r.Resources {
		if r.Resources[i].title() == title {
			return &r.Resources[i]
		}
	}
	t.Fatalf("there is no %q", title)
	return nil
}

// unified returns the unified diff of two texts.
func unified(want, got string) string {
	return string(diff.Diff("want", []byte(want), "got", []byte(got)))
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
