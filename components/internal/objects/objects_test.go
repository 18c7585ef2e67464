package objects

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

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
			t.Errorf("%v to %q: got %v, want a refusal that names the claim and the way out", c.had, c.class, err)
		}
	}
}

// The addresses may come from another program, so an empty list shows only in an `up`.
func TestBlocks(t *testing.T) {
	if peers, err := blocks(nil); err == nil || peers != nil {
		t.Errorf("no CIDRs: got %v, %v, want an error, since it would be everyone", peers, err)
	}
	peers, err := blocks([]string{"10.0.0.0/16", "10.1.0.0/16"})
	if err != nil || len(peers) != 2 || peers[1].IpBlock.Cidr != "10.1.0.0/16" {
		t.Errorf("got %v, %v, want both blocks", peers, err)
	}
}

// A nil list of peers leaves a direction alone, so an empty one must not become nil.
func TestPeersOfNobody(t *testing.T) {
	if peers := PeersOf(nil, 80); peers == nil || len(peers) != 0 {
		t.Errorf("got %v, want an empty list", peers)
	}
}

// Labels of a caller never change whom a selector finds.
func TestLabelSetKeepsTheSelector(t *testing.T) {
	app := App{Name: "redis", Instance: "a", Labels: map[string]string{
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
	if len(app.Pods()) != 2 {
		t.Errorf("got the selector %v, want two labels", app.Pods())
	}
}
