package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings holds the flags and the image.
type settings struct {
	image, redisImage string
	port              uint16
	user, memory      string
	writable          []string // directories
	path              string   // of the requests
	slow              string   // path of the request in flight at SIGTERM; empty: path, with Redis paused
	live, ready       string   // paths of the probes; empty: none
	start, grace      time.Duration
	counter           *regexp.Regexp
	env, files        map[string]string // by name and by path; values may have placeholders
	bad               []string          // NAME=VALUE

	flags    *flag.FlagSet
	problems []error // of the command line
}

// form is the pattern that a value must match, and its description for messages.
type form struct{ pattern, wanted string }

var (
	envForm     = form{`^[A-Za-z_][A-Za-z0-9_.-]*=[^\r\n\x00]*$`, "NAME=VALUE, with a value of one line"}
	imageForm   = form{`^[^-]`, "an image such as registry/name:tag"} // Docker reports other errors; -x would be a flag
	pathForm    = form{`^/([^/\s]\S*)?$`, "a path such as /about"}
	probeForm   = form{pathForm.pattern + "|^$", "a path such as /healthz, or nothing"}
	ownForm     = form{} // store validates the value
	placeholder = regexp.MustCompile(`\{redis\.[^}]*\}`)
)

const placeholders = "{redis.host}, {redis.port}, {redis.password}"

// store stores a value. It validates those without a form of their own. A pod's times are far below ten minutes.
func store(value string, to any) (err error) {
	switch to := to.(type) {
	case *string:
		*to = value
	case *uint16:
		n, err := strconv.ParseUint(value, 10, 16)
		if *to = uint16(n); err != nil || n == 0 {
			return errors.New("want a number from 1 to 65535")
		}
	case *[]string:
		*to = append(*to, value)
	case map[string]string:
		name, assigned, _ := strings.Cut(value, "=")
		to[name] = assigned
	case *time.Duration:
		if *to, err = time.ParseDuration(value); err != nil || *to < time.Second || *to > 10*time.Minute {
			return errors.New("want a duration such as 1500ms or 5s, from 1s to 10m")
		}
	case **regexp.Regexp:
		if *to, err = regexp.Compile(value); err == nil && (*to).NumSubexp() != 1 {
			return errors.New(`want one group, for the number: seen\s([0-9]+)\stimes`)
		}
	}
	return err
}

// check validates a value and stores it.
func (s *settings) check(what, value string, f form, to any) {
	err := errors.New("want " + f.wanted)
	if regexp.MustCompile(f.pattern).MatchString(value) {
		err = store(value, to)
	}
	for _, p := range placeholder.FindAllString(value, -1) {
		if !strings.Contains(placeholders, p) {
			err = fmt.Errorf("no placeholder %s; the placeholders are %s", p, placeholders)
		}
	}
	if err != nil {
		shown, _, _ := strings.Cut(value, "=") // what follows may be a password
		s.problems = append(s.problems, fmt.Errorf("%s %q: %w", what, shown, err))
	}
}

// add declares a flag. Its value is always accepted, so that all problems are collected.
func (s *settings) add(name, fallback string, f form, to any, usage string) {
	if fallback != "" {
		_ = store(fallback, to)
		usage += " (default " + fallback + ")"
	}
	s.flags.Func(name, usage, func(value string) error {
		s.check("-"+name, value, f, to)
		return nil
	})
}

// declare declares the flags. The defaults are those of the component WebApp where it has the same setting.
func (s *settings) declare() {
	s.add("port", "5000", ownForm, &s.port, "`port` that the app listens on for HTTP")
	s.add("user", "65532", form{`^[1-9][0-9]{0,9}$`, "a number that is not 0"}, &s.user,
		"`number` of the user and group that it runs as")
	s.add("memory", "256m", form{`^[1-9][0-9]*[bkmgBKMG]?$`, "a number with k, m or g"}, &s.memory,
		"`memory` that it may use, in Docker's form")
	s.add("writable", "", form{`^(/[^/:,]+)+$`, "the absolute path of a directory, without : or a comma"},
		&s.writable, "`directory` that it may write to, in memory; repeatable")
	s.add("env", "", envForm, s.env, "`variable` of the app, NAME=VALUE; "+placeholders+"\n"+
		"refer to a Redis that is then started next to it; repeatable")
	s.add("file", "", form{`^(/[^/:,=]+){3,}=`, "PATH=VALUE with a path such as /run/secrets/redis: its directory is " +
		"mounted and hides the image's files there"}, s.files, "`file` in the app, PATH=VALUE, with the same "+
		"placeholders, mounted like a\nSecret: its directory contains nothing else; repeatable")
	s.add("redis", "docker.io/library/redis:8.2.3-alpine", imageForm, &s.redisImage, "`image` of that Redis, with sh")
	s.add("path", "/", pathForm, &s.path, "`path` of the requests")
	s.add("slow", "", pathForm, &s.slow, "`path` of the request in flight at SIGTERM, which must take longer than\n"+
		"Docker takes to send the signal, e.g. two seconds. Without it, a request to -path with Redis paused")
	s.add("live", "/healthz", probeForm, &s.live, "`path` of the liveness probe; empty for none")
	s.add("ready", "/readyz", probeForm, &s.ready, "`path` of the readiness probe; empty for none")
	s.add("start", "30s", ownForm, &s.start, "`time` that the app may take to start, and to reach its Redis")
	s.add("grace", "20s", ownForm, &s.grace, "`time` from SIGTERM to the end of the process")
	s.add("counter", "", ownForm, &s.counter,
		"regular `expression` with one group: a number in the answer to -path that must rise across both instances")
	s.add("bad", "", envForm, &s.bad, "invalid `setting`, NAME=VALUE, with which the app must refuse to start,\n"+
		"naming it; repeatable")
}

// parseSettings reads the command line. Its error lists all problems. For -help it prints to help.
func parseSettings(args []string, help io.Writer) (*settings, error) {
	s := &settings{env: map[string]string{}, files: map[string]string{},
		flags: flag.NewFlagSet("contract", flag.ContinueOnError)}
	s.flags.SetOutput(io.Discard)
	s.declare()
	err := s.flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(help, "Checks a container image against the requirements of scaling out: docs/contract.md.\n\n"+
			"usage: contract [flags] IMAGE\n\n")
		s.flags.SetOutput(help)
		s.flags.PrintDefaults()
		_, _ = fmt.Fprint(help, "\nExit codes: 0 no check failed, 1 some failed, 2 wrong flags or no usable Docker.\n")
		return nil, err
	case err != nil: // an unknown flag: what follows may be its value, so nothing else can be checked
		s.problems = append(s.problems, fmt.Errorf("%w (-help lists the flags)", err))
	case s.flags.NArg() > 1:
		s.problems = append(s.problems, errors.New("more than one image: name one, after the flags"))
	default:
		s.check("IMAGE, after the flags,", s.flags.Arg(0), imageForm, &s.image)
	}
	return s, errors.Join(s.problems...)
}

// uses reports whether the app's settings contain part, the beginning of a placeholder.
func (s *settings) uses(part string) bool {
	values := slices.AppendSeq(slices.Collect(maps.Values(s.env)), maps.Values(s.files))
	return slices.ContainsFunc(values, func(value string) bool { return strings.Contains(value, part) })
}
