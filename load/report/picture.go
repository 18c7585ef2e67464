package report

import (
	"bytes"
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"

	"example.com/scaleout/load/record"
)

// Sizes of the picture. The width is that of a README's column; the legends stand beside the panels, where they hide no
// line.
var (
	width       = vg.Points(640)
	panelHeight = vg.Points(130)
	legendWidth = vg.Points(118)
	margin      = vg.Points(8)
)

const dpi = 144

// picture is the panels of a run over one time axis.
type picture struct {
	theme  Theme
	run    *record.Run
	base   *record.Run // nil without a run to compare with
	panels []*panel
	err    error
}

// panel is a plot with its legend beside it.
type panel struct {
	plot   *plot.Plot
	legend plot.Legend
}

// SVG draws a run, and the pods and latencies of another if base is not nil.
func SVG(run, base *record.Run, theme Theme) ([]byte, error) {
	p := newPicture(run, base, theme)
	w, h := p.size()
	canvas := vgsvg.New(w, h)
	if err := p.draw(draw.New(canvas)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("writing the picture: %w", err)
	}
	// A reader may not have the font that the widths were computed with.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// PNG is SVG for what cannot show one.
func PNG(run, base *record.Run, theme Theme) ([]byte, error) {
	p := newPicture(run, base, theme)
	w, h := p.size()
	canvas := vgimg.NewWith(vgimg.UseWH(w, h), vgimg.UseDPI(dpi))
	if err := p.draw(draw.New(canvas)); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: canvas}).WriteTo(&out); err != nil {
		return nil, fmt.Errorf("writing the picture: %w", err)
	}
	return out.Bytes(), nil
}

func newPicture(run, base *record.Run, theme Theme) *picture {
	p := &picture{theme: theme, run: run, base: base}
	p.requests()
	p.latency()
	if run.Autoscaler != nil {
		p.cpu()
		p.pods()
	}
	return p
}

func (p *picture) size() (w, h vg.Length) {
	return width, panelHeight*vg.Length(len(p.panels)) + 2*margin
}

// draw aligns the panels, so that one moment is at one place in all of them.
func (p *picture) draw(dc draw.Canvas) error {
	if p.err != nil {
		return fmt.Errorf("drawing the picture: %w", p.err)
	}
	dc.SetColor(p.theme.background)
	dc.Fill(dc.Path())
	dc = draw.Crop(dc, margin, -margin, margin, -margin)
	rows := make([][]*plot.Plot, len(p.panels))
	for i, panel := range p.panels {
		rows[i] = []*plot.Plot{panel.plot}
	}
	tiles := draw.Tiles{Rows: len(rows), Cols: 1, PadY: margin}
	canvases := plot.Align(rows, tiles, draw.Crop(dc, 0, -legendWidth, 0, 0))
	for i, panel := range p.panels {
		panel.plot.Draw(canvases[i][0])
		beside := canvases[i][0]
		beside.Min.X, beside.Max.X = dc.Max.X-legendWidth+margin, dc.Max.X
		panel.legend.Draw(beside)
	}
	return nil
}

// add makes a panel; unit is what its vertical axis shows.
func (p *picture) add(unit string) *panel {
	n := &panel{plot: plot.New(), legend: plot.NewLegend()}
	style := func(s *text.Style, size float64) {
		s.Font = font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Points(size))
		s.Color = p.theme.ink
	}
	n.plot.BackgroundColor = p.theme.background
	n.plot.Y.Label.Text = unit
	for _, axis := range []*plot.Axis{&n.plot.X, &n.plot.Y} {
		style(&axis.Label.TextStyle, 9)
		style(&axis.Tick.Label, 8)
		axis.Color, axis.Tick.Color = p.theme.ink, p.theme.ink
		axis.Padding = 0
	}
	n.plot.X.Min, n.plot.X.Max = 0, p.end()
	n.plot.X.Tick.Marker, n.plot.Y.Tick.Marker = minutes{}, round{}
	n.plot.Y.Min = 0
	n.legend.Top, n.legend.Left = true, true
	style(&n.legend.TextStyle, 8)
	n.legend.ThumbnailWidth = vg.Points(16)
	n.legend.Padding = vg.Points(2)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = p.theme.faint, p.theme.faint
	n.plot.Add(grid)
	p.panels = append(p.panels, n)
	return n
}

func (p *picture) end() float64 { return p.run.Profile.Duration().Seconds() }
