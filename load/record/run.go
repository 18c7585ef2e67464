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
	// Name identifies it in a report.
	Name    string `json:"name"`
	Stack   string `json:"stack"`
	URL     string `json:"url"`
	Machine string `json:"machine"`
	// Host replaced the host of URL. Image is then unknown.
	Host    string          `json:"host,omitempty"`
	Image   string          `json:"image,omitempty"`
	Started time.Time       `json:"started"`
	Profile profile.Profile `json:"profile"`
	// Autoscaler is nil if none was followed; HPA is its namespace and name, in the cluster of a kubeconfig's Context.
	Autoscaler *Settings `json:"autoscaler,omitempty"`
	HPA        string    `json:"hpa,omitempty"`
	Context    string    `json:"context,omitempty"`
	// Samples has one sample for each second.
	Samples []Sample `json:"samples"`
	Events  []Event  `json:"events"`
	// Total is the outcome of all requests.
	Total traffic.Summary `json:"total"`
	// Interrupted is true if the load ended before its profile did.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Sample is one second: the outcome of the requests that were sent in it, and the state of the pods at its end.
type Sample struct {
	// At is in seconds since the start.
	At float64 `json:"at"`
	// Planned is the number of requests that the profile has in this second.
	Planned float64 `json:"planned"`
	traffic.Summary
	State
}

// Unknown is the CPU of pods that have not been measured.
const Unknown = -1

// Settings are the settings of an autoscaler by which runs are compared.
type Settings struct {
	Min int `json:"min"`
	Max int `json:"max"`
	// Target is the target CPU utilization of a pod, in percent of its request.
	Target int `json:"target"`
	// Request and Limit are the CPU request and limit of each pod, in thousandths of a core; 0 without one.
	Request int64 `json:"request"`
	Limit   int64 `json:"limit"`
}

// State is the state of the autoscaler and its pods at a moment.
type State struct {
	// Desired is the number of pods that the autoscaler requests, Ready the number of ready ones.
	Desired int `json:"desired"`
	Ready   int `json:"ready"`
	// CPU is the autoscaler's last measurement, in percent of a pod's request, or Unknown without one. CPUMilli is the
	// same in thousandths of a core for each pod.
	CPU      int   `json:"cpu"`
	CPUMilli int64 `json:"cpuMilli"`
}

// Event is an event of the autoscaler.
type Event struct {
	Time time.Time `json:"-"`
	// At is in seconds since the start of a load.
	At      float64 `json:"at"`
	Reason  string  `json:"reason"`
	Message string  `json:"message"`
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
