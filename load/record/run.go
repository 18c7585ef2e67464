// Package record keeps what a load and its watch saw, and says what it means.
package record

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"example.com/scaleout/load/profile"
	"example.com/scaleout/load/traffic"
	"example.com/scaleout/load/watch"
)

// Run is one load from its start to its end. It is what is compared with another, so it holds what both depend on.
type Run struct {
	// Name tells it from others in a report.
	Name    string `json:"name"`
	Stack   string `json:"stack"`
	URL     string `json:"url"`
	Machine string `json:"machine"`
	// Host was asked for in place of the one in URL. With it, or another URL than the stack's, Image is not known.
	Host    string    `json:"host,omitempty"`
	Image   string    `json:"image,omitempty"`
	Started time.Time `json:"started"`
	// Profile is what was to be sent.
	Profile profile.Profile `json:"profile"`
	// Autoscaler is nil if none was followed; HPA is its namespace and name, in the cluster of a kubeconfig's Context.
	Autoscaler *watch.Settings `json:"autoscaler,omitempty"`
	HPA        string          `json:"hpa,omitempty"`
	Context    string          `json:"context,omitempty"`
	// Samples are one for each second.
	Samples []Sample `json:"samples"`
	// Events are what the autoscaler did.
	Events []Event `json:"events"`
	// Total is what came of all requests.
	Total traffic.Summary `json:"total"`
	// Interrupted is true if the load ended before its profile did.
	Interrupted bool `json:"interrupted,omitempty"`
}

// Sample is one second: what came of the requests that were sent in it, and the state of the pods at its end.
type Sample struct {
	// At is in seconds since the start.
	At float64 `json:"at"`
	// Planned is how many requests the profile has in this second.
	Planned float64 `json:"planned"`
	traffic.Summary
	watch.State
}

// Event is something that the autoscaler did.
type Event struct {
	// At is in seconds since the start.
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

// WriteJSON writes the run for Read and for other programs, with a line for each sample and event.
func (r *Run) WriteJSON(w io.Writer) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = w.Write(append(bytes.ReplaceAll(text, []byte(`{"at":`), []byte("\n"+`{"at":`)), '\n'))
	return err
}

// WriteCSV writes the samples, a line for each second.
func (r *Run) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	err := out.Write([]string{"second", "planned", "sent", "ok", "failed", "p50_ms", "p95_ms", "p99_ms", "cpu_percent", "cpu_milli", "desired", "ready"})
	for _, s := range r.Samples {
		number := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
		cpu := ""
		if s.CPU != watch.Unknown {
			cpu = strconv.Itoa(s.CPU)
		}
		err = errors.Join(err, out.Write([]string{
			number(s.At), number(s.Planned), strconv.Itoa(s.Sent), strconv.Itoa(s.OK), strconv.Itoa(s.Failed()),
			number(s.P50), number(s.P95), number(s.P99), cpu, strconv.FormatInt(s.CPUMilli, 10), strconv.Itoa(s.Desired), strconv.Itoa(s.Ready),
		}))
	}
	out.Flush()
	return errors.Join(err, out.Error())
}
