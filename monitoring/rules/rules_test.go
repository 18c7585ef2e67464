// Package rules tests the rules and the configuration that the components generate for Prometheus.
package rules

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/config"
	_ "github.com/prometheus/prometheus/discovery/kubernetes" // the kind of discovery that the configuration uses
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/rules"
)

// Golden files of the dev stack; the root module's tests compare them with the output of the components.
const (
	golden      = "../../testdata/golden/dev-prometheus/"
	ruleFile    = golden + "rules.yaml"
	configFile  = golden + "prometheus.yaml"
	runbookFile = "../../docs/runbook.md"
)

// step is the evaluation interval: short enough for windows of minutes, and long enough for those of days.
const step = time.Minute

// story has the measured series, with a value each minute, and the alerts that fire at some times, as "name severity"
// or, for those with a window, "name severity window".
type story struct {
	series string
	want   map[time.Duration][]string
}

const (
	minute = time.Minute
	hour   = time.Hour
)

// visits returns the series of visits per minute, of which some end in an error or take more than 100 ms.
func visits(perMinute, failed, slow, minutes int) string {
	return fmt.Sprintf(`
  http_request_duration_seconds_count{namespace="scaleout",route="/{$}",code="200",pod="a"} 0+%[1]dx%[4]d
  http_request_duration_seconds_count{namespace="scaleout",route="/{$}",code="503",pod="a"} 0+%[2]dx%[4]d
  http_request_duration_seconds_bucket{namespace="scaleout",route="/{$}",le="0.1",code="200",pod="a"} 0+%[3]dx%[4]d
  http_request_duration_seconds_count{namespace="scaleout",route="/readyz",code="200",pod="a"} 0+100000x%[4]d`,
		perMinute-failed, failed, perMinute-slow, minutes) + present(minutes)
}

// present returns one series of each source of measurements.
func present(minutes int) string {
	return strings.ReplaceAll(`
  up{namespace="scaleout",pod="a"} 1xN
  http_request_duration_seconds_count{namespace="scaleout",pod="a",route="/healthz"} 0xN
  kube_pod_container_status_restarts_total{namespace="scaleout",pod="another",container="another"} 0xN
  kube_horizontalpodautoscaler_spec_max_replicas{namespace="scaleout",horizontalpodautoscaler="another"} 10xN
  container_memory_working_set_bytes{namespace="scaleout",pod="a",container="web"} 1xN`, "N", fmt.Sprint(minutes))
}

// calm returns the series of an app without problems, so that only the additions of a story can fire an alert.
func calm(minutes int) string { return visits(1000, 0, 0, minutes) }

func stories() map[string]story {
	hpa := `namespace="scaleout",horizontalpodautoscaler="web"`
	pod := `namespace="scaleout",pod="a",container="web"`
	const good, bad = `route="/{$}",code="200",pod="a"`, `route="/{$}",code="503",pod="a"`
	return map[string]story{
		"all is well": {calm(180), map[time.Duration][]string{minute: nil, 5 * minute: nil, 3 * hour: nil}},
		"half of what the objective allows fails": {
			visits(10000, 5, 50, 600), map[time.Duration][]string{10 * hour: nil},
		},
		"no visits, of an app that shows its histogram from the start": {
			visits(0, 0, 0, 120), map[time.Duration][]string{2 * hour: nil},
		},
		"no visits, of an app that shows it after the first": {present(120), map[time.Duration][]string{
			59 * minute: nil, 61 * minute: {"NotMeasured ticket"},
		}},

		// 0.1 % may fail: burn rates of 14.4, 6, 3 and 1 use up the budget in 2, 5, 10 and 30 days.
		"2 % fail": {visits(10000, 200, 0, 60), map[time.Duration][]string{
			30 * minute: {
				"ErrorBudgetBurn page 1h", "ErrorBudgetBurn page 6h", "ErrorBudgetBurn ticket 1d", "ErrorBudgetBurn ticket 3d",
			},
		}},
		"0.8 % fail": {visits(10000, 80, 0, 60), map[time.Duration][]string{
			30 * minute: {"ErrorBudgetBurn page 6h", "ErrorBudgetBurn ticket 1d", "ErrorBudgetBurn ticket 3d"},
		}},
		"0.4 % fail": {visits(10000, 40, 0, 60), map[time.Duration][]string{
			30 * minute: {"ErrorBudgetBurn ticket 1d", "ErrorBudgetBurn ticket 3d"},
		}},
		"0.15 % fail": {visits(10000, 15, 0, 60), map[time.Duration][]string{
			30 * minute: {"ErrorBudgetBurn ticket 3d"},
		}},
		"an outage of ten minutes after a good hour": {`
  http_request_duration_seconds_count{namespace="scaleout",` + good + `} 0+1000x60 60000+0x10 60000+1000x60
  http_request_duration_seconds_count{namespace="scaleout",` + bad + `} 0+0x60 0+1000x10 10000+0x60
  http_request_duration_seconds_bucket{namespace="scaleout",le="0.1",` + good + `} 0+1000x60 60000+0x10 60000+1000x60
  http_request_duration_seconds_bucket{namespace="scaleout",le="0.1",` + bad + `} 0+0x60 0+1000x10 10000+0x60` +
			present(140),
			map[time.Duration][]string{
				60 * minute: nil,
				63 * minute: {
					"ErrorBudgetBurn page 1h", "ErrorBudgetBurn page 6h", "ErrorBudgetBurn ticket 1d", "ErrorBudgetBurn ticket 3d",
				},
				// Over: the short window of the first alert ends within minutes, though the long one covers an hour.
				80 * minute: {"ErrorBudgetBurn page 6h", "ErrorBudgetBurn ticket 1d", "ErrorBudgetBurn ticket 3d"},
			}},
		"another namespace fails": {
			calm(60) + strings.ReplaceAll(visits(1000, 500, 500, 60), "scaleout", "shop"),
			map[time.Duration][]string{30 * minute: nil},
		},

		// 1 % may be slow.
		"20 % are slow": {visits(1000, 0, 200, 60), map[time.Duration][]string{
			30 * minute: {
				"LatencyBudgetBurn page 1h", "LatencyBudgetBurn page 6h",
				"LatencyBudgetBurn ticket 1d", "LatencyBudgetBurn ticket 3d",
			},
		}},
		"2 % are slow": {visits(1000, 0, 20, 60), map[time.Duration][]string{30 * minute: {"LatencyBudgetBurn ticket 3d"}}},

		"the autoscaler would go beyond its maximum": {calm(60) + `
  kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `} 10x60
  kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `} 10x60
  kube_horizontalpodautoscaler_status_condition{` + hpa + `,condition="ScalingLimited",status="true"} 1x60`,
			map[time.Duration][]string{9 * minute: nil, 11 * minute: {"AutoscalerAtMaximum ticket"}}},
		"the maximum is just what is needed": {calm(60) + `
  kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `} 10x60
  kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `} 10x60
  kube_horizontalpodautoscaler_status_condition{` + hpa + `,condition="ScalingLimited",status="true"} 0x60`,
			map[time.Duration][]string{30 * minute: nil}},
		"minimum and maximum are one": {calm(60) + `
  kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `} 3x60
  kube_horizontalpodautoscaler_spec_min_replicas{` + hpa + `} 3x60
  kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `} 3x60
  kube_horizontalpodautoscaler_status_condition{` + hpa + `,condition="ScalingLimited",status="true"} 1x60`,
			map[time.Duration][]string{30 * minute: nil}},
		"the autoscaler would go below its minimum": {calm(60) + `
  kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `} 2x60
  kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `} 10x60
  kube_horizontalpodautoscaler_status_condition{` + hpa + `,condition="ScalingLimited",status="true"} 1x60`,
			map[time.Duration][]string{30 * minute: nil}},
		"the autoscaler has no metrics": {calm(60) + `
  kube_horizontalpodautoscaler_status_condition{` + hpa + `,condition="ScalingActive",status="false"} 0x9 1x50`,
			map[time.Duration][]string{9 * minute: nil, 14 * minute: nil, 16 * minute: {"AutoscalerWithoutMetrics page"}}},

		"Redis is gone": {calm(60) + `
  redis_call_duration_seconds_count{namespace="scaleout",pod="a"} 0+600x60
  redis_call_errors_total{namespace="scaleout",pod="a",reason="connection"} 0x10 0+400x50
  redis_call_errors_total{namespace="scaleout",pod="a",reason="timeout"} 0x10 0+200x50`,
			map[time.Duration][]string{10 * minute: nil, 15 * minute: {"RedisUnreachable page"}}},
		"Redis refuses": {calm(60) + `
  redis_call_duration_seconds_count{namespace="scaleout",pod="a"} 0+600x60
  redis_call_errors_total{namespace="scaleout",pod="a",reason="reply"} 0+600x60`,
			map[time.Duration][]string{30 * minute: nil}},

		"a pod waits after a crash": {calm(60) + `
  kube_pod_container_status_waiting_reason{` + pod + `,reason="CrashLoopBackOff"} _x10 1x50`,
			map[time.Duration][]string{11 * minute: nil, 15 * minute: {"CrashLoop page"}}},
		"a pod crashes four times in ten minutes": {calm(60) + `
  kube_pod_container_status_restarts_total{` + pod + `} 0x10 1 1 2 2 3 3 4 4x40`,
			map[time.Duration][]string{10 * minute: nil, 20 * minute: {"CrashLoop page"}, 50 * minute: nil}},
		"a pod crashes again and again, and waits": {calm(60) + `
  kube_pod_container_status_waiting_reason{` + pod + `,reason="CrashLoopBackOff",uid="1"} _x10 1x50
  kube_pod_container_status_restarts_total{` + pod + `,uid="1"} 0x10 1 1 2 2 3 3 4 4x40`,
			map[time.Duration][]string{20 * minute: {"CrashLoop page"}}},
		"a pod restarts twice": {calm(60) + `
  kube_pod_container_status_restarts_total{` + pod + `} 1x10 2x4 3x50`,
			map[time.Duration][]string{18 * minute: nil, 20 * minute: nil, 23 * minute: nil}},
		"a pod restarts once": {calm(60) + `
  kube_pod_container_status_restarts_total{` + pod + `} 0x10 1x50`,
			map[time.Duration][]string{20 * minute: nil}},
		"a pod is out of memory": {calm(60) + `
  kube_pod_container_status_restarts_total{` + pod + `} 0x10 1x50
  kube_pod_container_status_last_terminated_reason{` + pod + `,reason="OOMKilled"} _x10 1x50`,
			map[time.Duration][]string{10 * minute: nil, 13 * minute: {"OutOfMemory ticket"}, 40 * minute: nil}},
		"half of the periods are throttled": {calm(60) + `
  container_cpu_cfs_throttled_periods_total{` + pod + `} 0+300x60
  container_cpu_cfs_periods_total{` + pod + `} 0+600x60`,
			map[time.Duration][]string{9 * minute: nil, 13 * minute: {"Throttled ticket"}}},
		"a tenth of the periods is throttled": {calm(60) + `
  container_cpu_cfs_throttled_periods_total{` + pod + `} 0+60x60
  container_cpu_cfs_periods_total{` + pod + `} 0+600x60`,
			map[time.Duration][]string{30 * minute: nil}},

		"nothing is measured": {`
  up{job="prometheus"} 1x70`, map[time.Duration][]string{
			4 * minute: nil, 6 * minute: {"NotMeasured page"}, 61 * minute: {"NotMeasured page", "NotMeasured ticket"},
		}},
		"the app is not measured": {strings.Replace(calm(60), `up{namespace="scaleout",pod="a"}`, "another", 1),
			map[time.Duration][]string{6 * minute: {"NotMeasured page"}}},
		"the app cannot be asked": {
			strings.Replace(present(60), `up{namespace="scaleout",pod="a"} 1x`, `up{namespace="scaleout",pod="a"} 0x`, 1),
			map[time.Duration][]string{6 * minute: {"NotMeasured page"}}},
		"the pods are not measured": {strings.Replace(present(60), "kube_pod_container_status_restarts_total", "another", 1),
			map[time.Duration][]string{6 * minute: {"NotMeasured page"}}},
		"the autoscaler is not measured": {
			strings.Replace(present(60), "kube_horizontalpodautoscaler_spec_max_replicas", "another", 1),
			map[time.Duration][]string{6 * minute: {"NotMeasured page"}}},
		"the containers are not measured": {strings.Replace(present(60), "container_memory_working_set_bytes", "another", 1),
			map[time.Duration][]string{6 * minute: {"NotMeasured page"}}},
	}
}

func TestStories(t *testing.T) {
	fired := map[string]bool{}
	for name, s := range stories() {
		t.Run(name, func(t *testing.T) {
			for at, firing := range tell(t, s) {
				for _, alert := range firing {
					fired[strings.Fields(alert)[0]] = true
				}
				if want := slices.Sorted(slices.Values(s.want[at])); !slices.Equal(firing, want) {
					t.Errorf("after %s: got %q, want %q", at, firing, want)
				}
			}
		})
	}
	// An alert without a story might never fire.
	for _, alert := range alerts(t) {
		if !fired[alert] {
			t.Errorf("no story makes %s fire", alert)
		}
	}
}

// tell evaluates the rules each minute and returns the alerts that fire at the times of the story.
func tell(t *testing.T, s story) map[time.Duration][]string {
	t.Helper()
	promQL := parser.NewParser(parser.Options{})
	loader, err := promqltest.NewLazyLoader("load 1m"+s.series, promqltest.LazyLoaderOpts{Parser: promQL})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := loader.Close(); err != nil {
			t.Error(err)
		}
	}()
	loader.SubqueryInterval = step
	manager := rules.NewManager(&rules.ManagerOptions{
		QueryFunc:    rules.EngineQueryFunc(loader.QueryEngine(), loader.Storage()),
		AppendableV2: loader.Storage(),
		Context:      context.Background(),
		NotifyFunc:   func(context.Context, string, ...*rules.Alert) {},
		Logger:       promslog.NewNopLogger(),
		Parser:       promQL,
	})
	groups := load(t, manager)
	firing := map[time.Duration][]string{}
	for at := time.Duration(0); at <= slices.Max(slices.Collect(maps.Keys(s.want))); at += step {
		loader.WithSamplesTill(time.Unix(0, 0).Add(at), func(err error) {
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range groups {
				g.Eval(loader.Context(), time.Unix(0, 0).Add(at))
			}
		})
		if _, looked := s.want[at]; looked {
			firing[at] = firingNow(t, groups)
		}
	}
	return firing
}

// load reads the rules. In each group recording rules precede their alerts, so the order of groups does not matter.
func load(t *testing.T, manager *rules.Manager) []*rules.Group {
	t.Helper()
	groups, errs := manager.LoadGroups(step, labels.EmptyLabels(), "", nil, false, ruleFile)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	return slices.Collect(maps.Values(groups))
}

func firingNow(t *testing.T, groups []*rules.Group) (firing []string) {
	t.Helper()
	for _, g := range groups {
		for _, rule := range g.Rules() {
			if err := rule.LastError(); err != nil {
				t.Errorf("%s: %v", rule.Name(), err)
			}
			alerting, ok := rule.(*rules.AlertingRule)
			if !ok {
				continue
			}
			for _, a := range alerting.ActiveAlerts() {
				if a.State != rules.StateFiring {
					continue
				}
				firing = append(firing, strings.TrimSpace(strings.Join(
					[]string{rule.Name(), a.Labels.Get("severity"), a.Labels.Get("window")}, " ")))
				if a.Labels.Get("namespace") != "scaleout" { // otherwise the alerts of two stacks would be one
					t.Errorf("%s has no namespace: %s", rule.Name(), a.Labels)
				}
				a.Annotations.Range(func(l labels.Label) {
					if strings.Contains(l.Value, "error") && strings.Contains(l.Value, "<") || strings.Contains(l.Value, "{{") {
						t.Errorf("%s: the annotation %s is not filled in: %s", rule.Name(), l.Name, l.Value)
					}
				})
			}
		}
	}
	slices.Sort(firing)
	return firing
}

func alerts(t *testing.T) (names []string) {
	t.Helper()
	manager := rules.NewManager(&rules.ManagerOptions{
		Logger: promslog.NewNopLogger(), Parser: parser.NewParser(parser.Options{}),
	})
	for _, g := range load(t, manager) {
		for _, rule := range g.Rules() {
			if _, ok := rule.(*rules.AlertingRule); ok && !slices.Contains(names, rule.Name()) {
				names = append(names, rule.Name())
			}
		}
	}
	return names
}

// TestRunbook: every alert has a section of the runbook, under the name that its link has, and every section is about
// an alert.
func TestRunbook(t *testing.T) {
	content, err := os.ReadFile(runbookFile)
	if err != nil {
		t.Fatal(err)
	}
	var paragraphs []string
	for _, heading := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(content), -1) {
		paragraphs = append(paragraphs, heading[1])
	}
	names := alerts(t)
	for _, name := range names {
		if !slices.Contains(paragraphs, name) {
			t.Errorf("docs/runbook.md has no section %s", name)
		}
	}
	for _, paragraph := range paragraphs {
		if !slices.Contains(names, paragraph) {
			t.Errorf("docs/runbook.md has a section %s, but there is no such alert", paragraph)
		}
	}
}

// TestConfiguration: Prometheus accepts the configuration.
func TestConfiguration(t *testing.T) {
	c, err := config.LoadFile(configFile, false, promslog.NewNopLogger())
	if err != nil {
		t.Fatal(err)
	}
	var jobs []string
	for _, s := range c.ScrapeConfigs {
		jobs = append(jobs, s.JobName)
	}
	if want := []string{"app", "cadvisor", "kube-state-metrics", "prometheus"}; !slices.Equal(jobs, want) {
		t.Errorf("jobs %q, want %q", jobs, want)
	}
}
