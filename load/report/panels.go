package report

import (
	"fmt"
	"image/color"
	"math"
	"regexp"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"example.com/scaleout/load/record"
)

var (
	solid  []vg.Length
	dashed = []vg.Length{vg.Points(5), vg.Points(3)}
	dotted = []vg.Length{vg.Points(1.5), vg.Points(2.5)}
)

// curve is a line of a panel.
type curve struct {
	name  string // empty for no legend
	color color.Color
	dash  []vg.Length
	width float64 // in points
}

func (p *picture) requests() {
	n := p.add("requests / s")
	p.line(n, p.run, curve{"planned", p.theme.faded, dashed, 1}, 1, func(s record.Sample) float64 { return s.Planned })
	answered := func(s record.Sample) float64 { return float64(s.OK) }
	failed := func(s record.Sample) float64 { return float64(s.Failed()) }
	p.line(n, p.run, curve{"answered", p.theme.main, solid, 1.5}, 1, answered)
	p.line(n, p.run, curve{"failed", p.theme.bad, solid, 1.5}, 1, failed)
	n.Y.Max *= 1.05
}

// leastLatency is the lower end of the latency axis in ms, maxPoints how many points of a line can be distinguished.
const leastLatency, maxPoints = 1, 180

func (p *picture) latency() {
	n := p.add("latency, ms")
	// Each point is the worst of span seconds, because one point per second would not be readable as a line.
	span, worst := int(math.Ceil(p.end()/maxPoints)), ""
	if span > 1 {
		worst = fmt.Sprintf(", worst of %d s", span)
	}
	line := func(run *record.Run, c curve, of func(record.Sample) float64) {
		p.line(n, run, c, span, func(s record.Sample) float64 {
			if s.OK == 0 {
				return math.NaN() // without responses
			}
			return max(of(s), leastLatency)
		})
	}
	p95 := func(s record.Sample) float64 { return s.P95 }
	line(p.base, curve{"p95, " + p.base.Name, p.theme.faded, solid, 1}, p95)
	line(p.run, curve{"p99" + worst, p.theme.bad, dotted, 1.2}, func(s record.Sample) float64 { return s.P99 })
	line(p.run, curve{"p95" + worst, p.theme.main, solid, 1.5}, p95)
	line(p.run, curve{"p50" + worst, p.theme.second, dashed, 1.2}, func(s record.Sample) float64 { return s.P50 })
	// Latencies span decades: a response takes a millisecond from a pod at rest, and seconds from an overloaded one.
	n.Y.Min = leastLatency
	n.Y.Max = math.Pow(10, math.Ceil(math.Log10(max(n.Y.Max, 10))))
	n.Y.Scale, n.Y.Tick.Marker = plot.LogScale{}, plot.TickerFunc(decades)
}

func (p *picture) cpu() {
	n := p.add("CPU, % of request")
	cpu := func(s record.Sample) float64 {
		if s.CPU == record.Unknown {
			return math.NaN()
		}
		return float64(s.CPU)
	}
	p.line(n, p.base, curve{"pods, " + p.base.Name, p.theme.faded, solid, 1}, steps, cpu)
	p.line(n, p.run, curve{"pods", p.theme.third, solid, 1.5}, steps, cpu)
	target := float64(p.run.Autoscaler.Target)
	p.level(n, target, curve{fmt.Sprintf("target, %g %%", target), p.theme.ink, dashed, 1})
	n.Y.Max = max(n.Y.Max, 1.5*target) * 1.05
}

func (p *picture) pods() {
	n := p.add("pods")
	ready := func(s record.Sample) float64 { return float64(s.Ready) }
	wanted := func(s record.Sample) float64 { return float64(s.Desired) }
	p.line(n, p.base, curve{"ready, " + p.base.Name, p.theme.faded, solid, 1}, steps, ready)
	p.line(n, p.run, curve{"wanted", p.theme.bad, dashed, 1.2}, steps, wanted)
	p.line(n, p.run, curve{"ready", p.theme.main, solid, 1.5}, steps, ready)
	limit := float64(p.run.Autoscaler.Max)
	p.level(n, limit, curve{fmt.Sprintf("maximum, %g", limit), p.theme.ink, dotted, 1})
	n.Y.Max = max(n.Y.Max, limit) * 1.15
	p.decisions(n)
	n.X.Label.Text = "minutes since the start"
}

// steps is the span of a line that is drawn in steps.
const steps = 0

// line draws the highest value of each span of seconds until the end of this picture. NaN means no value.
func (p *picture) line(n *plot.Plot, run *record.Run, c curve, span int, value func(record.Sample) float64) {
	var points plotter.XYs
	for samples := range slices.Chunk(run.Samples, max(span, 1)) {
		highest := math.NaN()
		for _, s := range samples {
			if v := value(s); math.IsNaN(highest) || v > highest {
				highest = v
			}
		}
		if at := samples[0].At; !math.IsNaN(highest) && at <= p.end() {
			points = append(points, plotter.XY{X: at, Y: highest})
		}
	}
	style := plotter.NoStep
	if span == steps {
		style = plotter.PostStep
	}
	stroke(n, points, c, style)
}

// level draws a horizontal line.
func (p *picture) level(n *plot.Plot, at float64, c curve) {
	stroke(n, plotter.XYs{{X: 0, Y: at}, {X: p.end(), Y: at}}, c, plotter.NoStep)
}

func stroke(n *plot.Plot, points plotter.XYs, c curve, style plotter.StepKind) {
	if len(points) == 0 {
		return
	}
	line := &plotter.Line{XYs: points, StepStyle: style}
	line.Color, line.Dashes, line.Width = c.color, c.dash, vg.Points(c.width)
	n.Add(line)
	if c.name != "" {
		n.Legend.Add(c.name, line)
	}
}

// newSize matches the event of an autoscaler that has changed the number of pods.
var newSize = regexp.MustCompile(`^New size: (\d+);`)

// decisions writes each new number of pods at the time of the decision.
func (p *picture) decisions(n *plot.Plot) {
	labels := &plotter.Labels{}
	top := n.Y.Max
	style := n.Y.Tick.Label
	style.XAlign = draw.XLeft
	for _, e := range p.run.Events {
		if size := newSize.FindStringSubmatch(e.Message); size != nil && e.At <= p.end() {
			height := 0.93 - 0.09*float64(len(labels.XYs)%2) // neighbors at two heights, so that they do not overlap
			labels.XYs = append(labels.XYs, plotter.XY{X: e.At, Y: top * height})
			labels.Labels = append(labels.Labels, size[1])
			labels.TextStyle = append(labels.TextStyle, style)
			mark := plotter.XYs{{X: e.At, Y: 0}, {X: e.At, Y: top}}
			stroke(n, mark, curve{"", p.theme.faint, solid, 1}, plotter.NoStep)
		}
	}
	if len(labels.XYs) > 0 {
		n.Add(labels)
	}
}

// round returns the ticks of plot with a label at whole numbers, because there is no half of a pod.
func round(from, to float64) []plot.Tick {
	return slices.DeleteFunc(plot.DefaultTicks{}.Ticks(from, to), func(t plot.Tick) bool {
		return t.IsMinor() || t.Value != math.Trunc(t.Value)
	})
}

// minutes returns ticks at round times, few enough to be readable.
func minutes(from, to float64) (ticks []plot.Tick) {
	step := 15.
	for _, longer := range []float64{30, 60, 120, 300, 600, 1800, 3600} {
		if (to-from)/step > 12 {
			step = longer
		}
	}
	for t := math.Ceil(from/step) * step; t <= to; t += step {
		ticks = append(ticks, plot.Tick{Value: t, Label: clock(t)})
	}
	return ticks
}

// decades returns ticks at powers of ten.
func decades(from, to float64) []plot.Tick {
	return slices.DeleteFunc(plot.LogTicks{Prec: -1}.Ticks(from, to), plot.Tick.IsMinor)
}
