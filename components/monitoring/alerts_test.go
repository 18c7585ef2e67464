package monitoring

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"

	"example.com/scaleout/internal/componenttest"
)

func testAlerts() Alerts {
	return Alerts{
		Namespace: "ns", Runbook: "docs/runbook.md", Autoscaled: true,
		Objectives: &Objectives{
			Histogram: "request_seconds", Selector: `route=~"/a|/b",method="GET"`,
			AvailabilityPercent: 99.9, FastPercent: 99, FastMilliseconds: 250,
		},
	}
}

// rulesOf returns the rule groups in the form that Prometheus reads.
func rulesOf(t *testing.T, a Alerts) map[string][]ruleEntry {
	t.Helper()
	var file struct{ Groups []ruleGroup }
	if err := yaml.Unmarshal([]byte(a.file()), &file); err != nil {
		t.Fatal(err)
	}
	groups := map[string][]ruleEntry{}
	for _, group := range file.Groups {
		groups[group.Name] = group.Rules
	}
	return groups
}

func find(t *testing.T, rules []ruleEntry, name string) ruleEntry {
	t.Helper()
	i := slices.IndexFunc(rules, func(r ruleEntry) bool { return r.Alert == name || r.Record == name })
	if i < 0 {
		t.Fatalf("there is no rule %s", name)
	}
	return rules[i]
}

func TestRulesAskForTheAppsHistogram(t *testing.T) {
	groups := rulesOf(t, testAlerts())
	for _, c := range []struct{ group, record, want string }{
		{"scaleout-errors", "scaleout:errors:ratio_rate5m",
			`(sum(rate(request_seconds_count{namespace="ns",route=~"/a|/b",method="GET",code=~"5.."}[5m])) or vector(0))
/ sum(rate(request_seconds_count{namespace="ns",route=~"/a|/b",method="GET"}[5m]))`},
		{"scaleout-slow", "scaleout:slow:ratio_rate3d",
			`1 - sum(rate(request_seconds_bucket{namespace="ns",route=~"/a|/b",method="GET",le="0.25"}[3d]))
/ sum(rate(request_seconds_count{namespace="ns",route=~"/a|/b",method="GET"}[3d]))`},
	} {
		if got := find(t, groups[c.group], c.record).Expr; got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.record, got, c.want)
		}
	}
	all := testAlerts()
	all.Objectives.Selector = ""
	if got := find(t, rulesOf(t, all)["scaleout-slow"], "scaleout:slow:ratio_rate5m").Expr; !strings.Contains(got,
		`{namespace="ns",le="0.25"}`) {
		t.Errorf("without a selector: got %s", got)
	}
}

func TestNoPlaceholderIsLeft(t *testing.T) {
	a := testAlerts()
	a.Rules = []Alert{{Name: "Mine", Expr: `x{namespace="$namespace"} > 1`, Severity: Page, Summary: "{{ $value }}"}}
	for _, alerts := range []Alerts{a, {Namespace: "ns", Runbook: "r", Rules: a.Rules}} {
		for _, rules := range rulesOf(t, alerts) {
			for _, r := range rules {
				if strings.Contains(r.Expr, "$") {
					t.Errorf("%s%s has a placeholder: %s", r.Alert, r.Record, r.Expr)
				}
			}
		}
	}
}

// Not every app has a histogram or an autoscaler: an alert on metrics that it cannot have would never resolve.
func TestNotMeasuredAsksOnlyForWhatTheAppHas(t *testing.T) {
	const histogram, autoscaler = "request_seconds", "kube_horizontalpodautoscaler"
	for _, c := range []struct {
		objectives, autoscaled bool
		groups                 int
		has, lacks             []string
	}{
		{true, true, 3, []string{histogram, autoscaler, "up{"}, nil},
		{true, false, 3, []string{histogram, "up{"}, []string{autoscaler}},
		{false, true, 1, []string{autoscaler}, []string{histogram, "up{"}},
		{false, false, 1, nil, []string{histogram, autoscaler, "up{", "\nor \n"}},
	} {
		a := testAlerts()
		a.Autoscaled = c.autoscaled
		if !c.objectives {
			a.Objectives = nil
		}
		groups := rulesOf(t, a)
		if len(groups) != c.groups {
			t.Errorf("%+v: got %d groups of rules, want %d", c, len(groups), c.groups)
		}
		expr := ""
		for _, r := range groups["scaleout-state"] { // one rule for a page, one for a ticket
			if r.Alert == "NotMeasured" {
				expr += r.Expr
			}
		}
		for _, want := range append(c.has, "kube_pod_container_status_restarts_total", "container_memory_working_set_bytes") {
			if !strings.Contains(expr, want) {
				t.Errorf("%+v: got %s, want %s in it", c, expr, want)
			}
		}
		for _, unwanted := range c.lacks {
			if strings.Contains(expr, unwanted) {
				t.Errorf("%+v: got %s, want no %s in it", c, expr, unwanted)
			}
		}
	}
}

func TestRulesOfTheProgram(t *testing.T) {
	a := testAlerts()
	a.Rules = []Alert{{Name: "QueueIsLong", Expr: `q{namespace="$namespace"} > 1`, For: "10m", Severity: Ticket,
		Summary: "s"}}
	got := find(t, rulesOf(t, a)["scaleout-state"], "QueueIsLong")
	if got.Expr != `q{namespace="ns"} > 1` || got.For != "10m" || got.Labels["severity"] != "ticket" ||
		got.Annotations["runbook_url"] != "docs/runbook.md#queueislong" || got.Annotations["summary"] != "s" {
		t.Errorf("got %+v", got)
	}
	// The operator gets the same rules.
	result := componenttest.Record(t, func(ctx *pulumi.Context) error {
		args := testOperator("")
		args.Alerts = a
		_, err := NewOperator(ctx, "operator", args)
		return err
	})
	spec := componenttest.Value(t, result, "PrometheusRule", "operator-rules", "spec")
	if text, _ := json.Marshal(spec); !strings.Contains(string(text), "QueueIsLong") {
		t.Errorf("got %s, want the rule", text)
	}
}

// Prometheus rejects a file with a single invalid rule, and does not start.
func TestAlertsRefuse(t *testing.T) {
	a := testAlerts()
	a.Rules = []Alert{
		{Name: "A", Expr: "up", Severity: Page, For: "1h30m"}, {}, {Name: "B", Expr: "up", Severity: "critical",
			For: "5 minutes"},
	}
	var fields []string
	for _, p := range a.Validate() {
		fields = append(fields, p.Field)
	}
	want := []string{"rules[1].name", "rules[1].expr", "rules[1].severity", "rules[2].severity", "rules[2].for"}
	if !slices.Equal(fields, want) {
		t.Errorf("got problems with %q, want %q", fields, want)
	}
	for selector, good := range map[string]bool{
		"": true, `a="b"`: true, `a="b",c!~"d|e"`: true, `a="say \"x\""`: true, `a="\\d"`: true,
		`a`: false, `{a="b"}`: false, `a="b`: false, `a="b",`: false, `a="b\"`: false, "a=\"b\nc\"": false, `a="\d"`: false,
		`a="b"} or {x="y"`: false,
	} {
		o := *testAlerts().Objectives
		o.Selector = selector
		if problems := o.Validate(); (len(problems) == 0) != good {
			t.Errorf("selector %s: got %v, want it accepted: %t", selector, problems, good)
		}
	}
}
