package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// settings are the flags and the image.
type settings struct {
	image, redisImage  string
	port, user, memory string
	writable           []string // directories
	path               string   // of the requests
	slow               string   // path of the request under way at SIGTERM; empty: path, with Redis paused
	live, ready        string   // paths of the probes; empty: none
	start, grace       time.Duration
	counter            *regexp.Regexp
	env, files         map[string]string // by name and by path; values may have placeholders
	bad                []string          // NAME=VALUE
}

// Forms of values. Docker itself says what is wrong with the name of an image; one with a leading - would be a flag.
const (
	imageForm    = `^[^-]`
	imageWanted  = "an image such as registry/name:tag"
	pathForm     = `^/([^/\s]\S*)?$`
	pathWanted   = "a path such as /healthz"
	envForm      = `^[A-Za-z_][A-Za-z0-9_.-]*=[^\r\n\x00]*$`
	envWanted    = "NAME=VALUE, with a value of one line"
	fileWanted   = "PATH=VALUE with a path such as /run/secrets/redis: its directory hides what the image has there"
	placeholders = "{redis.host}, {redis.port}, {redis.password}"
)

var placeholder = regexp.MustCompile(`\{redis\.[^}]*\}`)

// parseSettings reads the command line. Its error lists everything that is wrong with it. For -help it prints to help.
func parseSettings(args []string, help io.Writer) (*settings, error) {
	s := &settings{env: map[string]string{}, files: map[string]string{}}
	var problems []error
	check := func(what, form, wanted, value string, set func(string) error) {
		err := error(nil)
		if regexp.MustCompile(form).MatchString(value) {
			err = set(value)
		} else {
			err = errors.New("want " + wanted)
		}
		for _, p := range placeholder.FindAllString(value, -1) {
			if !strings.Contains(placeholders, p) {
				err = fmt.Errorf("no placeholder %s, there are %s", p, placeholders)
			}
		}
		if err != nil {
			shown, _, _ := strings.Cut(value, "=") // what follows may be a password
			problems = append(problems, fmt.Errorf("%s %q: %w", what, shown, err))
		}
	}
	flags := flag.NewFlagSet("contract", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	add := func(name, fallback, form, wanted, usage string, set func(string) error) {
		if fallback != "" {
			_ = set(fallback)
			usage += " (default " + fallback + ")"
		}
		flags.Func(name, usage, func(value string) error {
			check("-"+name, form, wanted, value, set)
			return nil
		})
	}
	// Where the component WebApp decides the same, the default is its value.
	add("port", "5000", `^[1-9][0-9]{0,4}$`, "a number from 1 to 65535", "`port` that the app listens on for HTTP",
		into(&s.port))
	add("user", "65532", `^[1-9][0-9]{0,9}$`, "a number that is not 0", "`number` of the user and group that it runs as",
		into(&s.user))
	add("memory", "256m", `^[1-9][0-9]*[bkmgBKMG]?$`, "a number with k, m or g",
		"`memory` that it may use, in Docker's form", into(&s.memory))
	add("writable", "", `^(/[^/:,]+)+$`, "the absolute path of a directory, without : or a comma",
		"`directory` that it may write to, in memory; repeatable", onto(&s.writable))
	add("env", "", envForm, envWanted, "`variable` of the app, NAME=VALUE; {redis.host}, {redis.port} and {redis.password}\n"+
		"stand for those of a Redis that is then started beside it; repeatable", pair(s.env))
	add("file", "", `^(/[^/:,=]+){3,}=`, fileWanted, "`file` in the app, PATH=VALUE, with the same placeholders, mounted as a "+
		"Secret is:\nits directory has nothing else in it; repeatable", pair(s.files))
	add("redis", "docker.io/library/redis:8.2.3-alpine", imageForm, imageWanted,
		"`image` of that Redis, with sh and redis-server", into(&s.redisImage))
	add("path", "/", pathForm, pathWanted, "`path` of the requests", into(&s.path))
	add("slow", "", pathForm, pathWanted, "`path` of the request that is under way at SIGTERM. It must take longer than Docker "+
		"to send that,\ntwo seconds say. Without it, one to -path with Redis paused", into(&s.slow))
	add("live", "/healthz", pathForm+"|^$", pathWanted, "`path` of the liveness probe; empty for none", into(&s.live))
	add("ready", "/readyz", pathForm+"|^$", pathWanted, "`path` of the readiness probe; empty for none", into(&s.ready))
	add("start", "30s", "", "", "`time` that the app may take to start, and to notice its Redis", duration(&s.start))
	add("grace", "20s", "", "", "`time` from SIGTERM to the end of the process", duration(&s.grace))
	add("counter", "", "", "", "regular `expression` with one group: a number in the answer to -path that has to rise over\n"+
		"both instances", func(value string) (err error) {
		if s.counter, err = regexp.Compile(value); err == nil && s.counter.NumSubexp() != 1 {
			err = errors.New(`want one group, for the number: seen\s([0-9]+)\stimes`)
		}
		return err
	})
	add("bad", "", envForm, envWanted, "wrong `setting`, NAME=VALUE, with which the app has to refuse to start, naming it; "+
		"repeatable", onto(&s.bad))

	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		_, _ = fmt.Fprint(help, "Checks a container image against what scaling out asks of an app: docs/contract.md.\n\n"+
			"usage: contract [flags] IMAGE\n\n")
		flags.SetOutput(help)
		flags.PrintDefaults()
		_, _ = fmt.Fprint(help, "\nExit codes: 0 no point failed, 1 some failed, 2 wrong flags or no usable Docker.\n")
		return nil, err
	case err != nil: // an unknown flag: what follows may be its value, so nothing else can be said
		problems = append(problems, fmt.Errorf("%w (-help lists the flags)", err))
	case flags.NArg() > 1:
		problems = append(problems, errors.New("more than one image: name one, after the flags"))
	default:
		check("IMAGE, after the flags,", imageForm, imageWanted, flags.Arg(0), into(&s.image))
	}
	return s, errors.Join(problems...)
}

// uses tells whether the app is told of a Redis, if part is the beginning of a placeholder.
func (s *settings) uses(part string) bool {
	values := slices.AppendSeq(slices.Collect(maps.Values(s.env)), maps.Values(s.files))
	return slices.ContainsFunc(values, func(value string) bool { return strings.Contains(value, part) })
}

// Each of the following makes a function that stores the value of a flag.

func into(to *string) func(string) error {
	return func(value string) error { *to = value; return nil }
}

func onto(to *[]string) func(string) error {
	return func(value string) error { *to = append(*to, value); return nil }
}

func pair(to map[string]string) func(string) error {
	return func(assignment string) error {
		name, value, _ := strings.Cut(assignment, "=")
		to[name] = value
		return nil
	}
}

// duration bounds times, because those of a pod are far below ten minutes: longer ones are typing errors.
func duration(to *time.Duration) func(string) error {
	return func(value string) (err error) {
		if *to, err = time.ParseDuration(value); err != nil || *to < time.Second || *to > 10*time.Minute {
			return errors.New("want a duration such as 1500ms or 5s, from 1s to 10m")
		}
		return nil
	}
}
