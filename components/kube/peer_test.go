package kube

import (
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

func TestPeerIsExactlyOne(t *testing.T) {
	later := pulumi.String("10.0.0.0/16").ToStringOutput()
	for _, good := range []Peer{
		{Pods: WebAppPods("web")}, {Namespace: "traefik"}, {Anyone: true, Ports: []int{443}},
		{CIDRs: pulumi.ToStringArray([]string{"10.0.0.0/16", "fd00::/8"})},
		{CIDRs: pulumi.StringArray{later}}, {CIDRs: pulumi.StringArray{later}.ToStringArrayOutput()},
	} {
		if problems := good.Validate(); len(problems) > 0 {
			t.Errorf("%+v: got %v, want it accepted", good, problems)
		}
	}
	for field, bad := range map[string][]Peer{
		"pods": {
			{}, {Ports: []int{80}}, {Pods: map[string]string{}}, {Pods: WebAppPods("web"), Anyone: true},
			{Namespace: "traefik", CIDRs: pulumi.ToStringArray([]string{"10.0.0.0/16"})}, {Pods: map[string]string{"a b": "c"}},
		},
		"namespace": {{Namespace: "A"}},
		"cidrs": {
			{CIDRs: pulumi.StringArray{}}, {CIDRs: pulumi.StringArray(nil)},
			{CIDRs: pulumi.ToStringArray([]string{"10.0.0.1/16"})},
			{CIDRs: pulumi.StringArray{later, pulumi.String("10.0.0.1")}},
		},
		"ports": {{Anyone: true, Ports: []int{0}}, {Anyone: true, Ports: []int{65536}}},
	} {
		for _, peer := range bad {
			if problems := peer.Validate(); len(problems) != 1 || problems[0].Field != field {
				t.Errorf("%+v: got %v, want one problem with %s", peer, problems, field)
			}
		}
	}
}

// In a network policy an empty list of peers admits every address. An output may resolve to an empty list.
func TestNoCIDRsAreNotEveryone(t *testing.T) {
	for name, cidrs := range map[string]pulumi.StringArrayInput{
		"known": pulumi.StringArray{}, "of an output": pulumi.StringArray{}.ToStringArrayOutput(),
	} {
		web := testWeb()
		web.AllowFrom = []Peer{{CIDRs: cidrs}}
		_, err := offline.Record(webProgram(web))
		if err == nil || !strings.Contains(err.Error(), "empty") {
			t.Errorf("%s: got %v, want an error about the empty list", name, err)
		}
	}
}

func TestPeersOfAnApp(t *testing.T) {
	web := testWeb()
	web.AllowFrom = []Peer{
		{Namespace: "traefik"}, {Pods: map[string]string{"app.kubernetes.io/instance": "prometheus"}, Ports: []int{9090}},
		{CIDRs: pulumi.ToStringArray([]string{"10.0.0.0/16"}).ToStringArrayOutput()},
	}
	web.AllowTo = []Peer{{Anyone: true, Ports: []int{443}}, {Namespace: "queue"}}
	web.Bindings = []Binding{{AllowTo: []Peer{{CIDRs: pulumi.ToStringArray([]string{"10.1.0.0/16"}), Ports: []int{5432}}}}}
	result := recordWeb(t, web)
	for direction, want := range map[string][]string{
		"ingress": {"10.0.0.0/16 8080", "namespace traefik 8080", "prometheus 9090"},
		"egress":  {"10.1.0.0/16 5432", "anyone 443", "namespace queue *"},
	} {
		if got := componenttest.Openings(t, result, "web", direction); !slices.Equal(got, want) {
			t.Errorf("%s: got %q, want %q", direction, got, want)
		}
	}
}
