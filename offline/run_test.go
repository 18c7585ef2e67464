package offline

import (
	"bytes"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestRunRecordsWhatTheProgramRegisters(t *testing.T) {
	r := runDemo(t)
	deployment := find(t, r, "Deployment demo/web")
	image := find(t, r, "docker:index:Image app")
	want := "urn:pulumi:dev::demo::demo:index:App$kubernetes:apps/v1:Deployment::deployment-web"
	if deployment.URN != want {
		t.Errorf("URN: got %s, want %s", deployment.URN, want)
	}
	if want := "urn:pulumi:dev::demo::demo:index:App::app"; deployment.Parent != want {
		t.Errorf("parent: got %s, want %s", deployment.Parent, want)
	}
	if want := "urn:pulumi:dev::demo::pulumi:providers:kubernetes::cluster"; deployment.Provider != want {
		t.Errorf("provider: got %s, want %s", deployment.Provider, want)
	}
	if want := []string{image.URN}; !reflect.DeepEqual(deployment.Dependencies, want) {
		t.Errorf("dependencies: got %v, want %v", deployment.Dependencies, want)
	}
	if want := map[string]any{"protect": true}; !reflect.DeepEqual(image.Options, want) {
		t.Errorf("options: got %v, want %v", image.Options, want)
	}
	if got := Lookup(find(t, r, "HorizontalPodAutoscaler demo/web").Inputs, "spec", "maxReplicas"); got != int64(10) {
		t.Errorf("maxReplicas: got %v, want 10", got)
	}
	if component := find(t, r, "demo:index:App app"); component.Custom || component.Parent != "" {
		t.Errorf("component: got custom %v, parent %q, want false and none", component.Custom, component.Parent)
	}
}

func TestUnknownValuesAreNotInvented(t *testing.T) {
	r := runDemo(t)
	for _, test := range []struct {
		title string
		path  []any
		want  string
	}{
		{"Deployment demo/web", []any{"spec", "template", "spec", "containers", 0, "image"}, "docker image app"},
		{"pulumi:providers:kubernetes cluster", []any{"kubeconfig"}, "aws getCluster"},
	} {
		if got := Lookup(find(t, r, test.title).Inputs, test.path...); got != (Unknown{test.want}) {
			t.Errorf("%s %v: got %v, want an unknown from %s", test.title, test.path, got, test.want)
		}
	}
	if got := r.Exports["image"]; got != (Unknown{"docker image app"}) {
		t.Errorf("output image: got %v, want an unknown", got)
	}
	if got := Lookup(r.Exports, "commands", 0); got != "kubectl get pods" {
		t.Errorf("output commands[0]: got %v, want it known", got)
	}
}

func TestRunIsDeterministic(t *testing.T) {
	dir := project(t, map[string]string{"dev": stackYAML})
	var first []byte
	for i := range 20 {
		r, err := Run(demo, dir, "dev")
		if err != nil {
			t.Fatal(err)
		}
		files, err := r.Golden()
		if err != nil {
			t.Fatal(err)
		}
		all := []byte(r.Preview())
		for _, name := range sortedKeys(files) {
			all = append(all, name+"\n"+files[name]...)
		}
		if i == 0 {
			first = all
		} else if !bytes.Equal(first, all) {
			t.Fatalf("run %d differs:\n%s", i+1, unified(string(first), string(all)))
		}
	}
}

func TestWhatTheEngineWouldRefuse(t *testing.T) {
	configMap := func(ctx *pulumi.Context, resource, object string, opts ...pulumi.ResourceOption) error {
		return ctx.RegisterResource("kubernetes:core/v1:ConfigMap", resource, pulumi.Map{
			"apiVersion": pulumi.String("v1"), "kind": pulumi.String("ConfigMap"),
			"metadata": pulumi.Map{"name": pulumi.String(object)},
		}, &pulumi.CustomResourceState{}, opts...)
	}
	for _, test := range []struct {
		name, want string
		program    pulumi.RunFunc
	}{
		{"same URN", "two resources have the URN urn:pulumi:dev::demo::kubernetes:core/v1:ConfigMap::a",
			func(ctx *pulumi.Context) error {
				return errors.Join(configMap(ctx, "a", "x"), configMap(ctx, "a", "y"))
			}},
		{"same object", "ConfigMap x is managed twice",
			func(ctx *pulumi.Context) error {
				return errors.Join(configMap(ctx, "a", "x"), configMap(ctx, "b", "x"))
			}},
		{"disabled default provider", `"a" has no provider`,
			func(ctx *pulumi.Context) error { return configMap(ctx, "a", "x") }},
		{"error of the program", "creating it: no luck",
			func(*pulumi.Context) error { return errors.New("creating it: no luck") }},
		{"error in an apply", "no digest", func(ctx *pulumi.Context) error {
			ctx.Export("x", pulumi.String("a").ToStringOutput().ApplyT(func(string) (string, error) {
				return "", errors.New("no digest")
			}))
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Run(test.program, project(t, map[string]string{"dev": stackYAML}), "dev")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want an error with %q", err, test.want)
			}
			if strings.Contains(err.Error(), "occurred") {
				t.Errorf("got %q, want it without the SDK's list", err)
			}
		})
	}
}

func TestTheSameObjectIsOfOneAPIGroup(t *testing.T) {
	for _, test := range []struct {
		name, first, second string
		refused             bool
	}{
		{"two versions of one group", "autoscaling/v1", "autoscaling/v2", true},
		{"two groups", "v1", "serving.knative.dev/v1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := manifests([3]string{"Service", "a", "web"}, [3]string{"Service", "a", "web"})
			r.Resources[0].Inputs["apiVersion"], r.Resources[1].Inputs["apiVersion"] = test.first, test.second
			r.Resources[1].URN = "another"
			if err := (&recorder{}).refuse(r.Resources); (err != nil) != test.refused {
				t.Errorf("got %v, want refused: %v", err, test.refused)
			}
		})
	}
}

func TestRunLeavesTheEnvironmentAlone(t *testing.T) {
	t.Setenv("PULUMI_CONFIG", "before")
	runDemo(t)
	if got := os.Getenv("PULUMI_CONFIG"); got != "before" {
		t.Errorf("PULUMI_CONFIG: got %q, want what it was", got)
	}
	if got, set := os.LookupEnv("PULUMI_CONFIG_SECRET_KEYS"); set {
		t.Errorf("PULUMI_CONFIG_SECRET_KEYS: got %q, want it unset", got)
	}
}

func TestRecordNeedsNoConfiguration(t *testing.T) {
	t.Setenv("PULUMI_CONFIG", `{"scaleout:stray": "value"}`)
	r, err := Record(func(ctx *pulumi.Context) error {
		if got, set := ctx.GetConfig("scaleout:stray"); set {
			t.Errorf("configuration of the environment: got %q, want none", got)
		}
		existing := &object{}
		err := ctx.ReadResource("kubernetes:core/v1:Service", "dns", pulumi.ID("kube-system/dns"), nil, existing)
		ctx.Export("ip", existing.Status)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []Resource{{
		URN: "urn:pulumi:test::scaleout::kubernetes:core/v1:Service::dns", Type: "kubernetes:core/v1:Service", Name: "dns",
		Custom: true, Inputs: map[string]any{}, Options: map[string]any{"existing": []any{"kube-system/dns"}},
	}}
	if !reflect.DeepEqual(r.Resources, want) {
		t.Errorf("got %+v, want %+v", r.Resources, want)
	}
	if _, unknown := r.Exports["ip"].(Unknown); !unknown {
		t.Errorf("status of an existing object: got %v, want unknown", r.Exports["ip"])
	}
}
