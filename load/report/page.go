// Package report renders a run as a self-contained page and as pictures.
package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"slices"

	"example.com/scaleout/load/record"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"clock": clock}).Parse(pageText))

// Files returns the files of the report on a run, by name; base may be nil. goal is the highest acceptable 95th
// percentile, in milliseconds. If one of them cannot be created, the others are returned with the error.
func Files(run, base *record.Run, goal float64) (map[string][]byte, error) {
	var problems [5]error
	files := map[string][]byte{"run.csv": run.CSV()}
	files["run.json"], problems[0] = run.JSON()
	files["light.svg"], problems[1] = Picture("svg", run, base, Light)
	files["dark.svg"], problems[2] = Picture("svg", run, base, Dark)
	files["light.png"], problems[3] = Picture("png", run, base, Light)
	baseValues := map[string]string{} // numbers and settings by their names
	if base != nil {
		for _, row := range slices.Concat(base.Rows(goal), settings(base)) {
			baseValues[row.Name] = row.Value
		}
	}
	var page bytes.Buffer
	problems[4] = pageTemplate.Execute(&page, map[string]any{
		"Run": run, "Numbers": run.Rows(goal), "Settings": settings(run), "Advice": run.Advise(goal),
		"Base": base, "BaseValues": baseValues, "Light": inline(files["light.svg"]), "Dark": inline(files["dark.svg"]),
	})
	files["report.html"] = page.Bytes()
	return files, errors.Join(problems[:]...)
}

// inline returns a picture for use in a page: the XML declaration is only for a separate file.
func inline(svg []byte) template.HTML {
	return template.HTML(svg[max(0, bytes.Index(svg, []byte("<svg"))):]) // the library escapes the names in it
}

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
