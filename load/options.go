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

// options are the profile and the other settings of the command line.
type options struct {
	profile                   profile.Profile
	goal                      time.Duration
	host, hpa, context        string
	name, out, from, baseline string
}

// parseOptions reads the command line. Its error lists all problems.
func parseOptions(args []string, errOut io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet(`make load LOAD="[flags]"`, flag.ContinueOnError)
	f.SetOutput(errOut)
	named := f.String("profile", "", "shape of the load: "+profile.Names()+" (default step)")
	points := f.String("points", "", "custom profile: time:rate, ..., such as 0s:10,30s:10,30s:200,3m:200")
	speed := f.Float64("speed", 1, "divide the profile's times by this")
	scale := f.Float64("scale", 1, "multiply the profile's rates by this")
	// Default bounds against an accidental load: somewhat longer than the longest of the named profiles, and what a
	// machine of two cores can send besides its other work (docs/reliability.md).
	maxTime := f.Duration("max-time", 20*time.Minute, "refuse a profile that lasts longer")
	maxRate := f.Float64("max-rate", 1000, "refuse a profile with more requests per second")
	f.DurationVar(&o.goal, "goal", 150*time.Millisecond, "highest acceptable 95th percentile of the latency")
	f.StringVar(&o.host, "host", "", "send requests to the stack's URL for this host, which is not the stack's")
	f.StringVar(&o.hpa, "hpa", "", "follow this autoscaler (NAMESPACE/NAME); with -host the stack's is not followed")
	f.StringVar(&o.context, "context", "", "kubeconfig context of the cluster; required if the stack is not on kind")
	f.StringVar(&o.name, "name", "", "name of this run in the report (default: the profile)")
	f.StringVar(&o.out, "out", "", "folder for the report (default: reports/TIME-NAME)")
	f.StringVar(&o.from, "from", "", "send no load; report on the run in this file")
	f.StringVar(&o.baseline, "baseline", "", "compare with the run in this file")
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
	if *points != "" && *named != "" {
		problem("-points and -profile are two profiles; give one")
	}
	if namespace, name, _ := strings.Cut(o.hpa, "/"); o.hpa != "" && (namespace == "" || name == "") {
		problem("-hpa %q is not NAMESPACE/NAME", o.hpa)
	}
	var err error
	if o.profile, err = choose(*named, *points, *speed, *scale); err != nil {
		return o, errors.Join(append(problems, err)...)
	}
	if d := o.profile.Duration(); d > *maxTime {
		problem("the profile lasts %s, -max-time is %s; -speed makes it shorter", d, *maxTime)
	}
	if peak := o.profile.Peak(); peak > *maxRate {
		problem("the profile has up to %g requests a second, -max-rate is %g; -scale makes it smaller", peak, *maxRate)
	}
	return o, errors.Join(problems...)
}

func choose(named, points string, speed, scale float64) (p profile.Profile, err error) {
	if points != "" {
		if p, err = profile.Parse(points); err != nil {
			return p, fmt.Errorf("-points: %w", err)
		}
	} else if p, err = profile.Named(cmp.Or(named, "step")); err != nil {
		return p, fmt.Errorf("-profile: %w", err)
	}
	if p, err = p.Scaled(speed, scale); err != nil {
		return p, fmt.Errorf("-speed %g, -scale %g: %w", speed, scale, err)
	}
	return p, nil
}
