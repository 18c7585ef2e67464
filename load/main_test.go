package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/scaleout/load/record"
	"example.com/scaleout/load/traffic"
)

func parse(args ...string) (*options, error) { return parseOptions(args, io.Discard) }

func TestOptions(t *testing.T) {
	o, err := parse("-profile", "blackfriday", "-speed", "3", "-scale", "2")
	if err != nil {
		t.Fatal(err)
	}
	if o.profile.Name != "blackfriday" || o.profile.Duration() != 5*time.Minute || o.profile.Peak() != 400 {
		t.Errorf("got %+v", o)
	}
	for args, want := range map[string][]string{
		"-profile rush":                          {`-profile: "rush" is not a profile`},
		"-points 0s:10":                          {"-points: the points must begin at 0s and end later"},
		"-points 0s:9,9s:9 -profile step":        {"two profiles"},
		"-speed 0":                               {"-speed 0", "must begin at 0s and end later"},
		"-scale 0.001":                           {"-scale 0.001", "not at least 1 a second"},
		"-speed 0.1":                             {"lasts 50m0s, -max-time is 20m0s"},
		"-scale 2":                               {"up to 1200 requests a second, -max-rate is 1000"},
		"-hpa b -scale 2":                        {`-hpa "b" is not NAMESPACE/NAME`, "-max-rate"},
		"-goal 0s -scale 9":                      {"-goal 0s", "-max-rate"},
		"step":                                   {`"step" is not a flag`},
		"-from run.json -goal 0s":                {"-goal 0s"},
		"-from run.json -speed 0 -goal 0s extra": {`"extra" is not a flag`, "-goal 0s"},
	} {
		_, err := parse(strings.Fields(args)...)
		if err == nil {
			t.Errorf("%s: was accepted", args)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: got %v, want %q", args, err, w)
			}
		}
	}
}

// withOutputs returns a stack with these outputs and without a cluster.
func withOutputs(outputs string) pulumiStack {
	return fake(map[string]string{"stack output --json --stack dev": outputs})
}

// TestRun: a load on a stack without an autoscaler is sent, shown and reported.
func TestRun(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "Hello from container! I have been seen 1 times.\n")
	}))
	t.Cleanup(server.Close)
	o, err := parse("-points", "0s:50,6s:50")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r, err := send(t.Context(), o, withOutputs(`{"url": "`+server.URL+`"}`), &out)
	if err != nil {
		t.Fatal(err)
	}
	if r.Total.Sent < 295 || r.Total.OK != r.Total.Sent || len(r.Samples) < 5 || r.Interrupted {
		t.Errorf("sent %d, %d good, %d samples", r.Total.Sent, r.Total.OK, len(r.Samples))
	}
	for _, want := range []string{"custom to " + server.URL, "sent/s", "0:05", "█"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the view lacks %q:\n%s", want, &out)
		}
	}
	folder := filepath.Join(t.TempDir(), "report")
	if err := save(folder, r, nil, 150); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"run.json", "run.csv", "report.html", "light.svg", "dark.svg", "light.png"} {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || info.Size() < 200 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	again, err := record.Read(filepath.Join(folder, "run.json"))
	if err != nil || again.Total.Sent != r.Total.Sent {
		t.Errorf("reading the run again: %v", err)
	}
	out.Reset()
	conclude(&out, r, 150, folder)
	if !strings.Contains(out.String(), "failed                   0") || !strings.Contains(out.String(), "report.html") {
		t.Errorf("the conclusion:\n%s", &out)
	}
}

// TestFailuresInOrder: the reasons of failures are printed with the most frequent one first, equal ones by their text.
func TestFailuresInOrder(t *testing.T) {
	var out bytes.Buffer
	conclude(&out, &record.Run{Total: traffic.Summary{Failures: map[string]int{
		"EOF": 3, "503 Service Unavailable": 20, "connection refused": 3, "500 Internal Server Error": 3, "timeout": 100,
	}}}, 150, "report")
	want := "  100 times timeout\n  20 times 503 Service Unavailable\n  3 times 500 Internal Server Error\n" +
		"  3 times EOF\n  3 times connection refused\n"
	if !strings.Contains(out.String(), want) {
		t.Errorf("got\n%swant in it\n%s", &out, want)
	}
}

// TestInterrupted: Ctrl-C ends a load with what was recorded until then.
func TestInterrupted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	o, err := parse("-points", "0s:20,10m:20")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(2500*time.Millisecond, cancel)
	r, err := send(ctx, o, withOutputs(`{"url": "`+server.URL+`"}`), io.Discard)
	if err != nil || !r.Interrupted || len(r.Samples) == 0 {
		t.Errorf("got %+v, %v", r, err)
	}
}

func TestStackNotUp(t *testing.T) {
	o, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	_, err = send(t.Context(), o, withOutputs("{}"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "make up STACK=dev") {
		t.Errorf("got %v, want the command to run", err)
	}
}

// TestView: every fifth second is shown, with the failures since the line before.
func TestView(t *testing.T) {
	var out bytes.Buffer
	r, failed := &record.Run{Autoscaler: &record.Settings{Min: 2, Max: 10, Target: 50}}, 0
	for range 10 {
		r.Samples = append(r.Samples, record.Sample{
			Summary: traffic.Summary{Begun: 100, Sent: 90, OK: 89, P50: 1.23, P95: 45.6, P99: 0}, // ten have no response yet
			State:   record.State{Desired: 4, Ready: 3, CPU: 70},
		})
		failed = show(&out, r, failed)
	}
	want := "   time   sent/s   failed      p50     p95     p99      CPU  pods  wanted  (target 50 %, 2 to 10 pods)\n" +
		"   0:05      100        5   1.2 ms   46 ms       -     70 %    3       4  █████\n" +
		"   0:10      100        5   1.2 ms   46 ms       -     70 %    3       4  ██████████\n"
	if got := out.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
