package monitoring

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Objectives are the service level objectives of an app over 30 days. Alerts fire on the speed at which the error
// budget is used up.
type Objectives struct {
	// Histogram of seconds, with a label code (the status), e.g. http_request_duration_seconds. Required.
	Histogram string
	// Selector selects the requests of users, without those of probes, in PromQL, e.g. route="/". Empty for all.
	Selector string
	// AvailabilityPercent is the share of requests that do not fail: 50 to 99.99. A 5xx is a failure.
	AvailabilityPercent float64
	// FastPercent is the share of requests answered within FastMilliseconds: 50 to 99.99.
	FastPercent float64
	// FastMilliseconds must be a bucket bound of the histogram, which has no data between two bounds. 1 to 60000.
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

// matcher allows only two escapes within quotation marks: \\ and \". Selectors need no others.
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
	return check.That(value >= 50 && value <= 99.99, name, value, "must be a percentage from 50 to 99.99")
}

// Alerts describes the recording rules and alerts of an app.
type Alerts struct {
	// Namespace of the app, the only one that the rules select. Not an output, as rules are plain text. Required.
	Namespace string
	// Objectives of the app. Nil for an app without such a histogram; the other rules remain.
	Objectives *Objectives
	// Autoscaled is true if the app has a HorizontalPodAutoscaler, whose metrics then must not be missing.
	Autoscaled bool
	// Rules are additional alerts on the app's own metrics.
	Rules []Alert
	// Runbook is the URL of a page with a section for each alert: docs/runbook.md, or a copy of it. Required.
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

// Severities of alerts.
const (
	Page   = "page"   // requires action now
	Ticket = "ticket" // requires action during working hours
)

// burns are alerts on the speed at which the error budget of 30 days is used up. They require that speed in a long
// window, to ignore short spikes, and in a short window, to resolve soon after the problem ends. Windows and speeds
// are those of
// https://sre.google/workbook/alerting-on-slos/#6-multiwindow-multi-burn-rate-alerts.
var burns = []struct {
	long, short string
	speed       float64
	severity    string
}{
	{"1h", "5m", 14.4, Page},
	{"6h", "30m", 6, Page},
	{"1d", "2h", 3, Ticket},
	{"3d", "6h", 1, Ticket},
}

// windows lists the windows of all burns, each once.
var windows = []string{"5m", "30m", "1h", "2h", "6h", "1d", "3d"}

// groups returns the recording rules and alerts.
func (a Alerts) groups() (groups []ruleGroup) {
	if o := a.Objectives; o != nil {
		// Without failures there is no series of failures, which counts as 0 and not as a gap.
		errors := `(sum(rate($histogram_count{$app$selector,code=~"5.."}[$window])) or vector(0))
/ sum(rate($histogram_count{$app$selector}[$window]))`
		slow := `1 - sum(rate($histogram_bucket{$app$selector,le="$fast"}[$window]))
/ sum(rate($histogram_count{$app$selector}[$window]))`
		tookLonger := fmt.Sprintf("visits took more than %d ms", o.FastMilliseconds)
		groups = append(groups,
			a.objective("errors", o.AvailabilityPercent, errors, "ErrorBudgetBurn", "visits were answered by an error"),
			a.objective("slow", o.FastPercent, slow, "LatencyBudgetBurn", tookLonger))
	}
	state := ruleGroup{Name: "scaleout-state"}
	for _, s := range slices.Concat(stateAlerts, a.notMeasured(), a.Rules) {
		state.Rules = append(state.Rules, ruleEntry{
			Alert: s.Name, Expr: a.query(s.Expr), For: s.For,
			Labels:      map[string]string{"severity": s.Severity, "namespace": a.Namespace},
			Annotations: a.annotations(s.Name, s.Summary),
		})
	}
	return append(groups, state)
}

// objective returns the rules of an objective that percent of the requests must meet; ratio is the part of the requests
// that missed it in a $window.
func (a Alerts) objective(name string, percent float64, ratio, alert, summary string) ruleGroup {
	group := ruleGroup{Name: "scaleout-" + name}
	series := "scaleout:" + name + ":ratio_rate"
	for _, window := range windows {
		group.Rules = append(group.Rules, ruleEntry{
			Record: series + window,
			Expr:   a.query(strings.ReplaceAll(ratio, "$window", window)),
			Labels: map[string]string{"namespace": a.Namespace},
		})
	}
	for _, b := range burns {
		limit := "{$app} > " + strconv.FormatFloat(b.speed*(1-percent/100), 'g', 6, 64)
		group.Rules = append(group.Rules, ruleEntry{
			Alert:  alert,
			Expr:   a.query(series + b.long + limit + " and " + series + b.short + limit),
			Labels: map[string]string{"severity": b.severity, "window": b.long},
			Annotations: a.annotations(alert, fmt.Sprintf(
				"{{ $value | humanizePercentage }} of %s in %s: %g times what the objective allows", summary, b.long, b.speed)),
		})
	}
	return group
}

// query replaces the placeholders of an expression.
func (a Alerts) query(expr string) string {
	o := cmp.Or(a.Objectives, &Objectives{})
	return strings.NewReplacer(
		"$namespace", a.Namespace, "$app", `namespace="`+a.Namespace+`"`, "$container", "namespace, pod, container",
		"$histogram", o.Histogram, "$selector", strings.TrimSuffix(","+o.Selector, ","),
		"$fast", strconv.FormatFloat(float64(o.FastMilliseconds)/1000, 'g', -1, 64),
	).Replace(expr)
}

// notMeasured returns alerts on missing metrics without which other alerts can never fire. If the objectives select
// no request, that is only a ticket: most libraries export a histogram only after the first request, and an app may
// have no visitors for a day. It is still an alert, because the selector may match nothing by mistake.
func (a Alerts) notMeasured() []Alert {
	missing := []string{
		`absent(kube_pod_container_status_restarts_total{$app})`,
		`absent(container_memory_working_set_bytes{$app})`,
	}
	if a.Autoscaled {
		missing = append(missing, `absent(kube_horizontalpodautoscaler_spec_max_replicas{$app})`)
	}
	var tickets []Alert
	if a.Objectives != nil {
		missing = append(missing, `absent(up{$app} == 1)`)
		tickets = []Alert{{
			"NotMeasured", `max(absent_over_time($histogram_count{$app$selector}[1d]))`, "1h", Ticket,
			"no request that the objectives are about was measured in a day, so their alerts cannot fire",
		}}
	}
	return append([]Alert{{
		"NotMeasured", "max(" + strings.Join(missing, "\nor ") + ")", "5m", Page, // max: one alert for all of them
		"measurements of the app's pods, of its autoscaler or of its containers are missing, so other alerts cannot fire",
	}}, tickets...)
}

func (a Alerts) annotations(alert, summary string) map[string]string {
	return map[string]string{"summary": summary, "runbook_url": a.Runbook + "#" + strings.ToLower(alert)}
}

// Alert is an alerting rule on the current state.
type Alert struct {
	// Name in CamelCase, like the headings of docs/runbook.md, e.g. CrashLoop.
	Name string
	// Expr is PromQL, with $namespace for the app's. It must be true for the duration For, e.g. 5m; empty for none.
	Expr, For string
	// Severity is Page or Ticket.
	Severity string
	// Summary is the one-line text of the notification, a Prometheus template.
	Summary string
}

// validate reports rules that Prometheus would reject. It does not start with a single invalid rule.
func (a *Alert) validate() field.ErrorList {
	return slices.Concat(
		check.Set("name", a.Name != ""),
		check.Set("expr", a.Expr != ""),
		check.OneOf("severity", a.Severity, Page, Ticket),
		check.Match("for", a.For, durationForm, "must be a duration of Prometheus such as 5m, or empty"),
	)
}

// stateAlerts are the alerts that all apps share.
var stateAlerts = []Alert{
	{
		"AutoscalerAtMaximum",
		// ScalingLimited is also true at the minimum, which is no problem, even if minimum and maximum are equal.
		`kube_horizontalpodautoscaler_status_desired_replicas{$app}
>= on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas{$app}
and on (namespace, horizontalpodautoscaler)
kube_horizontalpodautoscaler_status_condition{$app,condition="ScalingLimited",status="true"} == 1
unless on (namespace, horizontalpodautoscaler) (kube_horizontalpodautoscaler_spec_min_replicas{$app}
  >= on (namespace, horizontalpodautoscaler) kube_horizontalpodautoscaler_spec_max_replicas{$app})`,
		"10m", Ticket, "{{ $labels.horizontalpodautoscaler }} would add pods, but has its maximum of {{ $value }}",
	},
	{
		"AutoscalerWithoutMetrics",
		`kube_horizontalpodautoscaler_status_condition{$app,condition="ScalingActive",status="false"} == 1`,
		"5m", Page, "{{ $labels.horizontalpodautoscaler }} does not know the CPU of its pods, so it does not scale",
	},
	{
		"CrashLoop",
		`max by ($container) (kube_pod_container_status_waiting_reason{$app,reason="CrashLoopBackOff"}) == 1
or max by ($container) (increase(kube_pod_container_status_restarts_total{$app}[15m])) > 2.5`,
		"2m", Page, "{{ $labels.container }} of {{ $labels.pod }} crashes again and again",
	},
	{
		"OutOfMemory",
		`max by ($container) (increase(kube_pod_container_status_restarts_total{$app}[15m])) > 0
and on ($container)
kube_pod_container_status_last_terminated_reason{$app,reason="OOMKilled"} == 1`,
		"", Ticket, "{{ $labels.container }} of {{ $labels.pod }} was killed: it needs more than its memory limit",
	},
	{
		"Throttled",
		`sum by ($container) (rate(container_cpu_cfs_throttled_periods_total{$app,container!=""}[5m]))
/ sum by ($container) (rate(container_cpu_cfs_periods_total{$app,container!=""}[5m])) > 0.25`,
		"10m", Ticket, "{{ $labels.container }} of {{ $labels.pod }} is throttled in " +
			"{{ $value | humanizePercentage }} of the periods",
	},
}

// file returns the content of a rule file.
func (a Alerts) file() string {
	text, _ := yaml.Marshal(object{"groups": a.groups()}) // strings and lists of them have no errors
	return string(text)
}
