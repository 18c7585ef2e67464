package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"example.com/scaleout/load/profile"
	"example.com/scaleout/load/stack"
)

// options is the command line.
type options struct {
	stack, profileName, points string
	speed, scale               float64
	maxTime                    time.Duration
	maxRate                    float64
	goal, timeout              time.Duration
	url, host, hpa, context    string
	force                      bool
	name, out, from, baseline  string

	profile profile.Profile
}

// Bounds of a load that nobody has thought about: the longest of the named profiles and some time more, and what a
// machine of two cores can send beside what it runs (docs/reliability.md).
const (
	defaultMaxTime = 20 * time.Minute
	defaultMaxRate = 1000
)

// parseOptions reads the command line. Its error lists all that is wrong.
func parseOptions(args []string, getenv func(string) string, errOut io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	f.SetOutput(errOut)
	f.StringVar(&o.stack, "stack", cmp.Or(getenv("STACK"), "dev"), "stack whose app gets the load")
	f.StringVar(&o.profileName, "profile", "step", "how the rate goes: "+profileNames())
	f.StringVar(&o.points, "points", "", "a profile of your own: time:rate, ..., such as 0s:10,30s:10,30s:200,3m:200")
	f.Float64Var(&o.speed, "speed", 1, "divide the profile's times by this")
	f.Float64Var(&o.scale, "scale", 1, "multiply the profile's rates by this")
	f.DurationVar(&o.maxTime, "max-time", defaultMaxTime, "refuse a profile that lasts longer")
	f.Float64Var(&o.maxRate, "max-rate", defaultMaxRate, "refuse a profile with more requests per second")
	f.DurationVar(&o.goal, "goal", 150*time.Millisecond, "95th percentile of the latency that is still good")
	f.DurationVar(&o.timeout, "timeout", 5*time.Second, "how long a request waits for its answer")
	f.StringVar(&o.url, "url", "", "get this instead of the stack's URL; needs -force")
	f.StringVar(&o.host, "host", "", "ask for this host instead of the one in the URL; needs -force")
	f.StringVar(&o.hpa, "hpa", "", "follow this autoscaler (NAMESPACE/NAME) instead of the stack's, which is not followed with -url or -host; needs -force")
	f.StringVar(&o.context, "context", "", "kubeconfig context of the cluster; required for a stack that is not on kind")
	f.BoolVar(&o.force, "force", false, "allow a target that is not the stack's")
	f.StringVar(&o.name, "name", "", "what the report calls this run (default: the profile)")
	f.StringVar(&o.out, "out", "", "folder for the report (default: reports/TIME-NAME)")
	f.StringVar(&o.from, "from", "", "no load: report again on the run in this file")
	f.StringVar(&o.baseline, "baseline", "", "compare with the run in this file")
	f.Usage = func() {
		_, _ = fmt.Fprint(errOut, "usage: make load LOAD=\"[flags]\"\n\nSends requests to a running stack and reports how it scaled.\n\n")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var problems []error
	if f.NArg() > 0 {
		problems = append(problems, fmt.Errorf("%q is not a flag; see -h", f.Arg(0)))
	}
	return o, errors.Join(append(problems, o.check(given)...)...)
}

func profileNames() string {
	var names []string
	for _, n := range profile.Names() {
		names = append(names, n[0]+" ("+n[1]+")")
	}
	return strings.Join(names, "; ")
}

// check finds all that is wrong with the options, and the profile.
func (o *options) check(given map[string]bool) (problems []error) {
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if o.goal <= 0 || o.timeout <= 0 {
		problem("-goal %s and -timeout %s must be above 0s", o.goal, o.timeout)
	}
	if o.from != "" {
		return problems // the profile is that of the run
	}
	if given["points"] && given["profile"] {
		problem("-points and -profile are two profiles; give one")
	}
	for _, name := range []string{"url", "host", "hpa"} {
		if given[name] && !o.force {
			problem("-%s sends load to, or looks at, something else than the stack; add -force if you may do that", name)
		}
	}
	if u, err := url.Parse(o.url); o.url != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		problem("-url %q is not an http or https URL", o.url)
	}
	if namespace, name, found := strings.Cut(o.hpa, "/"); o.hpa != "" && (!found || namespace == "" || name == "") {
		problem("-hpa %q is not NAMESPACE/NAME", o.hpa)
	}
	if err := o.choose(); err != nil {
		return append(problems, err)
	}
	if d := o.profile.Duration(); d > o.maxTime {
		problem("the profile lasts %s, -max-time is %s; -speed makes it shorter", d, o.maxTime)
	}
	if peak := o.profile.Peak(); peak > o.maxRate {
		problem("the profile has up to %g requests a second, -max-rate is %g; -scale makes it smaller", peak, o.maxRate)
	}
	return problems
}

// elsewhere tells whether the load goes to something else than the stack's app.
func (o *options) elsewhere() bool { return o.url != "" || o.host != "" }

// aim is where the load goes, and which autoscaler is followed: not the stack's for a load that is not on its app.
func (o *options) aim(s *stack.Outputs) (url string, namespace, hpa string, err error) {
	url = cmp.Or(o.url, s.URL)
	if o.hpa != "" {
		namespace, hpa, _ = strings.Cut(o.hpa, "/")
	} else if !o.elsewhere() {
		namespace, hpa = s.Namespace, s.HPA
	}
	if hpa != "" && namespace == "" {
		err = errors.New("the stack has the output `hpa` but not `namespace`")
	}
	return url, namespace, hpa, err
}

// choose makes the profile of the options.
func (o *options) choose() error {
	var p profile.Profile
	var err error
	if o.points != "" {
		if p, err = profile.Parse(o.points); err != nil {
			return fmt.Errorf("-points: %w", err)
		}
	} else if p, err = profile.Named(o.profileName); err != nil {
		return fmt.Errorf("-profile: %w", err)
	}
	if o.profile, err = p.Scaled(o.speed, o.scale); err != nil {
		return fmt.Errorf("-speed %g, -scale %g: %w", o.speed, o.scale, err)
	}
	if o.name == "" {
		o.name = p.Name
	}
	return nil
}
