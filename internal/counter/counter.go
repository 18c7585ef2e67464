// Package counter contains what is specific to the hit counter in app/: the alert on its metrics, and its dashboards.
package counter

import (
	_ "embed"

	"example.com/scaleout/components/monitoring"
)

// FastMilliseconds lists the bucket bounds of the app's histogram (durationBuckets in app/metrics.go) that a latency
// objective can use. A rule with any other threshold would never fire.
var FastMilliseconds = []string{"5", "10", "25", "50", "100", "250", "500"}

// Alerts use the app's own metrics of its Redis calls.
var Alerts = []monitoring.Alert{{
	Name: "RedisUnreachable",
	Expr: `sum by (namespace) (rate(redis_call_errors_total{namespace="$namespace",reason=~"connection|timeout"}[2m]))
/ sum by (namespace) (rate(redis_call_duration_seconds_count{namespace="$namespace"}[2m])) > 0.5`,
	For: "1m", Severity: monitoring.Page, Summary: "{{ $value | humanizePercentage }} of the calls of Redis fail",
}}

// HomeDashboard is the dashboard that Grafana opens first.
const HomeDashboard = "scaleout.json"

// `make golden` generates the dashboard from the module monitoring/.
//
//go:embed dashboards/scaleout.json
var dashboard string

// Dashboards holds the dashboards by file name.
var Dashboards = map[string]string{HomeDashboard: dashboard}
