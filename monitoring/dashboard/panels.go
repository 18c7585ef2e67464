package dashboard

// Row is a group of panels.
type Row struct {
	Title  string
	Panels []Panel
}

// Panel answers one question.
type Panel struct {
	Title, Description string
	// Unit is one of Grafana's: https://grafana.com/docs/grafana/latest/panels-visualizations/configure-standard-options/
	Unit    string
	Queries []Query
	// Bounds are the legends of those queries that are limits of the others.
	Bounds []string
	// States are what values mean, for what is true or not; nil for what has an amount.
	States map[string]State
}

// Query is one line or more.
type Query struct{ Expr, Legend string }

// State is how a value is shown. The colours differ for the colour-blind as well, and the text says it too.
type State struct{ Text, Color string }

var trueOrNot = map[string]State{"0": {"no", "semi-dark-orange"}, "1": {"yes", "semi-dark-blue"}}

// app are the labels of the app's own metrics, web those of its container. The namespace is chosen above the panels. Jobs
// are not named: they differ between the Prometheus of the stack and one that an operator runs.
const (
	app = `namespace="$namespace"`
	web = `namespace="$namespace",container="web"`
	hpa = `namespace="$namespace",horizontalpodautoscaler="web"`
)

// Rows are all panels.
var Rows = []Row{
	{"Visits", []Panel{
		{
			Title: "Rate", Unit: "reqps",
			Description: "Requests a second by route and status code, as the pods answered them. What the load balancer could not hand to any pod is not here.",
			Queries:     []Query{{`sum by (route, code) (rate(http_request_duration_seconds_count{` + app + `}[$__rate_interval]))`, "{{route}} {{code}}"}},
		},
		{
			Title: "Errors", Unit: "percentunit",
			Description: "Part of the requests of a route that were answered by a 5xx.",
			Queries: []Query{{
				`(sum by (route) (rate(http_request_duration_seconds_count{` + app + `,code=~"5.."}[$__rate_interval]))
 or sum by (route) (rate(http_request_duration_seconds_count{` + app + `}[$__rate_interval])) * 0)
/ sum by (route) (rate(http_request_duration_seconds_count{` + app + `}[$__rate_interval]))`, "{{route}}",
			}},
		},
		{
			Title: "Duration", Unit: "s",
			Description: "Time to answer, by route. Percentiles come from a histogram: between two of its bounds they are estimated.",
			Queries: []Query{
				{`histogram_quantile(0.50, sum by (le, route) (rate(http_request_duration_seconds_bucket{` + app + `}[$__rate_interval])))`, "p50 {{route}}"},
				{`histogram_quantile(0.95, sum by (le, route) (rate(http_request_duration_seconds_bucket{` + app + `}[$__rate_interval])))`, "p95 {{route}}"},
				{`histogram_quantile(0.99, sum by (le, route) (rate(http_request_duration_seconds_bucket{` + app + `}[$__rate_interval])))`, "p99 {{route}}"},
			},
		},
		{
			Title: "Under way", Unit: "short",
			Description: "Requests that a pod is answering at the moment of the measurement.",
			Queries:     []Query{{`sum by (pod) (http_requests_in_flight{` + app + `})`, "{{pod}}"}},
		},
		{
			Title: "Objective: answered", Unit: "percentunit",
			Description: "Part of the visits that were answered by an error. ErrorBudgetBurn fires when a long and a short window both are too high.",
			Queries:     objective("errors"),
		},
		{
			Title: "Objective: fast", Unit: "percentunit",
			Description: "Part of the visits that took longer than the objective allows. LatencyBudgetBurn fires when a long and a short window both are too high.",
			Queries:     objective("slow"),
		},
	}},
	{"Redis", []Panel{
		{
			Title: "Calls", Unit: "ops",
			Description: "Calls a second by pod, failed ones included.",
			Queries:     []Query{{`sum by (pod) (rate(redis_call_duration_seconds_count{` + app + `}[$__rate_interval]))`, "{{pod}}"}},
		},
		{
			Title: "Duration of a call", Unit: "s",
			Description: "As the app sees it: the network and the time in the client's queue included.",
			Queries: []Query{
				{`histogram_quantile(0.50, sum by (le) (rate(redis_call_duration_seconds_bucket{` + app + `}[$__rate_interval])))`, "p50"},
				{`histogram_quantile(0.95, sum by (le) (rate(redis_call_duration_seconds_bucket{` + app + `}[$__rate_interval])))`, "p95"},
				{`histogram_quantile(0.99, sum by (le) (rate(redis_call_duration_seconds_bucket{` + app + `}[$__rate_interval])))`, "p99"},
			},
		},
		{
			Title: "Failed calls", Unit: "ops",
			Description: "timeout: Redis did not answer in time. connection: none could be made, or it broke. reply: Redis refused.",
			Queries:     []Query{{`sum by (reason) (rate(redis_call_errors_total{` + app + `}[$__rate_interval]))`, "{{reason}}"}},
		},
	}},
	{"Pods", []Panel{
		{
			Title: "CPU", Unit: "short",
			Description: "Cores that each pod uses. The autoscaler aims at a percentage of the request; at the limit the kernel throttles.",
			Queries: []Query{
				{`sum by (pod) (rate(container_cpu_usage_seconds_total{` + web + `}[$__rate_interval]))`, "{{pod}}"},
				{`max(kube_pod_container_resource_requests{` + web + `,resource="cpu"})`, "request"},
				{`max(kube_pod_container_resource_limits{` + web + `,resource="cpu"})`, "limit"},
			},
			Bounds: []string{"request", "limit"},
		},
		{
			Title: "Memory", Unit: "bytes",
			Description: "Working set of each pod. At the limit the kernel kills it.",
			Queries: []Query{
				{`sum by (pod) (container_memory_working_set_bytes{` + web + `})`, "{{pod}}"},
				{`max(kube_pod_container_resource_limits{` + web + `,resource="memory"})`, "limit"},
			},
			Bounds: []string{"limit"},
		},
		{
			Title: "Throttled", Unit: "percentunit",
			Description: "Part of the scheduler's periods of 100 ms in which a pod had used up its limit and had to wait.",
			Queries: []Query{{
				`sum by (pod) (rate(container_cpu_cfs_throttled_periods_total{` + web + `}[$__rate_interval]))
/ sum by (pod) (rate(container_cpu_cfs_periods_total{` + web + `}[$__rate_interval]))`, "{{pod}}",
			}},
		},
		{
			Title: "Restarts", Unit: "short",
			Description: "Since each pod was made, of every container in the namespace.",
			Queries:     []Query{{`sum by (pod, container) (kube_pod_container_status_restarts_total{` + app + `})`, "{{pod}} {{container}}"}},
		},
	}},
	{"Autoscaler", []Panel{
		{
			Title: "Number of pods", Unit: "short",
			Description: "Wanted: what the autoscaler asks for. Ready: what serves.",
			Queries: []Query{
				{`max(kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `})`, "wanted"},
				{`max(kube_deployment_status_replicas_ready{` + app + `,deployment="web"})`, "ready"},
				{`max(kube_horizontalpodautoscaler_spec_min_replicas{` + hpa + `})`, "minimum"},
				{`max(kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `})`, "maximum"},
			},
			Bounds: []string{"minimum", "maximum"},
		},
		{
			Title: "CPU against target", Unit: "percent",
			Description: "What the autoscaler compares: the mean CPU of the pods in percent of their request.",
			Queries: []Query{
				{`max(kube_horizontalpodautoscaler_status_target_metric{` + hpa + `,metric_name="cpu",metric_target_type="utilization"})`, "measured"},
				{`max(kube_horizontalpodautoscaler_spec_target_metric{` + hpa + `,metric_name="cpu",metric_target_type="utilization"})`, "target"},
			},
			Bounds: []string{"target"},
		},
		{
			Title: "Use of the maximum", Unit: "percentunit",
			Description: "Pods that the autoscaler wants, of those that it may have. At 100 % more load makes answers slower.",
			Queries: []Query{{
				`max(kube_horizontalpodautoscaler_status_desired_replicas{` + hpa + `})
/ max(kube_horizontalpodautoscaler_spec_max_replicas{` + hpa + `})`, "used",
			}},
		},
		{
			Title:       "State",
			Description: "AbleToScale: it may change the number of pods. ScalingActive: it knows the CPU. ScalingLimited: it would go beyond minimum or maximum.",
			Queries: []Query{{
				`max by (condition) (kube_horizontalpodautoscaler_status_condition{` + hpa + `,status="true"})`, "{{condition}}",
			}},
			States: trueOrNot,
		},
	}},
}

// objective are the windows of one objective; recording rules compute them (components/monitoring/alerts.go).
func objective(name string) (queries []Query) {
	for _, window := range []string{"5m", "1h", "6h"} {
		queries = append(queries, Query{`scaleout:` + name + `:ratio_rate` + window + `{` + app + `}`, window})
	}
	return queries
}
