package record

import (
	"bytes"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"example.com/scaleout/load/profile"
)

// stepRun returns a run of an app whose pods use 1m of CPU at rest and 0.2m for each request a second, up to 300 of
// them. The load rises from 10 to 600 a second at 60 s and falls at 240 s; the autoscaler requests 8 pods 20 s after
// the rise, and 2 again 60 s after the fall. A pod serves 5 s after it was requested; until then responses are slow
// and some fail.
func stepRun() *Run {
	p := profile.Profile{Name: "step", Points: []profile.Point{
		{At: 0, Rate: 10}, {At: 60, Rate: 10}, {At: 60, Rate: 600},
		{At: 240, Rate: 600}, {At: 240, Rate: 10}, {At: 360, Rate: 10},
	}}
	r := &Run{Name: "test", Profile: p, Autoscaler: &Settings{Min: 2, Max: 10, Target: 50, Request: 40}}
	for i := range 360 {
		at := float64(i + 1)
		s := Sample{At: at, Planned: p.Sent(at) - p.Sent(at-1)}
		s.Desired, s.Ready = 2, 2
		if at >= 80 && at < 300 {
			s.Desired = 8
		}
		if at >= 85 && at < 300 {
			s.Ready = 8
		}
		perPod := s.Planned / float64(s.Ready)
		s.CPUMilli = int64(math.Round(1 + .2*perPod))
		s.CPU = int(s.CPUMilli) * 100 / int(r.Autoscaler.Request)
		s.Sent = int(s.Planned)
		s.P50, s.P95, s.P99 = 2, 5, 9
		if perPod > 200 {
			s.P95, s.Failures = 800, map[string]int{"503 Service Unavailable": 1}
		}
		s.OK = s.Sent - s.Failures["503 Service Unavailable"]
		r.Total.Sent += s.Sent
		r.Total.OK += s.OK
		r.Samples = append(r.Samples, s)
	}
	r.Total.Failures = map[string]int{"503 Service Unavailable": r.Total.Failed()}
	r.Total.P50, r.Total.P95, r.Total.P99, r.Total.Max = 2, 6, 700, 900
	r.Events = []Event{{At: 80, Reason: "SuccessfulRescale", Message: "New size: 8; reason: cpu above target"}}
	return r
}

func TestVerdict(t *testing.T) {
	var rows []string
	for _, row := range stepRun().Rows(150) {
		rows = append(rows, row.Name+": "+row.Value)
	}
	if got, want := strings.Join(rows, "\n"), `requests: 109800
failed: 24 (0.02 %)
late requests: 0.0 %
latency p50, p95, p99: 2.0 ms, 6.0 ms, 700 ms
longest answer: 900 ms
longest degradation: 24 s
pods: 2 to 8
time to capacity: 25 s
scale-in time: 60 s
decisions: 2, 1 of them back
at the maximum: 0 s
pod seconds: 2010, 18.3 for 1,000 requests
over-provisioned: +24 %`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestLoadGeneratorTooSlow: a load that was not sent as planned is reported, and results in no advice.
func TestLoadGeneratorTooSlow(t *testing.T) {
	// For 30 of its 180 seconds the generator of 600 a second was blocked; then it caught up at once.
	r := stepRun()
	for i := 100; i < 130; i++ {
		r.Samples[130].Sent += r.Samples[i].Sent
		r.Samples[i].Sent, r.Samples[i].OK = 0, 0
	}
	if late := r.late(); math.Abs(late-30*600/109800.) > .001 {
		t.Errorf("30 s of 600 a second were late; the verdict has %g", late)
	}
	r = stepRun()
	for i := range r.Samples {
		r.Samples[i].Sent -= r.Samples[i].Sent / 10
	}
	if late := r.late(); math.Abs(late-.1) > .001 {
		t.Errorf("a tenth was not sent; the verdict has %g", late)
	}
	if a := r.Advise(150); !strings.Contains(a.Problem, "10 % less than planned") {
		t.Errorf("advice from it: %+v", a)
	}
}

// TestAdvice: the advice finds the costs that the run was made with, and the settings that follow from them.
func TestAdvice(t *testing.T) {
	r := stepRun()
	if rest, request := r.cost(); math.Abs(rest-1) > .3 || math.Abs(request-.2) > .01 {
		t.Errorf("costs %gm at rest and %g for a request, want 1 and 0.2", rest, request)
	}
	if rate, limited := r.capacity(150); math.Abs(rate-75) > 1e-9 || !limited {
		t.Errorf("a pod has handled %g a second within the goal (and no more: %t), "+
			"want the 75 of eight pods, and that 300 were too many", rate, limited)
	}
	if start, found := r.startTime(); start != 5 || !found {
		t.Errorf("a pod served after %g s, want 5", start)
	}
	a := r.Advise(150)
	// The step is sixtyfold, so the target is the minimum; 75 requests take 16m, and 600 take 8 pods at full use.
	if want := (Settings{Request: 20, Target: 30, Min: 2, Max: 34}); a.Settings != want || a.Problem != "" {
		t.Errorf("advice %+v, want %+v", a, want)
	}
	text := strings.Join(a.Reasons, "\n")
	for _, want := range []string{
		"0.9m of CPU at rest and 201 µs", "75 requests a second", "within 35 s this load grows 60.0-fold",
		"only 8 existing pods", "peak of 600",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the reasons lack %q:\n%s", want, text)
		}
	}
	// Pods that handled all their requests keep their CPU request, because their capacity is unknown.
	r = stepRun()
	r.Autoscaler.Request = 100
	for i := range r.Samples {
		r.Samples[i].P95, r.Samples[i].OK, r.Samples[i].Failures = 5, r.Samples[i].Sent, nil
	}
	a = r.Advise(150)
	if want := (Settings{Request: 100, Target: 30, Min: 2, Max: 6}); a.Settings != want {
		t.Errorf("advice for pods that had no trouble: %+v, want %+v", a, want)
	}
	for _, want := range []string{"300 requests a second", "stays at 100m, which is enough for 493"} {
		if text := strings.Join(a.Reasons, "\n"); !strings.Contains(text, want) {
			t.Errorf("the reasons lack %q:\n%s", want, text)
		}
	}
	// The CPU between request and limit handles the growth, too.
	r.Autoscaler.Limit = 4000
	a = r.Advise(150)
	if want := (Settings{Request: 100, Target: 66, Min: 2, Max: 3}); a.Settings != want {
		t.Errorf("advice for pods with a high limit: %+v, want %+v", a, want)
	}

	// Without a new pod the start time is unknown.
	for i := range r.Samples {
		r.Samples[i].Desired, r.Samples[i].Ready = 8, 8
	}
	a = r.Advise(150)
	if text := strings.Join(a.Reasons, "\n"); a.Settings.Target != 50 || !strings.Contains(text, "No new pod was seen") {
		t.Errorf("advice without a start: %+v", a)
	}

	for name, spoil := range map[string]func(*Run){
		"the stack has no autoscaler": func(r *Run) { r.Autoscaler = nil },
		"never the same for 45 s":     func(r *Run) { r.Samples = r.Samples[:40]; r.Total.Sent = 400 },
		"no ten seconds without": func(r *Run) {
			for i := range r.Samples {
				r.Samples[i].P95 = 500
			}
		},
	} {
		r := stepRun()
		spoil(r)
		if a := r.Advise(150); !strings.Contains(a.Problem, name) {
			t.Errorf("want no advice since %q, got %+v", name, a)
		}
	}
}

// TestWithoutAutoscaler: a stack without an autoscaler has a verdict on its requests only.
func TestWithoutAutoscaler(t *testing.T) {
	r := stepRun()
	r.Autoscaler = nil
	rows := r.Rows(150)
	if last := rows[len(rows)-1]; len(rows) != 6 || last.Name != "longest degradation" || last.Value != "24 s" {
		t.Errorf("got %+v", rows)
	}
}

func TestFiles(t *testing.T) {
	r := stepRun()
	path := filepath.Join(t.TempDir(), "run.json")
	text, err := r.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again, r) {
		t.Error("what was read differs from what was written")
	}
	for content, want := range map[string]string{"{}": "has no samples", "[": "reading the run in " + path} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", content, err, want)
		}
	}

	r.Samples[0].CPU = Unknown
	lines, err := csv.NewReader(bytes.NewReader(r.CSV())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(lines) != 361 || strings.Join(lines[1], ",") != "1,10,10,10,0,2,5,9,,2,2,2" {
		t.Errorf("%d lines; the first is %v", len(lines), lines[1])
	}
}
