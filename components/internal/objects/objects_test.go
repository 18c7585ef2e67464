package objects

import (
	"reflect"
	"strings"
	"testing"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// program registers one of each object of an Owner, whose component has another name than its objects.
func program(ctx *pulumi.Context) error {
	o := Owner{
		Pods: Pods{
			Name: "redis", Instance: "cache", Labels: map[string]string{"team": "shop"},
			Annotations: map[string]string{"owner": "me"},
		},
		Namespace: pulumi.String("ns"),
	}
	cache := &struct{ pulumi.ResourceState }{}
	if err := o.Register(ctx, "Cache", "store", nil, cache, nil); err != nil {
		return err
	}
	pod := &corev1.PodTemplateSpecArgs{}
	service := o.Service("redis", 6379)
	o.ConfigMap("-conf", pulumi.StringMap{"a": pulumi.String("b")})
	o.DisruptionBudget()
	o.SinglePodDeployment(pod)
	o.SinglePodStatefulSet(service, pod, pulumi.Protect(true))
	o.Claim("1Gi", "gp3", true)
	return o.Finish(pulumi.Map{})
}

// Objects are children of the component, with the names, the namespace, the labels and the selector of its Pods.
func TestOwnerRegisters(t *testing.T) {
	result := componenttest.Record(t, program)
	for _, want := range []struct {
		kind, suffix string
		selector     []any // nil for none
		protect, now bool  // now: the provider does not wait
	}{
		{kind: "Service", selector: []any{"spec", "selector"}, now: true},
		{kind: "ConfigMap", suffix: "-conf"},
		{kind: "PodDisruptionBudget", selector: []any{"spec", "selector", "matchLabels"}},
		{kind: "Deployment", selector: []any{"spec", "selector", "matchLabels"}},
		{kind: "StatefulSet", selector: []any{"spec", "selector", "matchLabels"}, protect: true},
		{kind: "PersistentVolumeClaim", suffix: "-data", protect: true},
	} {
		r := componenttest.Find(t, result, want.kind, "store"+want.suffix)
		object, _ := r.Object()
		if name := want.kind + " ns/cache" + want.suffix; object.String() != name ||
			!strings.HasSuffix(r.Parent, "::scaleout:index:Cache::store") {
			t.Errorf("got %s below %q, want %s below the component", object, r.Parent, name)
		}
		if protect := r.Options["protect"] == true; protect != want.protect {
			t.Errorf("%s: got protect %t", want.kind, protect)
		}
		metadata := r.Inputs["metadata"]
		now := offline.Lookup(metadata, "annotations", "pulumi.com/skipAwait") == "true"
		if now != want.now || offline.Lookup(metadata, "annotations", "owner") != "me" ||
			offline.Lookup(metadata, "labels", "team") != "shop" {
			t.Errorf("%s: got the metadata %v", want.kind, metadata)
		}
		pods := map[string]any{"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "cache"}
		if want.selector != nil && !reflect.DeepEqual(offline.Lookup(r.Inputs, want.selector...), any(pods)) {
			t.Errorf("%s: got the selector %v, want %v", want.kind, offline.Lookup(r.Inputs, want.selector...), pods)
		}
	}
}

func TestCheckClass(t *testing.T) {
	for _, same := range []string{"", "gp3"} {
		if err := checkClass("redis-data", same, same); err != nil {
			t.Errorf("class %q: got %v, want it accepted", same, err)
		}
	}
	for _, c := range []struct {
		had   any
		class string
	}{{"", "gp3"}, {"gp3", ""}, {"gp3", "io2"}, {nil, "gp3"}} {
		err := checkClass("redis-data", c.had, c.class)
		if err == nil || !strings.Contains(err.Error(), "redis-data") ||
			!strings.Contains(err.Error(), "docs/operations.md") {
			t.Errorf("%v to %q: got %v, want an error with the claim and the documentation", c.had, c.class, err)
		}
	}
}

// The addresses may be the output of another program, so an empty list may be known only during `pulumi up`.
func TestBlocks(t *testing.T) {
	if peers, err := blocks(nil); err == nil || peers != nil {
		t.Errorf("no CIDRs: got %v, %v, want an error, because every address would be admitted", peers, err)
	}
	peers, err := blocks([]string{"10.0.0.0/16", "10.1.0.0/16"})
	if err != nil || len(peers) != 2 || peers[1].IpBlock.Cidr != "10.1.0.0/16" {
		t.Errorf("got %v, %v, want both blocks", peers, err)
	}
}

// A nil list of peers means unrestricted, so an empty one must not become nil.
func TestPeersOfNobody(t *testing.T) {
	if peers := PeersOf(nil, 80); peers == nil || len(peers) != 0 {
		t.Errorf("got %v, want an empty list", peers)
	}
}

// Custom labels never change a selector.
func TestLabelSetKeepsTheSelector(t *testing.T) {
	app := Pods{Name: "redis", Instance: "a", Labels: map[string]string{
		"app.kubernetes.io/name": "other", "app.kubernetes.io/part-of": "shop", "team": "x",
	}}
	labels := app.LabelSet()
	for key, want := range map[string]string{
		"app.kubernetes.io/name": "redis", "app.kubernetes.io/instance": "a", "app.kubernetes.io/part-of": "shop",
		"team": "x",
	} {
		if labels[key] != pulumi.String(want) {
			t.Errorf("%s: got %v, want %s", key, labels[key], want)
		}
	}
	if len(app.Selector()) != 2 {
		t.Errorf("got the selector %v, want two labels", app.Selector())
	}
}
