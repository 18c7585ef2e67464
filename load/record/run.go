// Package record stores the observations of a load, and evaluates them.
package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"example.com/scaleout/load/profile"
	"example.com/scaleout/load/traffic"
)

// Run is one load from its start to its end. Runs are compared, so a run includes everything that it depends on.
type Run struct {
	Name    string          `json:"name"` // identifies it in a report
	Stack   string          `json:"stack"`
	URL     string          `json:"url"`
	Machine string          `json:"machine"`
	Host    string          `json:"host,omitempty"`  // replaced the host of URL
	Image   string          `json:"image,omitempty"` // unknown with Host
	Started time.Time       `json:"started"`
	Profile profile.Profile `json:"profile"`
	// Autoscaler is nil if none was followed; HPA is its namespace and name, in the cluster of a kubeconfig's Context.
	Autoscaler  *Settings       `json:"autoscaler,omitempty"`
	HPA         string          `json:"hpa,omitempty"`
	Context     string          `json:"context,omitempty"`
	Samples     []Sample        `json:"samples"` // one for each second
	Events      []Event         `json:"events"`
	Total       traffic.Summary `json:"total"`                 // of all requests
	Interrupted bool            `json:"interrupted,omitempty"` // the load ended before its profile did
}

// Sample is one second: the outcome of the requests that were sent in it, and the state of the pods at its end.
type Sample struct {
	At      float64 `json:"at"`      // in seconds since the start
	Planned float64 `json:"planned"` // the number of requests that the profile has in this second
	traffic.Summary
	State
}

// Unknown is the CPU of pods that have not been measured.
const Unknown = -1

// Settings are the settings of an autoscaler by which runs are compared.
type Settings struct {
	Min     int   `json:"min"`
	Max     int   `json:"max"`
	Target  int   `json:"target"`  // CPU utilization of a pod, in percent of its request
	Request int64 `json:"request"` // of CPU for each pod, in thousandths of a core; 0 without one
	Limit   int64 `json:"limit"`   // the same
}

// State is the state of the autoscaler and its pods at a moment.
type State struct {
	Desired int `json:"desired"` // the number of pods that the autoscaler requests
	Ready   int `json:"ready"`   // the number of ready ones
	// CPU is the autoscaler's last measurement, in percent of a pod's request, or Unknown without one. CPUMilli is the
	// same in thousandths of a core for each pod.
	CPU      int   `json:"cpu"`
	CPUMilli int64 `json:"cpuMilli"`
}

// Event is an event of the autoscaler.
type Event struct {
	Time    time.Time `json:"-"`
	At      float64   `json:"at"` // in seconds since the start of a load
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
}

// Read reads a run from its JSON file.
func Read(path string) (*Run, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading a run: %w", err)
	}
	r := &Run{}
	if err := json.Unmarshal(content, r); err != nil {
		return nil, fmt.Errorf("reading the run in %s: %w", path, err)
	}
	if len(r.Samples) == 0 || len(r.Profile.Points) == 0 {
		return nil, fmt.Errorf("reading the run in %s: it has no samples; it must be a run.json of this program", path)
	}
	return r, nil
}

// JSON returns the run for Read and for other programs, with a line for each sample and event.
func (r *Run) JSON() ([]byte, error) {
	text, err := json.Marshal(r)
	return append(bytes.ReplaceAll(text, []byte(`{"at":`), []byte("\n"+`{"at":`)), '\n'), err
}

// CSV returns the samples, with a line for each second.
func (r *Run) CSV() []byte {
	text := []byte("second,planned,sent,ok,failed,p50_ms,p95_ms,p99_ms,cpu_percent,cpu_milli,desired,ready\n")
	for _, s := range r.Samples {
		cpu := ""
		if s.CPU != Unknown {
			cpu = strconv.Itoa(s.CPU)
		}
		text = fmt.Appendf(text, "%g,%g,%d,%d,%d,%g,%g,%g,%s,%d,%d,%d\n",
			s.At, s.Planned, s.Sent, s.OK, s.Failed(), s.P50, s.P95, s.P99, cpu, s.CPUMilli, s.Desired, s.Ready)
	}
	return text
}
