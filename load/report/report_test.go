package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"example.com/scaleout/load/profile"
	"example.com/scaleout/load/record"
)

// example returns a short run with one decision.
func example(name string) *record.Run {
	p := profile.Profile{Name: "step", Points: []profile.Point{
		{At: 0, Rate: 10}, {At: 60, Rate: 10}, {At: 60, Rate: 300}, {At: 180, Rate: 300},
	}}
	r := &record.Run{
		Name: name, Stack: "dev", URL: "http://localhost:8080", Machine: "2 cores",
		Image:   "registry.example.com/team/app@sha256:" + strings.Repeat("0123456789abcdef", 4),
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Profile: p,
		Autoscaler: &record.Settings{Min: 2, Max: 10, Target: 50, Request: 100},
		HPA:        "shop/web", Context: "kind",
		Events: []record.Event{{At: 80, Reason: "SuccessfulRescale", Message: "New size: 6; reason: cpu above <target>"}},
	}
	for i := range 180 {
		at := float64(i + 1)
		s := record.Sample{At: at, Planned: p.Sent(at) - p.Sent(at-1)}
		s.Sent = int(s.Planned)
		s.OK, s.P50, s.P95, s.P99 = s.Sent, 2, 6, 11
		s.Desired, s.Ready, s.CPU = 2, 2, record.Unknown
		if at > 80 {
			s.Desired, s.Ready, s.CPU, s.CPUMilli = 6, 6, 60, 60
		}
		r.Total.Sent, r.Total.OK = r.Total.Sent+s.Sent, r.Total.OK+s.OK
		r.Samples = append(r.Samples, s)
	}
	return r
}

// TestPage: the page is complete and self-contained, and shows both runs and their differences.
func TestPage(t *testing.T) {
	run, base := example("ours"), example("plain <manifests>")
	base.Autoscaler.Target = 60
	files, err := Files(run, base, 150)
	if err != nil {
		t.Fatal(err)
	}
	page := string(files["report.html"])
	for _, want := range []string{
		"<h1>ours</h1>", "plain &lt;manifests&gt;", "cpu above &lt;target&gt;", "1:20", "time to capacity",
		`<tr class="differs"><th>autoscaler</th><td>shop/web in kind: 2 to 10 pods at 50 % of 100m</td>` +
			`<td>shop/web in kind: 2 to 10 pods at 60 % of 100m</td></tr>`,
		"<tr><th>started</th>", "<tr><th>URL</th>", `<figure class="light"><svg`, `<figure class="dark"><svg`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, never := range []string{"<plain", "<target>", "src=", "<link", "@import", "<script"} {
		if strings.Contains(page, never) {
			t.Errorf("the page has %q", never)
		}
	}
	for at := 0; ; {
		i := strings.Index(page[at:], "url(")
		if i < 0 {
			break
		}
		t.Errorf("the page loads something: %.60s", page[at+i:])
		at += i + 1
	}
}

// TestContrast: every line has the contrast to its background that WCAG requires of graphics: 3 to 1
// (https://www.w3.org/TR/WCAG22/#non-text-contrast).
func TestContrast(t *testing.T) {
	luminance := func(c color.Color) float64 {
		r, g, b, _ := c.RGBA()
		linear := func(v uint32) float64 {
			f := float64(v) / 0xffff
			if f <= .04045 {
				return f / 12.92
			}
			return math.Pow((f+.055)/1.055, 2.4)
		}
		return .2126*linear(r) + .7152*linear(g) + .0722*linear(b)
	}
	for name, theme := range map[string]Theme{"light": Light, "dark": Dark} {
		ground := luminance(theme.background)
		for line, c := range map[string]color.Color{
			"main": theme.main, "second": theme.second, "third": theme.third, "bad": theme.bad,
			"faded": theme.faded, "ink": theme.ink,
		} {
			l := luminance(c)
			if contrast := (max(l, ground) + .05) / (min(l, ground) + .05); contrast < 3 {
				t.Errorf("%s: the contrast of %s is %.2f", name, line, contrast)
			}
		}
	}
}

// TestPictures: pictures contain every panel, for each theme, with and without an autoscaler and a baseline.
func TestPictures(t *testing.T) {
	still := example("docker")
	still.Autoscaler, still.Events = nil, nil
	for name, c := range map[string]struct {
		run, base *record.Run
		want      []string
	}{
		"alone": {example("ours"), nil, []string{
			"requests / s", "latency, ms", "CPU, % of request", "target, 50 %", "maximum, 10", "1:00", ">6<",
		}},
		"beside another":     {example("ours"), example("plain"), []string{"p95, plain", "ready, plain"}},
		"no autoscaler":      {still, nil, []string{"requests / s", "p99"}},
		"beside one without": {example("ours"), still, []string{"p95, docker"}},
	} {
		for _, theme := range []Theme{Light, Dark} {
			svg, err := Picture("svg", c.run, c.base, theme)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			decoder := xml.NewDecoder(bytes.NewReader(svg))
			for err = error(nil); err == nil; {
				_, err = decoder.Token()
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("%s: the SVG is not well-formed: %v", name, err)
			}
			for _, want := range c.want {
				if !strings.Contains(string(svg), want) {
					t.Errorf("%s: the picture lacks %q", name, want)
				}
			}
		}
	}
	picture, err := Picture("png", example("ours"), nil, Light)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	colors := map[[3]uint32]bool{}
	for x := range decoded.Bounds().Dx() {
		for y := range decoded.Bounds().Dy() {
			r, g, b, _ := decoded.At(x, y).RGBA()
			colors[[3]uint32{r, g, b}] = true
		}
	}
	if decoded.Bounds().Dx() < 1000 || len(colors) < 20 {
		t.Errorf("the picture is %v and has %d colors", decoded.Bounds(), len(colors))
	}
}

// TestDocumentation: the pictures of docs/scaling.md match its data.
func TestDocumentation(t *testing.T) {
	const folder = "../../docs/scaling/"
	run, err := record.Read(folder + "scaleout.json")
	if err != nil {
		t.Fatal(err)
	}
	base, err := record.Read(folder + "plain.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, theme := range map[string]Theme{"light.svg": Light, "dark.svg": Dark} {
		want, err := os.ReadFile(folder + name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Picture("svg", run, base, theme); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs from what is drawn now: %v", name, err)
		}
	}
}
