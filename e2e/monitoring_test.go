//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// prometheusURL matches the URL of Prometheus that `make dashboards` prints.
var prometheusURL = regexp.MustCompile(`Prometheus\s+(http://localhost:\d+)/`)

// TestMonitoring: a stack with installPrometheus scrapes all targets, no panel of the dashboard is empty, every rule
// can be evaluated, and no alert fires. Prometheus is reached as by a user, through `make dashboards`.
func TestMonitoring(t *testing.T) {
	requireTarget(t, "kind")
	base := up(t)
	o := beside(t, "scaleout:installPrometheus", "true")
	explainFailure(t, clientset(t), o.Namespace)
	traffic := crowd{url: base.URL, host: besideName + ".localhost", kept: 20, fresh: 5}.visit(t)
	defer traffic.leave()

	forwarding := startRun(t, "dashboards")
	eventually(t, 2*time.Minute, func(context.Context) (bool, string) {
		select {
		case <-forwarding.ended:
			t.Fatalf("make dashboards ended: %v\n%s", forwarding.err, &forwarding.output)
		default:
		}
		return prometheusURL.MatchString(forwarding.output.String()), "make dashboards: " + forwarding.output.String()
	})
	p := prometheus{prometheusURL.FindStringSubmatch(forwarding.output.String())[1]}

	eventually(t, 2*time.Minute, func(context.Context) (bool, string) {
		var targets struct {
			ActiveTargets []struct {
				Health, LastError string
				Labels            map[string]string
			}
		}
		if err := p.get("targets", nil, &targets); err != nil {
			return false, err.Error()
		}
		var jobs []string
		for _, target := range targets.ActiveTargets {
			if target.Health != "up" {
				return false, fmt.Sprintf("%s is %s: %s", target.Labels["job"], target.Health, target.LastError)
			}
			jobs = append(jobs, target.Labels["job"])
		}
		slices.Sort(jobs)
		jobs = slices.Compact(jobs)
		return len(jobs) == 4, fmt.Sprintf("the targets are of the jobs %q, want four", jobs)
	})
	for title, expressions := range panelQueries(t) {
		for _, expression := range expressions {
			eventually(t, 3*time.Minute, func(context.Context) (bool, string) {
				values, err := p.query(strings.NewReplacer("$__rate_interval", "1m", "$namespace", o.Namespace).Replace(expression))
				return err == nil && len(values) > 0 && !slices.Contains(values, "NaN"),
					fmt.Sprintf("panel %s: %s is %q (%v)", title, expression, values, err)
			})
		}
	}
	p.expectHealthyRules(t)

	forwarding.interrupt(t)
	_ = forwarding.wait(t) // make itself is ended by the signal
	if err := p.get("targets", nil, new(any)); err == nil {
		t.Errorf("Prometheus can still be reached after the end of make dashboards:\n%s", &forwarding.output)
	}
}

// prometheus is a client of Prometheus' HTTP API.
type prometheus struct{ url string }

// get queries the API: https://prometheus.io/docs/prometheus/latest/querying/api/
func (p prometheus) get(path string, parameters url.Values, data any) error {
	response, err := http.Get(p.url + "/api/v1/" + path + "?" + parameters.Encode())
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer := struct {
		Error string
		Data  any
	}{Data: data}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Error != "" {
		return fmt.Errorf("%s", answer.Error)
	}
	return nil
}

// query returns the current values of an expression.
func (p prometheus) query(expression string) (values []string, err error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	err = p.get("query", url.Values{"query": {expression}}, &data)
	for _, series := range data.Result {
		values = append(values, fmt.Sprint(series.Value[1]))
	}
	return values, err
}

// expectHealthyRules checks that every rule was evaluated without an error, and that no alert is firing or pending.
func (p prometheus) expectHealthyRules(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, func(context.Context) (bool, string) {
		var data struct {
			Groups []struct {
				Rules []struct{ Name, Health, State, LastError string }
			}
		}
		if err := p.get("rules", nil, &data); err != nil {
			return false, err.Error()
		}
		count := 0
		for _, group := range data.Groups {
			for _, rule := range group.Rules {
				if rule.State == "firing" || rule.State == "pending" {
					t.Errorf("alert %s is %s on a stack with nothing wrong", rule.Name, rule.State)
				}
				if count++; rule.Health != "ok" {
					return false, fmt.Sprintf("rule %s is %s: %s", rule.Name, rule.Health, rule.LastError)
				}
			}
		}
		return count > 20, fmt.Sprintf("there are %d rules", count)
	})
}

// panelQueries returns the queries of the dashboard by panel.
func panelQueries(t *testing.T) map[string][]string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(root, "internal", "counter", "dashboards", "scaleout.json"))
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(content, &board); err != nil {
		t.Fatal(err)
	}
	queries := map[string][]string{}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			queries[panel.Title] = append(queries[panel.Title], target.Expr)
		}
	}
	if len(queries) < 15 {
		t.Fatalf("the dashboard has %d panels", len(queries))
	}
	return queries
}
