package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"example.com/scaleout/load/profile"
)

// options holds the flags.
type options struct {
	named, points             string
	speed, scale              float64
	maxTime                   time.Duration
	maxRate                   float64
	goal                      time.Duration
	host, hpa, context        string
	name, out, from, baseline string

	profile profile.Profile
}

// parseOptions reads the command line. Its error lists all problems.
func parseOptions(args []string, errOut io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(errOut)
	f.StringVar(&o.named, "profile", "", "shape of the load: "+profile.Names()+" (default step)")
	f.StringVar(&o.points, "points", "", "custom profile: time:rate, ..., such as 0s:10,30s:10,30s:200,3m:200")
	f.Float64Var(&o.speed, "speed", 1, "divide the profile's times by this")
	f.Float64Var(&o.scale, "scale", 1, "multiply the profile's rates by this")
	// Default bounds against an accidental load: somewhat longer than the longest of the named profiles, and what a
	// machine of two cores can send besides its other work (docs/reliability.md).
	f.DurationVar(&o.maxTime, "max-time", 20*time.Minute, "refuse a profile that lasts longer")
	f.Float64Var(&o.maxRate, "max-rate", 1000, "refuse a profile with more requests per second")
	f.DurationVar(&o.goal, "goal", 150*time.Millisecond, "highest acceptable 95th percentile of the latency")
	f.StringVar(&o.host, "host", "", "send requests to the stack's URL for this host, which is not the stack's")
	f.StringVar(&o.hpa, "hpa", "", "follow this autoscaler (NAMESPACE/NAME); with -host the stack's is not followed")
	f.StringVar(&o.context, "context", "", "kubeconfig context of the cluster; required if the stack is not on kind")
	f.StringVar(&o.name, "name", "", "name of this run in the report (default: the profile)")
	f.StringVar(&o.out, "out", "", "folder for the report (default: reports/TIME-NAME)")
	f.StringVar(&o.from, "from", "", "send no load; report on the run in this file")
	f.StringVar(&o.baseline, "baseline", "", "compare with the run in this file")
	f.Usage = func() {
		_, _ = fmt.Fprint(errOut, "usage: make load LOAD=\"[flags]\"\n\n"+
			"Sends requests to a running stack and reports how it scaled.\n\n")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if f.NArg() > 0 {
		problem("%q is not a flag; see -h", f.Arg(0))
	}
	if o.goal <= 0 {
		problem("-goal %s must be above 0s", o.goal)
	}
	if o.from != "" { // the profile is that of the run
		return o, errors.Join(problems...)
	}
	if o.points != "" && o.named != "" {
		problem("-points and -profile are two profiles; give one")
	}
	if namespace, name, found := strings.Cut(o.hpa, "/"); o.hpa != "" && (!found || namespace == "" || name == "") {
		problem("-hpa %q is not NAMESPACE/NAME", o.hpa)
	}
	if err := o.choose(); err != nil {
		return o, errors.Join(append(problems, err)...)
	}
	if d := o.profile.Duration(); d > o.maxTime {
		problem("the profile lasts %s, -max-time is %s; -speed makes it shorter", d, o.maxTime)
	}
	if peak := o.profile.Peak(); peak > o.maxRate {
		problem("the profile has up to %g requests a second, -max-rate is %g; -scale makes it smaller", peak, o.maxRate)
	}
	return o, errors.Join(problems...)
}

// choose sets the profile according to the flags.
func (o *options) choose() (err error) {
	if o.points != "" {
		if o.profile, err = profile.Parse(o.points); err != nil {
			return fmt.Errorf("-points: %w", err)
		}
	} else if o.profile, err = profile.Named(cmp.Or(o.named, "step")); err != nil {
		return fmt.Errorf("-profile: %w", err)
	}
	if o.profile, err = o.profile.Scaled(o.speed, o.scale); err != nil {
		return fmt.Errorf("-speed %g, -scale %g: %w", o.speed, o.scale, err)
	}
	o.name = cmp.Or(o.name, o.profile.Name)
	return nil
}
