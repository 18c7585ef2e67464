package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// TestCommitted: the embedded dashboard is the one that this package generates.
func TestCommitted(t *testing.T) {
	want, err := boardJSON()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../internal/counter/dashboards/scaleout.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("internal/counter/dashboards/scaleout.json differs from the generated dashboard; to update it: make golden")
	}
	// The SDK drops a panel with an error and builds the rest.
	for _, row := range rows {
		for _, p := range row.panels {
			if strings.Count(string(want), `"title": "`+p.title+`"`) != 1 {
				t.Errorf("the dashboard does not have one panel %q", p.title)
			}
		}
	}
}

// TestQueries: every query is valid PromQL for the selected namespace only, and its legend uses only labels that its
// result has.
func TestQueries(t *testing.T) {
	values := strings.NewReplacer("$__rate_interval", "1m", "$namespace", "scaleout")
	promQL := parser.NewParser(parser.Options{})
	labels := regexp.MustCompile(`{{(\w+)}}`)
	for _, row := range rows {
		for _, p := range row.panels {
			var legends []string
			for _, q := range p.queries {
				legends = append(legends, q.legend)
				expr, err := promQL.ParseExpr(values.Replace(q.expr))
				if err != nil {
					t.Errorf("%s: %s: %v", p.title, q.expr, err)
					continue
				}
				parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
					if s, ok := node.(*parser.VectorSelector); ok && !inNamespace(s, "scaleout") {
						t.Errorf("%s: %s is not restricted to the namespace", p.title, s)
					}
					return nil
				})
				for _, label := range labels.FindAllStringSubmatch(q.legend, -1) {
					if !slices.Contains(grouping(expr), label[1]) {
						t.Errorf("%s: the legend %q uses a label that is not in the result: it has %v",
							p.title, q.legend, grouping(expr))
					}
				}
			}
			for _, bound := range p.bounds {
				if !slices.Contains(legends, bound) {
					t.Errorf("%s: the bound %q is not one of the legends %q", p.title, bound, legends)
				}
			}
			if p.description == "" || p.unit == "" || len(p.queries) == 0 {
				t.Errorf("%s: lacks a description, a unit or a query", p.title)
			}
		}
	}
}

func inNamespace(s *parser.VectorSelector, namespace string) bool {
	for _, m := range s.LabelMatchers {
		if m.Name == "namespace" && m.Value == namespace {
			return true
		}
	}
	return false
}

// grouping returns the labels of an expression's result, as far as they follow from its aggregation.
func grouping(expr parser.Expr) []string {
	switch e := expr.(type) {
	case *parser.AggregateExpr:
		return e.Grouping
	case *parser.BinaryExpr:
		return grouping(e.LHS)
	case *parser.ParenExpr:
		return grouping(e.Expr)
	case *parser.Call: // histogram_quantile removes le
		return slices.DeleteFunc(slices.Clone(grouping(e.Args[len(e.Args)-1])), func(l string) bool { return l == "le" })
	}
	return nil
}
