package main

// panel is one panel of the dashboard.
type panel struct {
	title, description string
	// unit is yesOrNo or one of Grafana's:
	// https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/
	unit    string
	queries []query
	bounds  []string // legends of those queries that are limits of the others
}

const yesOrNo = "0 or 1"

// query is a PromQL query for one or more lines.
type query struct{ expr, legend string }

// Label matchers: app for the app's own metrics, web for its container, hpa for its autoscaler, cpu for the metric that
// the autoscaler follows. The namespace is selected above the panels. The job label is not used, because it differs
// between the Prometheus of the stack and one that an operator runs.
const (
	app = `namespace="$namespace"`
	web = `namespace="$namespace",container="web"`
	hpa = `namespace="$namespace",horizontalpodautoscaler="web"`
	cpu = hpa + `,metric_name="cpu",metric_target_type="utilization"`
)

// rows has all panels.
var rows = []struct {
	title  string
	panels []panel
}{
	{"Visits", []panel{
		{
			title: "Rate", unit: "reqps",
			description: "Requests a second by route and status code, as the pods answered them. " +
				"What the load balancer could not hand to any pod is not here.",
			queries: []query{{rate("route, code", "http_request_duration_seconds_count", app), "{{route}} {{code}}"}},
		},
		{
			title: "Errors", unit: "percentunit",
			description: "Part of the requests of a route that were answered by a 5xx.",
			queries: []query{{
				"(" + rate("route", "http_request_duration_seconds_count", app+`,code=~"5.."`) +
					"\n or " + rate("route", "http_request_duration_seconds_count", app) + " * 0)" +
					"\n/ " + rate("route", "http_request_duration_seconds_count", app), "{{route}}",
			}},
		},
		{
			title: "Duration", unit: "s",
			description: "Time to answer, by route. Percentiles come from a histogram: " +
				"between two of its bounds they are estimated.",
			queries: percentiles("http_request_duration_seconds_bucket", "le, route", " {{route}}"),
		},
		{
			title: "Under way", unit: "short",
			description: "Requests that a pod is answering at the moment of the measurement.",
			queries:     []query{{`sum by (pod) (http_requests_in_flight{` + app + `})`, "{{pod}}"}},
		},
		{
			title: "Objective: answered", unit: "percentunit",
			description: "Part of the visits that were answered by an error. " +
				"ErrorBudgetBurn fires when a long and a short window both are too high.",
			queries: objective("errors"),
		},
		{
			title: "Objective: fast", unit: "percentunit",
			description: "Part of the visits that took longer than the objective allows. " +
				"LatencyBudgetBurn fires when a long and a short window both are too high.",
			queries: objective("slow"),
		},
	}},
	{"Redis", []panel{
		{
			title: "Calls", unit: "ops",
			description: "Calls a second by pod, failed ones included.",
			queries:     []query{{rate("pod", "redis_call_duration_seconds_count", app), "{{pod}}"}},
		},
		{
			title: "Duration of a call", unit: "s",
			description: "As the app sees it: the network and the time in the client's queue included.",
			queries:     percentiles("redis_call_duration_seconds_bucket", "le", ""),
		},
		{
			title: "Failed calls", unit: "ops",
			description: "timeout: Redis did not answer in time. connection: none could be made, or it broke. " +
				"reply: Redis refused.",
			queries: []query{{rate("reason", "redis_call_errors_total", app), "{{reason}}"}},
		},
	}},
	{"Pods", []panel{
		{
			title: "CPU", unit: "short",
			description: "Cores that each pod uses. The autoscaler aims at a percentage of the request; " +
				"at the limit the kernel throttles.",
			queries: []query{
				{rate("pod", "container_cpu_usage_seconds_total", web), "{{pod}}"},
				{`max(kube_pod_container_resource_requests{` + web + `,resource="cpu"})`, "request"},
				{`max(kube_pod_container_resource_limits{` + web + `,resource="cpu"})`, "limit"},
			},
			bounds: []string{"request", "limit"},
		},
		{
			title: "Memory", unit: "bytes",
			description: "Working set of each pod. At the limit the kernel kills it.",
			queries: []query{
				{`sum by (pod) (container_memory_working_set_bytes{` + web + `})`, "{{pod}}"},
				{`max(kube_pod_container_resource_limits{` + web + `,resource="memory"})`, "limit"},
			},
			bounds: []string{"limit"},
		},
		{
			title: "Throttled", unit: "percentunit",
			description: "Part of the scheduler's periods of 100 ms in which a pod had used up its limit and had to wait.",
			queries: []query{{
				rate("pod", "container_cpu_cfs_throttled_periods_total", web) +
					"\n/ " + rate("pod", "container_cpu_cfs_periods_total", web), "{{pod}}",
			}},
		},
		{
			title: "Restarts", unit: "short",
			description: "Since each pod was made, of every container in the namespace.",
			queries: []query{{
				`sum by (pod, container) (kube_pod_container_status_restarts_total{` + app + `})`, "{{pod}} {{container}}",
			}},
		},
	}},
	{"Autoscaler", []panel{
		{
			title: "Number of pods", unit: "short",
			description: "Wanted: what the autoscaler asks for. Ready: what serves.",
			queries: []query{
				{`max(kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `})`, "wanted"},
				{`max(kube_deployment_status_replicas_ready{` + app + `,deployment="web"})`, "ready"},
				{`max(kube_horizontalpodautoscaler_spec_min_replicas{` + hpa + `})`, "minimum"},
				{`max(kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `})`, "maximum"},
			},
			bounds: []string{"minimum", "maximum"},
		},
		{
			title: "CPU against target", unit: "percent",
			description: "What the autoscaler compares: the mean CPU of the pods in percent of their request.",
			queries: []query{
				{`max(kube_horizontalpodautoscaler_status_target_metric{` + cpu + `})`, "measured"},
				{`max(kube_horizontalpodautoscaler_spec_target_metric{` + cpu + `})`, "target"},
			},
			bounds: []string{"target"},
		},
		{
			title: "Use of the maximum", unit: "percentunit",
			description: "Pods that the autoscaler wants, of those that it may have. At 100 % more load makes answers slower.",
			queries: []query{{`max(kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `})
/ max(kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `})`, "used"}},
		},
		{
			title: "State", unit: yesOrNo,
			description: "AbleToScale: it may change the number of pods. ScalingActive: it knows the CPU. " +
				"ScalingLimited: it would go beyond minimum or maximum.",
			queries: []query{{
				`max by (condition) (kube_horizontalpodautoscaler_status_condition{` + hpa + `,status="true"})`,
				"{{condition}}",
			}},
		},
	}},
}

// rate returns the increase of counters a second, summed by labels.
func rate(by, counter, selector string) string {
	return "sum by (" + by + ") (rate(" + counter + "{" + selector + "}[$__rate_interval]))"
}

// percentiles returns the queries for percentiles of a histogram.
func percentiles(histogram, by, legend string) (queries []query) {
	for _, p := range []string{"50", "95", "99"} {
		expr := "histogram_quantile(0." + p + ", " + rate(by, histogram, app) + ")"
		queries = append(queries, query{expr, "p" + p + legend})
	}
	return queries
}

// objective returns the windows of one objective; recording rules compute them (components/monitoring/alerts.go).
func objective(name string) (queries []query) {
	for _, window := range []string{"5m", "1h", "6h"} {
		queries = append(queries, query{`scaleout:` + name + `:ratio_rate` + window + `{` + app + `}`, window})
	}
	return queries
}
