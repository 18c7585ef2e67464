package cost

import (
	_ "embed" // for cost.md.tmpl
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"example.com/scaleout/internal/rendered"
)

//go:embed cost.md.tmpl
var pageTemplate string

// Page returns docs/cost.md for the stacks that cost something.
func (t *Table) Page(stacks []*rendered.Stack) (string, error) {
	sources := slices.SortedFunc(maps.Keys(t.Sources), func(a, b string) int {
		return strings.Compare(t.Sources[a].Name+t.Sources[a].Date, t.Sources[b].Name+t.Sources[b].Date)
	})
	page := template.New("cost").Funcs(template.FuncMap{
		"usd":    func(amount float64) string { return strconv.FormatFloat(amount, 'f', 2, 64) },
		"price":  func(amount float64) string { return strconv.FormatFloat(amount, 'f', -1, 64) },
		"number": func(id string) int { return slices.Index(sources, id) + 1 },
		"units": func(m Month) string {
			if m.AtMin == m.AtMax {
				return short(m.AtMin)
			}
			return fmt.Sprintf("%s, %s, %s", short(m.AtMin), short(m.AtMax), short(m.Profile))
		},
		"names": func(prices []Price) string {
			var names []string
			for _, p := range prices {
				names = append(names, fmt.Sprintf("%s (%v per %s)", p.Name, p.USD, p.Per))
			}
			return strings.Join(names, ", ")
		},
	})
	if _, err := page.Parse(pageTemplate); err != nil {
		return "", fmt.Errorf("the template of docs/cost.md: %w", err)
	}
	type estimated struct {
		Name string
		Estimate
	}
	data := struct {
		*Table
		Stacks []estimated
		Total  Month
		ByName []Price
		Order  []string
	}{Table: t, Order: sources}
	data.ByName = slices.SortedFunc(maps.Values(t.Prices), func(a, b Price) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	for _, s := range stacks {
		if e := t.Estimate(s); len(e.Items)+len(e.Unknown) > 0 {
			data.Stacks = append(data.Stacks, estimated{s.Name, e})
			data.Total = data.Total.Plus(e.Total)
		}
	}
	var b strings.Builder
	if err := page.Execute(&b, data); err != nil {
		return "", fmt.Errorf("the template of docs/cost.md: %w", err)
	}
	return b.String(), nil
}

// short returns a number with at most two decimals.
func short(n float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(n, 'f', 2, 64), "0"), ".")
}
