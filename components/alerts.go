package components

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// Objectives are what visitors may expect over 30 days. The alerts tell how fast a breach uses up what is left over.
type Objectives struct {
	// AvailabilityPercent is the share of visits that are answered: 50 to 99.99. A 5xx is no answer.
	AvailabilityPercent float64
	// FastPercent is the share of visits that are answered within FastMilliseconds: 50 to 99.99.
	FastPercent float64
	// FastMilliseconds is one of the bounds of the app's histogram, since nothing between two of them is known: 5, 10, 25,
	// 50, 100, 250 or 500.
	FastMilliseconds int
}

// fastBounds are those bounds of the app's histogram (app/metrics.go) that an objective can have.
var fastBounds = []int{5, 10, 25, 50, 100, 250, 500}

// Validate reports everything wrong with the objectives.
func (o Objectives) Validate() field.ErrorList {
	problems := checkShare("sloAvailabilityPercent", o.AvailabilityPercent)
	problems = append(problems, checkShare("sloFastPercent", o.FastPercent)...)
	if !slices.Contains(fastBounds, o.FastMilliseconds) {
		words := strings.Trim(strings.ReplaceAll(fmt.Sprint(fastBounds), " ", ", "), "[]")
		problems = append(problems, check.Invalid("sloFastMilliseconds", o.FastMilliseconds, "must be one of "+words)...)
	}
	return problems
}

func (o Objectives) inputs() pulumi.Map {
	return pulumi.Map{
		"availabilityPercent": pulumi.Float64(o.AvailabilityPercent), "fastPercent": pulumi.Float64(o.FastPercent),
		"fastMilliseconds": pulumi.Int(o.FastMilliseconds),
	}
}

func checkShare(name string, value float64) field.ErrorList {
	if value >= 50 && value <= 99.99 {
		return nil
	}
	return check.Invalid(name, value, "must be a percentage from 50 to 99.99")
}

// Alerts are what rules are made of.
type Alerts struct {
	// Namespace of the app, and the only one that the rules look at. Required: a rule is text, so it has to be known.
	Namespace string
	// Objectives of the app. Required.
	Objectives Objectives
	// Runbook is the address of a page with a paragraph for each alert: docs/runbook.md, or a copy of it. Required.
	Runbook string
}

// Validate reports everything wrong with the arguments.
func (a Alerts) Validate() field.ErrorList {
	problems := check.Label("namespace", a.Namespace)
	problems = append(problems, a.Objectives.Validate()...)
	return append(problems, check.Set("runbook", a.Runbook != "")...)
}

// ruleGroup and ruleEntry are the format of Prometheus' rule files, which PrometheusRule shares:
// https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
type ruleGroup struct {
	Name  string      `yaml:"name" json:"name"`
	Rules []ruleEntry `yaml:"rules" json:"rules"`
}

type ruleEntry struct {
	Record      string            `yaml:"record,omitempty" json:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty" json:"alert,omitempty"`
	Expr        string            `yaml:"expr" json:"expr"`
	For         string            `yaml:"for,omitempty" json:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty" json:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty" json:"annotations,omitempty"`
}

// burn is an alert on the speed at which the error budget of 30 days is used, in a long window, so that it is not about
// a moment, and in a short one, so that it ends when the trouble does. Windows and speeds are those of
// https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts.
type burn struct {
	long, short string
	speed       float64
	severity    string
}

const (
	page   = "page"   // someone has to act now
	ticket = "ticket" // someone has to act in working hours
)

var burns = []burn{
	{"1h", "5m", 14.4, page},
	{"6h", "30m", 6, page},
	{"1d", "2h", 3, ticket},
	{"3d", "6h", 1, ticket},
}

// windows are those of all burns, each once.
var windows = []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"}

// objective is one of Objectives as rules need it: the part of visits that missed it in a $window, and how many may.
type objective struct {
	name, ratio, alert, summary string
	budget                      float64
}

// list has the app's only route for visitors; probes are left out, or they would make up for visits that failed. Where
// nothing fails there is no series of failures: that is a 0, not a gap.
func (o Objectives) list() []objective {
	return []objective{
		{
			name: "errors", alert: "ErrorBudgetBurn", summary: "visits were answered by an error", budget: 1 - o.AvailabilityPercent/100,
			ratio: `(sum(rate(http_request_duration_seconds_count{namespace="$namespace",route="/{$}",code=~"5.."}[$window])) or vector(0))
/ sum(rate(http_request_duration_seconds_count{namespace="$namespace",route="/{$}"}[$window]))`,
		},
		{
			name: "slow", alert: "LatencyBudgetBurn", budget: 1 - o.FastPercent/100,
			summary: fmt.Sprintf("visits took more than %d ms", o.FastMilliseconds),
			ratio: `1 - sum(rate(http_request_duration_seconds_bucket{namespace="$namespace",route="/{$}",le="$fast"}[$window]))
/ sum(rate(http_request_duration_seconds_count{namespace="$namespace",route="/{$}"}[$window]))`,
		},
	}
}

// groups are the recording rules and alerts.
func (a Alerts) groups() (groups []ruleGroup) {
	values := strings.NewReplacer("$namespace", a.Namespace,
		"$fast", strconv.FormatFloat(float64(a.Objectives.FastMilliseconds)/1000, 'g', -1, 64))
	for _, o := range a.Objectives.list() {
		group := ruleGroup{Name: "scaleout-" + o.name}
		series := func(window string) string {
			return fmt.Sprintf(`scaleout:%s:ratio_rate%s{namespace="%s"}`, o.name, window, a.Namespace)
		}
		for _, window := range windows {
			group.Rules = append(group.Rules, ruleEntry{
				Record: fmt.Sprintf("scaleout:%s:ratio_rate%s", o.name, window),
				Expr:   values.Replace(strings.ReplaceAll(o.ratio, "$window", window)),
				Labels: map[string]string{"namespace": a.Namespace},
			})
		}
		for _, b := range burns {
			limit := strconv.FormatFloat(b.speed*o.budget, 'g', 6, 64)
			group.Rules = append(group.Rules, ruleEntry{
				Alert:  o.alert,
				Expr:   fmt.Sprintf("%s > %s and %s > %s", series(b.long), limit, series(b.short), limit),
				Labels: map[string]string{"severity": b.severity, "window": b.long},
				Annotations: a.annotations(o.alert,
					fmt.Sprintf("{{ $value | humanizePercentage }} of %s in %s: %g times what the objective allows", o.summary, b.long, b.speed)),
			})
		}
		groups = append(groups, group)
	}
	state := ruleGroup{Name: "scaleout-state"}
	for _, s := range stateAlerts {
		state.Rules = append(state.Rules, ruleEntry{
			Alert: s.name, Expr: values.Replace(s.expr), For: s.hold,
			Labels: map[string]string{"severity": s.severity}, Annotations: a.annotations(s.name, s.summary),
		})
	}
	return append(groups, state)
}

func (a Alerts) annotations(alert, summary string) map[string]string {
	return map[string]string{"summary": summary, "runbook_url": a.Runbook + "#" + strings.ToLower(alert)}
}

// stateAlert is on what is so now. It must have been so for hold.
type stateAlert struct{ name, expr, hold, severity, summary string }

var stateAlerts = []stateAlert{
	{
		"AutoscalerAtMaximum",
		// ScalingLimited is true at the minimum as well, where nothing is wrong, also if that is the maximum.
		`kube_horizontalpodautoscaler_status_desired_replicas{namespace="$namespace"}
>= on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas{namespace="$namespace"}
and on (namespace, horizontalpodautoscaler)
kube_horizontalpodautoscaler_status_condition{namespace="$namespace",condition="ScalingLimited",status="true"} == 1
unless on (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_spec_min_replicas{namespace="$namespace"}
  >= on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas{namespace="$namespace"})`,
		"10m", ticket, "{{ $labels.horizontalpodautoscaler }} would add pods, but has its maximum of {{ $value }}",
	},
	{
		"AutoscalerWithoutMetrics",
		`kube_horizontalpodautoscaler_status_condition{namespace="$namespace",condition="ScalingActive",status="false"} == 1`,
		"5m", page, "{{ $labels.horizontalpodautoscaler }} does not know the CPU of its pods, so it does not scale",
	},
	{
		"RedisUnreachable",
		`sum by (namespace) (rate(redis_call_errors_total{namespace="$namespace",reason=~"connection|timeout"}[2m]))
/ sum by (namespace) (rate(redis_call_duration_seconds_count{namespace="$namespace"}[2m])) > 0.5`,
		"1m", page, "{{ $value | humanizePercentage }} of the calls of Redis fail",
	},
	{
		"CrashLoop",
		`max by (namespace, pod, container) (kube_pod_container_status_waiting_reason{namespace="$namespace",reason="CrashLoopBackOff"}) == 1
or max by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total{namespace="$namespace"}[15m])) > 2.5`,
		"2m", page, "{{ $labels.container }} of {{ $labels.pod }} crashes again and again",
	},
	{
		"OutOfMemory",
		`max by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total{namespace="$namespace"}[15m])) > 0
and on (namespace, pod, container)
kube_pod_container_status_last_terminated_reason{namespace="$namespace",reason="OOMKilled"} == 1`,
		"", ticket, "{{ $labels.container }} of {{ $labels.pod }} was killed: it needs more than its memory limit",
	},
	{
		"Throttled",
		`sum by (namespace, pod, container) (rate(container_cpu_cfs_throttled_periods_total{namespace="$namespace",container!=""}[5m]))
/ sum by (namespace, pod, container) (rate(container_cpu_cfs_periods_total{namespace="$namespace",container!=""}[5m])) > 0.25`,
		"10m", ticket, "{{ $labels.container }} of {{ $labels.pod }} is throttled in {{ $value | humanizePercentage }} of the periods",
	},
	{
		"NotMeasured",
		// Without one of these, alerts that need it can never fire. absent() takes the label from the selector.
		`absent(http_requests_in_flight{namespace="$namespace"})
or absent(kube_horizontalpodautoscaler_spec_max_replicas{namespace="$namespace"})
or absent(container_memory_working_set_bytes{namespace="$namespace"})`,
		"5m", page, "measurements of the app's pods, of its autoscaler or of its containers are missing, so other alerts cannot fire",
	},
}

// file is the content of a file of rules.
func (a Alerts) file() (string, error) {
	text, err := yaml.Marshal(map[string]any{"groups": a.groups()})
	return string(text), err
}
