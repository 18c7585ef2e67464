// Package report renders a run as a self-contained page and as pictures.
package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"slices"

	"example.com/scaleout/load/record"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"clock": clock}).Parse(pageText))

// Page returns the page of a run; base may be nil. goal is the highest acceptable 95th percentile, in milliseconds.
func Page(run, base *record.Run, goal float64) ([]byte, error) {
	pictures := map[string]template.HTML{}
	for name, theme := range map[string]Theme{"light": Light, "dark": Dark} {
		svg, err := Picture("svg", run, base, theme)
		if err != nil {
			return nil, err
		}
		_, inline, _ := bytes.Cut(svg, []byte("<svg"))          // the XML declaration is only for a separate file
		pictures[name] = template.HTML("<svg" + string(inline)) // the library escapes the names in it
	}
	baseValues := map[string]string{} // numbers and settings by their names
	if base != nil {
		for _, row := range slices.Concat(base.Rows(goal), settings(base)) {
			baseValues[row.Name] = row.Value
		}
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, map[string]any{
		"Run": run, "Numbers": run.Rows(goal), "Settings": settings(run), "Advice": run.Advise(goal),
		"Base": base, "BaseValues": baseValues, "Pictures": pictures,
	})
	return out.Bytes(), err
}

// settings returns the settings of a run.
func settings(r *record.Run) []record.Row {
	autoscaler := "none followed"
	if a := r.Autoscaler; a != nil {
		autoscaler = fmt.Sprintf("%s in %s: %d to %d pods at %d %% of %dm",
			r.HPA, r.Context, a.Min, a.Max, a.Target, a.Request)
	}
	p := r.Profile
	profile := fmt.Sprintf("%s, %s, up to %.0f requests a second", p.Name, p.Duration(), p.Peak())
	return []record.Row{
		{Name: "started", Value: r.Started.UTC().Format("2006-01-02 15:04 UTC")},
		{Name: "stack", Value: r.Stack},
		{Name: "URL", Value: r.URL},
		{Name: "host", Value: cmp.Or(r.Host, "that of the URL")},
		{Name: "image", Value: cmp.Or(r.Image, "not known")},
		{Name: "machine", Value: r.Machine},
		{Name: "profile", Value: profile},
		{Name: "autoscaler", Value: autoscaler},
	}
}

// clock formats a number of seconds as minutes and seconds.
func clock(seconds float64) string { return fmt.Sprintf("%d:%02d", int(seconds)/60, int(seconds)%60) }
