// Package report shows a run: as a page that needs nothing else, and as pictures.
package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"example.com/scaleout/load/record"
)

//go:embed page.html.tmpl
var pageText string

var pageTemplate = template.Must(template.New("page").Parse(pageText))

// page is what the template shows.
type page struct {
	Run, Base   *record.Run
	Light, Dark template.HTML
	Rows        []row
	Events      []event
	Advice      record.Advice
	Goal        float64
	Settings    []setting
}

// row has the numbers of the run and of the one that it is compared with.
type row struct {
	record.Row
	Base string
}

type event struct{ At, Message string }

// setting is what the runs were made with; Differs if not both with the same.
type setting struct {
	Name, Value, Base string
	Differs           bool
}

// HTML writes the page of a run; base may be nil. goal is the 95th percentile that is still good, in milliseconds.
func HTML(w io.Writer, run, base *record.Run, goal float64) error {
	p := page{Run: run, Base: base, Goal: goal, Advice: run.Advise(goal)}
	for theme, to := range map[*Theme]*template.HTML{&Light: &p.Light, &Dark: &p.Dark} {
		svg, err := SVG(run, base, *theme)
		if err != nil {
			return err
		}
		*to = inline(svg)
	}
	baseRows := []record.Row{}
	if base != nil {
		baseRows = base.Judge(goal).Rows(goal)
	}
	for i, r := range run.Judge(goal).Rows(goal) {
		line := row{Row: r}
		if i < len(baseRows) {
			line.Base = baseRows[i].Value
		}
		p.Rows = append(p.Rows, line)
	}
	for _, e := range run.Events {
		p.Events = append(p.Events, event{fmt.Sprintf("%d:%02d", int(e.At)/60, int(e.At)%60), e.Reason + ": " + e.Message})
	}
	p.Settings = settings(run, base)
	return pageTemplate.Execute(w, p)
}

// inline is the picture without what only a file of its own may have: an XML declaration.
func inline(svg []byte) template.HTML {
	text := string(svg)
	if i := strings.Index(text, "<svg"); i > 0 {
		text = text[i:]
	}
	return template.HTML(text) //nolint:gosec // drawn here; names in it are escaped by the library
}

func settings(run, base *record.Run) (all []setting) {
	describe := func(r *record.Run) [][2]string {
		lines := [][2]string{
			{"stack", r.Stack}, {"URL", r.URL}, {"host", cmp.Or(r.Host, "that of the URL")}, {"image", cmp.Or(r.Image, "not known")}, {"machine", r.Machine},
			{"profile", fmt.Sprintf("%s, %s, up to %.0f requests a second", r.Profile.Name, r.Profile.Duration(), r.Profile.Peak())},
		}
		autoscaler := "none followed"
		if a := r.Autoscaler; a != nil {
			autoscaler = fmt.Sprintf("%s in %s: %d to %d pods at %d %% of %dm", r.HPA, r.Context, a.Min, a.Max, a.Target, a.Request)
		}
		return append(lines, [2]string{"autoscaler", autoscaler})
	}
	began := setting{Name: "started", Value: started(run)}
	for _, l := range describe(run) {
		all = append(all, setting{Name: l[0], Value: l[1]})
	}
	if base != nil {
		began.Base = started(base) // never the same, which is no difference to point at
		for i, l := range describe(base) {
			all[i].Base, all[i].Differs = l[1], l[1] != all[i].Value
		}
	}
	return append([]setting{began}, all...)
}

func started(r *record.Run) string { return r.Started.UTC().Format("2006-01-02 15:04 UTC") }
