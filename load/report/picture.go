package report

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"

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

// Theme is a set of colors. Those of the lines are from the palette of Okabe and Ito, for all kinds of color blindness
// (https://jfly.uni-koeln.de/color/); lines that share a panel also differ in their dashes.
type Theme struct {
	background, ink, faint          color.Color
	main, second, third, bad, faded color.Color
}

func rgb(hex uint32) color.Color {
	return color.RGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: 255}
}

// Light and Dark are for pages with a light and a dark background.
var (
	Light = Theme{
		background: rgb(0xffffff), ink: rgb(0x24292f), faint: rgb(0xd8dee4),
		main: rgb(0x0072b2), second: rgb(0x009e73), third: rgb(0xcc79a7), bad: rgb(0xd55e00), faded: rgb(0x8c959f),
	}
	Dark = Theme{
		background: rgb(0x0d1117), ink: rgb(0xe6edf3), faint: rgb(0x30363d),
		main: rgb(0x56b4e9), second: rgb(0x2bc492), third: rgb(0xe39bc4), bad: rgb(0xff8c42), faded: rgb(0x8b949e),
	}
)

// Sizes of the picture. The width is that of a README's column; legends beside the panels hide no line.
var (
	width       = vg.Points(640)
	panelHeight = vg.Points(130)
	legendWidth = vg.Points(118)
	margin      = vg.Points(8)
)

// picture has the panels of a run over one time axis.
type picture struct {
	theme     Theme
	run, base *record.Run // base is empty without a run to compare with
	panels    []*plot.Plot
}

// Picture draws a run as "svg" or "png", with the latencies, CPU and pods of base if it is not nil.
func Picture(format string, run, base *record.Run, theme Theme) ([]byte, error) {
	p := &picture{theme: theme, run: run, base: cmp.Or(base, &record.Run{})}
	p.requests()
	p.latency()
	if run.Autoscaler != nil {
		p.cpu()
		p.pods()
	}
	height := panelHeight*vg.Length(len(p.panels)) + 2*margin
	var canvas vg.CanvasWriterTo = vgsvg.New(width, height)
	if format == "png" {
		canvas = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(width, height), vgimg.UseDPI(144))}
	}
	dc := draw.New(canvas)
	dc.SetColor(theme.background)
	dc.Fill(dc.Path())
	dc = draw.Crop(dc, margin, -margin, margin, -margin)
	rows := make([][]*plot.Plot, len(p.panels)) // aligned, so that the time axes match
	for i, panel := range p.panels {
		rows[i] = []*plot.Plot{panel}
	}
	tiles := draw.Tiles{Rows: len(rows), Cols: 1, PadY: margin}
	canvases := plot.Align(rows, tiles, draw.Crop(dc, 0, -legendWidth, 0, 0))
	for i, panel := range p.panels {
		legend, beside := panel.Legend, canvases[i][0]
		panel.Legend = plot.NewLegend() // or it would also be drawn over the lines
		panel.Draw(canvases[i][0])
		beside.Min.X, beside.Max.X = dc.Max.X-legendWidth+margin, dc.Max.X
		legend.Draw(beside)
	}
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, fmt.Errorf("writing the picture: %w", err)
	}
	// A reader's machine may lack the font that the widths were computed with.
	return bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"),
		[]byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// add adds a panel; unit is the label of its vertical axis.
func (p *picture) add(unit string) *plot.Plot {
	n := plot.New()
	style := func(s *text.Style, size float64) {
		s.Font = font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Points(size))
		s.Color = p.theme.ink
	}
	n.BackgroundColor = p.theme.background
	n.Y.Label.Text = unit
	for _, axis := range []*plot.Axis{&n.X, &n.Y} {
		style(&axis.Label.TextStyle, 9)
		style(&axis.Tick.Label, 8)
		axis.Color, axis.Tick.Color = p.theme.ink, p.theme.ink
		axis.Padding = 0
	}
	n.X.Min, n.X.Max = 0, p.end()
	n.X.Tick.Marker, n.Y.Tick.Marker = plot.TickerFunc(minutes), plot.TickerFunc(round)
	n.Y.Min = 0
	n.Legend.Top, n.Legend.Left = true, true
	style(&n.Legend.TextStyle, 8)
	n.Legend.ThumbnailWidth = vg.Points(16)
	n.Legend.Padding = vg.Points(2)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = p.theme.faint, p.theme.faint
	n.Add(grid)
	p.panels = append(p.panels, n)
	return n
}

func (p *picture) end() float64 { return p.run.Profile.Duration().Seconds() }
