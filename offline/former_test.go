package offline

import (
	"reflect"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// A resource's former URNs are those that the engine derives from its aliases and its parents'. TestRename of
// internal/engine observes the same with the engine.
func TestFormer(t *testing.T) {
	alias := func(a pulumi.Alias) pulumi.ResourceOption { return pulumi.Aliases([]pulumi.Alias{a}) }
	result, err := Record(func(ctx *pulumi.Context) error {
		site := &pulumi.ResourceState{}
		err := ctx.RegisterComponentResource("shop:index:Site", "site", site, alias(pulumi.Alias{Name: pulumi.String("web")}))
		if err != nil {
			return err
		}
		for name, opt := range map[string]pulumi.ResourceOption{
			"site":   nil,
			"site-b": alias(pulumi.Alias{Type: pulumi.String("shop:index:Old")}),
			"other":  nil,
			"urn":    alias(pulumi.Alias{URN: pulumi.URN("urn:pulumi:s::p::shop:index:A::urn")}),
			"moved":  alias(pulumi.Alias{NoParent: pulumi.Bool(true)}),
			"same":   alias(pulumi.Alias{Type: pulumi.String("shop:v1:Part")}),
		} {
			opts := []pulumi.ResourceOption{pulumi.Parent(site)}
			if opt != nil {
				opts = append(opts, opt)
			}
			err := ctx.RegisterResource("shop:index:Part", name, pulumi.Map{}, &pulumi.CustomResourceState{}, opts...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	base := "urn:pulumi:" + result.Stack + "::" + result.Project + "::"
	inSite := base + "shop:index:Site$shop:index:"
	want := map[string][]string{
		"shop:index:Site site":   {base + "shop:index:Site::web"},
		"shop:index:Part site":   {inSite + "Part::web"},
		"shop:index:Part site-b": {inSite + "Old::site-b", inSite + "Old::web-b", inSite + "Part::web-b"},
		"shop:index:Part urn":    {"urn:pulumi:s::p::shop:index:A::urn"},
		"shop:index:Part moved":  {base + "shop:index:Part::moved"},
	}
	got := map[string][]string{}
	for _, r := range result.Resources {
		if len(r.Former) > 0 {
			got[r.Type+" "+r.Name] = r.Former
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
