// Package counter has what is particular to the hit counter in app/: the alert on a measurement that only it has, and its
// dashboards.
package counter

import (
	"embed"
	"path"

	"example.com/scaleout/components/monitoring"
)

// FastMilliseconds are those bounds of the app's histogram (durationBuckets in app/metrics.go) that an objective can have:
// between two of them nothing is known, and a rule about another would never fire.
var FastMilliseconds = []int{5, 10, 25, 50, 100, 250, 500}

// Alerts are those that need the app's own measurements of its calls of Redis.
var Alerts = []monitoring.Alert{{
	Name: "RedisUnreachable",
	Expr: `sum by (namespace) (rate(redis_call_errors_total{namespace="$namespace",reason=~"connection|timeout"}[2m]))
/ sum by (namespace) (rate(redis_call_duration_seconds_count{namespace="$namespace"}[2m])) > 0.5`,
	For: "1m", Severity: monitoring.Page, Summary: "{{ $value | humanizePercentage }} of the calls of Redis fail",
}}

// HomeDashboard is the one that Grafana opens first.
const HomeDashboard = "scaleout.json"

// dashboards/ is written from the module monitoring/ by `make golden`.
//
//go:embed dashboards/*.json
var dashboards embed.FS

// Dashboards are the contents of these files by name.
func Dashboards() (map[string]string, error) {
	entries, err := dashboards.ReadDir("dashboards")
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, entry := range entries {
		content, err := dashboards.ReadFile(path.Join("dashboards", entry.Name()))
		if err != nil {
			return nil, err
		}
		all[entry.Name()] = string(content)
	}
	return all, nil
}
