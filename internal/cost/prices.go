package cost

import (
	"bytes"
	_ "embed" // for prices.yaml
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"example.com/scaleout/internal/podsize"
)

// Table holds the prices and the assumptions of prices.yaml.
type Table struct {
	Region       string
	HoursOfMonth float64 `yaml:"hoursOfMonth"`
	Prices       map[string]Price
	Node         struct{ CPU, Memory string } // what a node has left for pods
	Zones        float64                      // of a load balancer
	Profile      Profile
	Free         []string // types of resources without a price
	Sources      map[string]Source
}

// Price is a list price of AWS for a unit.
type Price struct {
	Name    string
	USD     float64 `yaml:"usd"`
	Per     string  // hour, month, or a unit of use, such as GB
	Source  string  // a key of Sources
	Setting string  // what decides about it, in Markdown
}

// Source is a page or program from which prices were read.
type Source struct {
	Name, URL string
	Date      string // on which it was right, e.g. 2026-11-28
}

// Profile is the load of a day.
type Profile struct {
	Name string
	Day  []struct {
		Hours float64
		Share float64 // where the number of pods is between the minimum (0) and the maximum (1)
	}
}

//go:embed prices.yaml
var embedded []byte

// Embedded returns the table of this version.
func Embedded() (*Table, error) { return Parse(embedded) }

// Parse returns the table of a file like prices.yaml. Its error lists everything that is missing.
func Parse(content []byte) (*Table, error) {
	t := &Table{}
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	decoder.KnownFields(true)
	if err := decoder.Decode(t); err != nil {
		return nil, fmt.Errorf("the price table: %w", err)
	}
	var problems []error
	require := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf("the price table: "+format, args...))
		}
	}
	require(t.Region != "", "region is missing")
	require(t.HoursOfMonth > 0, "hoursOfMonth is missing")
	require(t.Zones > 0, "zones is missing")
	for _, id := range []string{
		"eks", "nat", "nat-gb", "address", "endpoint", "endpoint-gb", "kms", "node-amd64", "node-arm64", "auto-amd64",
		"auto-arm64", "alb", "lcu", "ecr-gb", "gp3-gb", "logs-gb", "waf-requests", "valkey-gb", "redis-gb", "valkey-units",
		"redis-units",
	} {
		_, found := t.Prices[id]
		require(found, "prices.%s is missing", id)
	}
	for _, id := range slices.Sorted(maps.Keys(t.Prices)) {
		p := t.Prices[id]
		require(p.Name != "" && p.Per != "", "prices.%s has no name or no unit (per)", id)
		require(p.USD > 0, "prices.%s has no usd above 0", id)
		_, found := t.Sources[p.Source]
		require(found, "prices.%s: sources has no %q", id, p.Source)
	}
	for _, id := range slices.Sorted(maps.Keys(t.Sources)) {
		_, err := time.Parse(time.DateOnly, t.Sources[id].Date)
		require(err == nil && t.Sources[id].URL != "", "sources.%s has no url, or no date such as 2026-11-28", id)
	}
	cpu, memory := podsize.Parse(t.Node.CPU), podsize.Parse(t.Node.Memory)
	require(cpu.Sign() > 0 && memory.Sign() > 0, "node.cpu or node.memory is no quantity")
	hours := 0.0
	for _, part := range t.Profile.Day {
		hours += part.Hours
		require(part.Share >= 0 && part.Share <= 1, "profile: the share %v is not between 0 and 1", part.Share)
	}
	require(hours == 24, "profile: the hours of the day are %v, not 24", hours)
	return t, errors.Join(problems...)
}
