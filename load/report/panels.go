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
	"example.com/scaleout/load/watch"
)

var (
	solid  []vg.Length
	dashed = []vg.Length{vg.Points(5), vg.Points(3)}
	dotted = []vg.Length{vg.Points(1.5), vg.Points(2.5)}
)

// curve is a line of a panel.
type curve struct {
	name  string
	color color.Color
	dash  []vg.Length
	width float64 // in points
	steps bool    // stays until it changes
	value func(record.Sample) float64
}

func (p *picture) requests() {
	n := p.add("requests / s")
	p.line(n, p.run, curve{"planned", p.theme.annotate, dashed, 1, false, func(s record.Sample) float64 { return s.Planned }})
	p.line(n, p.run, curve{"answered", p.theme.main, solid, 1.5, false, func(s record.Sample) float64 { return float64(s.OK) }})
	p.line(n, p.run, curve{"failed", p.theme.bad, solid, 1.5, false, func(s record.Sample) float64 { return float64(s.Failed()) }})
	n.plot.Y.Max *= 1.05
}

func (p *picture) latency() {
	n := p.add("latency, ms")
	worst := "" // each point is the worst of so many seconds: one a second would be a hedge, not a line
	if p.bucket() > 1 {
		worst = fmt.Sprintf(", worst of %d s", p.bucket())
	}
	quantile := func(of func(record.Sample) float64) func(record.Sample) float64 {
		return func(s record.Sample) float64 {
			if s.OK == 0 {
				return math.NaN() // of no answers
			}
			return max(of(s), leastLatency)
		}
	}
	p95 := quantile(func(s record.Sample) float64 { return s.P95 })
	p.worst(n, p.base, curve{"p95, " + p.baseName(), p.theme.baseline, solid, 1, false, p95})
	p.worst(n, p.run, curve{"p99" + worst, p.theme.bad, dotted, 1.2, false, quantile(func(s record.Sample) float64 { return s.P99 })})
	p.worst(n, p.run, curve{"p95" + worst, p.theme.main, solid, 1.5, false, p95})
	p.worst(n, p.run, curve{"p50" + worst, p.theme.second, dashed, 1.2, false, quantile(func(s record.Sample) float64 { return s.P50 })})
	// Latencies span decades: an answer takes a millisecond from a pod at rest, and seconds from one that has too much.
	n.plot.Y.Min = leastLatency
	n.plot.Y.Max = math.Pow(10, math.Ceil(math.Log10(max(n.plot.Y.Max, 10))))
	n.plot.Y.Scale, n.plot.Y.Tick.Marker = plot.LogScale{}, decades{}
}

// leastLatency is the lower end of the axis, in milliseconds.
const leastLatency = 1

func (p *picture) cpu() {
	n := p.add("CPU, % of request")
	cpu := func(s record.Sample) float64 {
		if s.CPU == watch.Unknown {
			return math.NaN()
		}
		return float64(s.CPU)
	}
	p.line(n, p.base, curve{"pods, " + p.baseName(), p.theme.baseline, solid, 1, true, cpu})
	p.line(n, p.run, curve{"pods", p.theme.third, solid, 1.5, true, cpu})
	target := float64(p.run.Autoscaler.Target)
	p.level(n, curve{name: fmt.Sprintf("target, %g %%", target), color: p.theme.ink, dash: dashed}, target)
	n.plot.Y.Max = max(n.plot.Y.Max, 1.5*target) * 1.05
}

func (p *picture) pods() {
	n := p.add("pods")
	p.line(n, p.base, curve{"ready, " + p.baseName(), p.theme.baseline, solid, 1, true, func(s record.Sample) float64 { return float64(s.Ready) }})
	p.line(n, p.run, curve{"wanted", p.theme.bad, dashed, 1.2, true, func(s record.Sample) float64 { return float64(s.Desired) }})
	p.line(n, p.run, curve{"ready", p.theme.main, solid, 1.5, true, func(s record.Sample) float64 { return float64(s.Ready) }})
	limit := float64(p.run.Autoscaler.Max)
	p.level(n, curve{name: fmt.Sprintf("maximum, %g", limit), color: p.theme.ink, dash: dotted}, limit)
	n.plot.Y.Max = max(n.plot.Y.Max, limit) * 1.15
	p.decisions(n)
	n.plot.X.Label.Text = "minutes since the start"
}

func (p *picture) baseName() string {
	if p.base == nil {
		return ""
	}
	return p.base.Name
}

// line draws a run's samples, as far as this picture goes. Without a run there is nothing to draw.
func (p *picture) line(n *panel, run *record.Run, c curve) {
	if p.err != nil || run == nil {
		return
	}
	var points plotter.XYs
	for _, s := range run.Samples {
		if v := c.value(s); !math.IsNaN(v) && s.At <= p.end() {
			points = append(points, plotter.XY{X: s.At, Y: v})
		}
	}
	p.stroke(n, points, c)
}

// maxPoints is how many points of a line can be told apart.
const maxPoints = 180

// bucket is how many seconds make a point where a line shows the worst of several.
func (p *picture) bucket() int { return int(math.Ceil(p.end() / maxPoints)) }

// worst draws the highest value of each bucket.
func (p *picture) worst(n *panel, run *record.Run, c curve) {
	if run == nil {
		return
	}
	reduced := *run
	reduced.Samples = nil
	highest := map[float64]float64{}
	for bucket := range slices.Chunk(run.Samples, p.bucket()) {
		top := math.NaN()
		for _, s := range bucket {
			if v := c.value(s); math.IsNaN(top) || v > top {
				top = v
			}
		}
		highest[bucket[0].At] = top
		reduced.Samples = append(reduced.Samples, bucket[0])
	}
	c.value = func(s record.Sample) float64 { return highest[s.At] }
	p.line(n, &reduced, c)
}

// level draws a line at one height.
func (p *picture) level(n *panel, c curve, at float64) {
	c.width = 1
	p.stroke(n, plotter.XYs{{X: 0, Y: at}, {X: p.end(), Y: at}}, c)
}

func (p *picture) stroke(n *panel, points plotter.XYs, c curve) {
	if len(points) == 0 || p.err != nil {
		return
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		p.err = err
		return
	}
	line.Color, line.Dashes, line.Width = c.color, c.dash, vg.Points(c.width)
	if c.steps {
		line.StepStyle = plotter.PostStep
	}
	n.plot.Add(line)
	if c.name != "" {
		n.legend.Add(c.name, line)
	}
}

// newSize is what an event of the autoscaler says when it has changed the number of pods.
var newSize = regexp.MustCompile(`^New size: (\d+);`)

// decisions writes each new number of pods where it was decided.
func (p *picture) decisions(n *panel) {
	var labels plotter.XYLabels
	for _, e := range p.run.Events {
		if size := newSize.FindStringSubmatch(e.Message); size != nil && e.At <= p.end() {
			height := 0.93 - 0.09*float64(len(labels.XYs)%2) // neighbours at two heights, or they would hide each other
			labels.XYs = append(labels.XYs, plotter.XY{X: e.At, Y: n.plot.Y.Max * height})
			labels.Labels = append(labels.Labels, size[1])
		}
	}
	if len(labels.Labels) == 0 || p.err != nil {
		return
	}
	drawn, err := plotter.NewLabels(labels)
	if err != nil {
		p.err = err
		return
	}
	for i := range drawn.TextStyle {
		drawn.TextStyle[i] = n.plot.Y.Tick.Label
		drawn.TextStyle[i].XAlign = draw.XLeft
		p.stroke(n, plotter.XYs{{X: labels.XYs[i].X, Y: 0}, {X: labels.XYs[i].X, Y: n.plot.Y.Max}},
			curve{name: "", color: p.theme.faint, width: 1})
	}
	n.plot.Add(drawn)
}

// round are the ticks of plot without those that have no label, at whole numbers: there is no half of a pod.
type round struct{}

// Ticks implements plot.Ticker.
func (round) Ticks(from, to float64) []plot.Tick {
	return slices.DeleteFunc(plot.DefaultTicks{}.Ticks(from, to), func(t plot.Tick) bool {
		return t.IsMinor() || t.Value != math.Trunc(t.Value)
	})
}

// minutes are ticks at whole minutes, few enough to be read.
type minutes struct{}

// Ticks implements plot.Ticker.
func (minutes) Ticks(from, to float64) (ticks []plot.Tick) {
	steps := []float64{15, 30, 60, 120, 300, 600, 1800, 3600}
	i := slices.IndexFunc(steps, func(s float64) bool { return (to-from)/s <= 12 })
	if i < 0 {
		i = len(steps) - 1
	}
	for t := math.Ceil(from/steps[i]) * steps[i]; t <= to; t += steps[i] {
		ticks = append(ticks, plot.Tick{Value: t, Label: fmt.Sprintf("%d:%02d", int(t)/60, int(t)%60)})
	}
	return ticks
}

// decades are ticks at powers of ten.
type decades struct{}

// Ticks implements plot.Ticker.
func (decades) Ticks(from, to float64) (ticks []plot.Tick) {
	for v := from; v <= to; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: fmt.Sprintf("%g", v)})
	}
	return ticks
}
