package monitoring

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Objectives are what visitors may expect over 30 days. The alerts tell how fast a breach uses up what is left over.
type Objectives struct {
	// Histogram of seconds, with a label code (the status), e.g. http_request_duration_seconds. Required.
	Histogram string
	// Selector picks what visitors ask for, and no probes, in PromQL, e.g. route="/". Empty for all requests.
	Selector string
	// AvailabilityPercent is the share of visits that are answered: 50 to 99.99. A 5xx is no answer.
	AvailabilityPercent float64
	// FastPercent is the share of visits that are answered within FastMilliseconds: 50 to 99.99.
	FastPercent float64
	// FastMilliseconds is one of the bounds of the histogram, since nothing between two of them is known. 1 to 60000.
	FastMilliseconds int
}

var (
	// https://prometheus.io/docs/concepts/data_model/
	metricForm = regexp.MustCompile(`^[a-zA-Z_:][a-zA-Z0-9_:]*$`)
	// selectorForm is one or several label matchers, without the braces.
	selectorForm = regexp.MustCompile(`^$|^` + matcher + `(,` + matcher + `)*$`)
	// https://prometheus.io/docs/prometheus/latest/querying/basics/#float-literals-and-time-durations
	durationForm = regexp.MustCompile(`^([1-9][0-9]{0,8}(ms|s|m|h|d|w|y))*$`)
)

// matcher: in the quotation marks a backslash escapes itself or a quotation mark, the only escapes that selectors need.
const matcher = `[a-zA-Z_][a-zA-Z0-9_]*(=|!=|=~|!~)"([^"\\\n]|\\["\\])*"`

// Validate reports everything wrong with the objectives.
func (o *Objectives) Validate() field.ErrorList {
	return slices.Concat(
		checkShare("availabilityPercent", o.AvailabilityPercent),
		checkShare("fastPercent", o.FastPercent),
		check.Range("fastMilliseconds", o.FastMilliseconds, 1, 60_000),
		check.Match("histogram", o.Histogram, metricForm,
			"must be the name of a histogram such as http_request_duration_seconds"),
		check.Match("selector", o.Selector, selectorForm, `must be label matchers of PromQL such as route="/", or empty`),
	)
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
	// Objectives of the app. Nil for an app that has no such histogram: the other rules stay.
	Objectives *Objectives
	// Autoscaled says that the app has a HorizontalPodAutoscaler, so that its measurements may not be missing.
	Autoscaled bool
	// Rules that the program adds: alerts on what only this app measures.
	Rules []Alert
	// Runbook is the address of a page with a paragraph for each alert: docs/runbook.md, or a copy of it. Required.
	Runbook string
}

// Validate reports everything wrong with the arguments.
func (a Alerts) Validate() field.ErrorList {
	problems := slices.Concat(check.Label("namespace", a.Namespace), check.Each("rules", a.Rules, (*Alert).validate),
		check.Set("runbook", a.Runbook != ""))
	if a.Objectives != nil {
		problems = append(problems, check.In("objectives", a.Objectives.Validate())...)
	}
	return problems
}

// ruleGroup and ruleEntry are the format of Prometheus' rule files, which PrometheusRule shares:
// https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
type ruleGroup struct {
	Name  string      `yaml:"name"`
	Rules []ruleEntry `yaml:"rules"`
}

type ruleEntry struct {
	Record      string            `yaml:"record,omitempty"`
	Alert       string            `yaml:"alert,omitempty"`
	Expr        string            `yaml:"expr"`
	For         string            `yaml:"for,omitempty"`
	Labels      map[string]string `yaml:"labels,omitempty"`
	Annotations map[string]string `yaml:"annotations,omitempty"`
}

// burn is an alert on the speed at which the error budget of 30 days is used, in a long window, so that it is not about
// a moment, and in a short one, so that it ends when the trouble does. Windows and speeds are those of
// https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts.
type burn struct {
	long, short string
	speed       float64
	severity    string
}

// Severities of alerts.
const (
	Page   = "page"   // someone has to act now
	Ticket = "ticket" // someone has to act in working hours
)

var burns = []burn{
	{"1h", "5m", 14.4, Page},
	{"6h", "30m", 6, Page},
	{"1d", "2h", 3, Ticket},
	{"3d", "6h", 1, Ticket},
}

// windows are those of all burns, each once.
var windows = []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"}

// objective is one of Objectives as rules need it: the part of visits that missed it in a $window, and how many may.
type objective struct {
	name, ratio, alert, summary string
	budget                      float64
}

// list has the two objectives. Where nothing fails there is no series of failures: that is a 0, not a gap.
func (o *Objectives) list() []objective {
	if o == nil {
		return nil
	}
	return []objective{
		{
			name: "errors", alert: "ErrorBudgetBurn", summary: "visits were answered by an error", budget: 1 - o.AvailabilityPercent/100,
			ratio: `(sum(rate($histogram_count{namespace="$namespace"$selector,code=~"5.."}[$window])) or vector(0))
/ sum(rate($histogram_count{namespace="$namespace"$selector}[$window]))`,
		},
		{
			name: "slow", alert: "LatencyBudgetBurn", budget: 1 - o.FastPercent/100,
			summary: fmt.Sprintf("visits took more than %d ms", o.FastMilliseconds),
			ratio: `1 - sum(rate($histogram_bucket{namespace="$namespace"$selector,le="$fast"}[$window]))
/ sum(rate($histogram_count{namespace="$namespace"$selector}[$window]))`,
		},
	}
}

// groups are the recording rules and alerts.
func (a Alerts) groups() (groups []ruleGroup) {
	values := a.values()
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
	for _, s := range slices.Concat(stateAlerts, a.notMeasured(), a.Rules) {
		state.Rules = append(state.Rules, ruleEntry{
			Alert: s.Name, Expr: values.Replace(s.Expr), For: s.For,
			Labels:      map[string]string{"severity": s.Severity, "namespace": a.Namespace},
			Annotations: a.annotations(s.Name, s.Summary),
		})
	}
	return append(groups, state)
}

// values fill in what the expressions leave open.
func (a Alerts) values() *strings.Replacer {
	o := a.Objectives
	if o == nil {
		return strings.NewReplacer("$namespace", a.Namespace)
	}
	selector := strings.TrimSuffix(","+o.Selector, ",")
	fast := strconv.FormatFloat(float64(o.FastMilliseconds)/1000, 'g', -1, 64)
	return strings.NewReplacer("$namespace", a.Namespace, "$histogram", o.Histogram, "$selector", selector, "$fast", fast)
}

// notMeasured fires where measurements are missing that other alerts need: those could never fire. That the objectives
// select no request is no reason to wake anyone: most libraries show a histogram only once there was a request, and an
// app that nobody visited in a day has none. It is a ticket, since it may as well be a selector that matches nothing.
func (a Alerts) notMeasured() []Alert {
	missing := []string{
		`absent(kube_pod_container_status_restarts_total{namespace="$namespace"})`,
		`absent(container_memory_working_set_bytes{namespace="$namespace"})`,
	}
	if a.Autoscaled {
		missing = append(missing, `absent(kube_horizontalpodautoscaler_spec_max_replicas{namespace="$namespace"})`)
	}
	var tickets []Alert
	if a.Objectives != nil {
		missing = append(missing, `absent(up{namespace="$namespace"} == 1)`)
		tickets = []Alert{{
			"NotMeasured", `max(absent_over_time($histogram_count{namespace="$namespace"$selector}[1d]))`, "1h", Ticket,
			"no request that the objectives are about was measured in a day, so their alerts cannot fire",
		}}
	}
	return append([]Alert{{
		"NotMeasured", "max(" + strings.Join(missing, "\nor ") + ")", "5m", Page, // one alert, whatever is missing
		"measurements of the app's pods, of its autoscaler or of its containers are missing, so other alerts cannot fire",
	}}, tickets...)
}

func (a Alerts) annotations(alert, summary string) map[string]string {
	return map[string]string{"summary": summary, "runbook_url": a.Runbook + "#" + strings.ToLower(alert)}
}

// Alert is on what is so now.
type Alert struct {
	// Name, in the form that docs/runbook.md has for its headings, e.g. CrashLoop.
	Name string
	// Expr is PromQL, with $namespace for the app's. It must have been true for the time For, e.g. 5m; empty for none.
	Expr, For string
	// Severity is Page or Ticket.
	Severity string
	// Summary is a line for those who are told, a template of Prometheus.
	Summary string
}

// validate reports what Prometheus would refuse together with all other rules: it does not start then.
func (a *Alert) validate() field.ErrorList {
	return slices.Concat(
		check.Set("name", a.Name != ""),
		check.Set("expr", a.Expr != ""),
		check.OneOf("severity", a.Severity, Page, Ticket),
		check.Match("for", a.For, durationForm, "must be a duration of Prometheus such as 5m, or empty"),
	)
}

// stateAlerts are those that all apps share.
var stateAlerts = []Alert{
	{
		"AutoscalerAtMaximum",
		// ScalingLimited is true at the minimum as well, where nothing is wrong, also if that is the maximum.
		`kube_horizontalpodautoscaler_status_desired_replicas{namespace="$namespace"}
>= on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas{namespace="$namespace"}
and on (namespace, horizontalpodautoscaler)
kube_horizontalpodautoscaler_status_condition{namespace="$namespace",condition="ScalingLimited",status="true"} == 1
unless on (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_spec_min_replicas{namespace="$namespace"}
  >= on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas{namespace="$namespace"})`,
		"10m", Ticket, "{{ $labels.horizontalpodautoscaler }} would add pods, but has its maximum of {{ $value }}",
	},
	{
		"AutoscalerWithoutMetrics",
		`kube_horizontalpodautoscaler_status_condition{namespace="$namespace",condition="ScalingActive",status="false"} == 1`,
		"5m", Page, "{{ $labels.horizontalpodautoscaler }} does not know the CPU of its pods, so it does not scale",
	},
	{
		"CrashLoop",
		`max by (namespace, pod, container) (kube_pod_container_status_waiting_reason{namespace="$namespace",reason="CrashLoopBackOff"}) == 1
or max by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total{namespace="$namespace"}[15m])) > 2.5`,
		"2m", Page, "{{ $labels.container }} of {{ $labels.pod }} crashes again and again",
	},
	{
		"OutOfMemory",
		`max by (namespace, pod, container) (increase(kube_pod_container_status_restarts_total{namespace="$namespace"}[15m])) > 0
and on (namespace, pod, container)
kube_pod_container_status_last_terminated_reason{namespace="$namespace",reason="OOMKilled"} == 1`,
		"", Ticket, "{{ $labels.container }} of {{ $labels.pod }} was killed: it needs more than its memory limit",
	},
	{
		"Throttled",
		`sum by (namespace, pod, container) (rate(container_cpu_cfs_throttled_periods_total{namespace="$namespace",container!=""}[5m]))
/ sum by (namespace, pod, container) (rate(container_cpu_cfs_periods_total{namespace="$namespace",container!=""}[5m])) > 0.25`,
		"10m", Ticket, "{{ $labels.container }} of {{ $labels.pod }} is throttled in {{ $value | humanizePercentage }} of the periods",
	},
}

// file is the content of a file of rules.
func (a Alerts) file() (string, error) {
	text, err := yaml.Marshal(object{"groups": a.groups()})
	return string(text), err
}

// untyped are the rules as the maps and lists that a custom resource is made of.
func (a Alerts) untyped() (rules object, err error) {
	text, err := a.file()
	if err == nil {
		err = yaml.Unmarshal([]byte(text), &rules)
	}
	return rules, err
}
