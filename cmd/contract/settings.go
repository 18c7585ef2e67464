package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are the flags and the image. Where the component WebApp decides the same, the default is its value.
type settings struct {
	image      string
	port, user int
	memory     string   // in Docker's form, e.g. 256m
	writable   []string // directories
	path       string   // of the requests
	slow       string   // path of the request under way at SIGTERM; empty: path, with Redis paused
	live       string   // empty: a connection is enough, as in a TCP probe
	ready      string   // empty: no readiness
	start      time.Duration
	drain      time.Duration // requests before SIGTERM
	settle     time.Duration // requests after SIGTERM, on kept connections
	grace      time.Duration // from SIGTERM to the end; components/kube/drain.go leaves 16 s of it (D = 5) or 20 s (D = 25)
	counter    *regexp.Regexp
	same       string            // path; empty: none
	redis      string            // image
	env, files map[string]string // by name and by path; values may have placeholders
	bad        []assignment
}

// assignment is NAME=VALUE.
type assignment struct{ name, value string }

// option is a flag. The same table drives the parser and -help, so the two cannot disagree: what -help says of it, and
// what takes its value.
type option struct {
	name, value, usage string
	set                func(string) error
}

// maxTime bounds the flags that are a time. Those of a pod are far below, so more is a typing error.
const maxTime = 10 * time.Minute

func defaults() *settings {
	return &settings{
		port: 5000, user: 65532, memory: "256m", path: "/", live: "/healthz", ready: "/readyz",
		start: 30 * time.Second, drain: 5 * time.Second, settle: time.Second, grace: 20 * time.Second,
		redis: "docker.io/library/redis:8.2.3-alpine", env: map[string]string{}, files: map[string]string{},
	}
}

func (s *settings) options() []option {
	return []option{
		{"port", "5000", "port that the app listens on for HTTP", number(&s.port, 65535)},
		{"user", "65532", "user and group that it runs as", number(&s.user, 1<<31-1)},
		{"memory", "256m", "memory that it may use, in Docker's form", s.setMemory},
		{"writable", "DIR", "directory that it may write to, in memory; repeatable", s.setWritable},
		{"env", "NAME=VALUE", "variable of the app; {redis.host}, {redis.port} and {redis.password} stand for those of a\n" +
			"Redis that is then started beside it; repeatable", s.setEnv},
		{"file", "PATH=VALUE", "file in the app, with the same placeholders, mounted as a Secret is: its directory has\n" +
			"nothing else in it; repeatable", s.setFile},
		{"redis", s.redis, "image of that Redis, with a redis-server in it", asImage(&s.redis)},
		{"path", "/", "path of the requests", asPath(&s.path, false)},
		{"slow", "PATH", "path of the request that is under way at SIGTERM. It must take longer than Docker to send that,\n" +
			"two seconds say. Without it, one to -path with Redis paused", asPath(&s.slow, false)},
		{"live", "/healthz", "path of the liveness probe; empty for a TCP probe", asPath(&s.live, true)},
		{"ready", "/readyz", "path of the readiness probe; empty for none", asPath(&s.ready, true)},
		{"start", "30s", "time that the app may take to start, and to notice its Redis", duration(&s.start, time.Second)},
		{"drain", "5s", "time that a load balancer takes to notice that an instance leaves: the instance gets requests\n" +
			"for as long before SIGTERM", duration(&s.drain, 0)},
		{"settle", "1s", "time after SIGTERM in which open connections may still bring requests", duration(&s.settle, 0)},
		{"grace", "20s", "time from SIGTERM to the end of the process", duration(&s.grace, time.Second)},
		{"counter", "REGEXP", "with one group: a number in the answer to -path that has to rise over both instances",
			s.setCounter},
		{"same", "PATH", "path that has to have the same answer from both instances", asPath(&s.same, false)},
		{"bad", "NAME=VALUE", "wrong setting with which the app has to refuse to start, naming it; repeatable", s.setBad},
	}
}

// parseSettings reads the command line. Its error lists everything that is wrong with it.
func parseSettings(args []string) (*settings, error) {
	s := defaults()
	var problems []error
	flags := flag.NewFlagSet("contract", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, o := range s.options() {
		flags.Func(o.name, "", func(value string) error {
			if err := o.set(value); err != nil {
				name, _, _ := strings.Cut(value, "=") // what follows may be a password
				problems = append(problems, fmt.Errorf("-%s %q: %w", o.name, name, err))
			}
			return nil
		})
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil { // an unknown flag: what follows may be its value, so nothing else can be said
		return nil, errors.Join(append(problems, fmt.Errorf("%w (-help lists the flags)", err))...)
	}
	if flags.NArg() > 1 {
		problems = append(problems, errors.New("more than one image: name one, after the flags"))
	} else if err := asImage(&s.image)(flags.Arg(0)); err != nil {
		problems = append(problems, fmt.Errorf("IMAGE %q, after the flags: %w", flags.Arg(0), err))
	}
	for _, b := range s.bad {
		if s.env[b.name] == b.value {
			problems = append(problems, fmt.Errorf("-bad %s: has the value of -env, which cannot be wrong", b.name))
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return s, nil
}

// printUsage prints what -help shows.
func printUsage(w io.Writer) {
	_, _ = fmt.Fprint(w, "Checks a container image against what scaling out asks of an app: docs/contract.md.\n\n"+
		"usage: contract [flags] IMAGE\n\n")
	for _, o := range defaults().options() {
		_, _ = fmt.Fprintf(w, "  -%s %s\n        %s\n", o.name, o.value, strings.ReplaceAll(o.usage, "\n", "\n        "))
	}
	_, _ = fmt.Fprint(w, "\nExit codes: 0 no point failed, 1 some failed, 2 wrong flags or no usable Docker.\n")
}

// usesRedis tells whether the app is told of a Redis.
func (s *settings) usesRedis() bool {
	values := slices.AppendSeq(slices.Collect(maps.Values(s.env)), maps.Values(s.files))
	return slices.ContainsFunc(values, placeholder.MatchString)
}

// usesPassword tells whether that Redis has a password.
func (s *settings) usesPassword() bool {
	values := slices.AppendSeq(slices.Collect(maps.Values(s.env)), maps.Values(s.files))
	return slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, "{redis.password}") })
}

// Forms of values. A variable's name may have what Docker lets it have, of which shells take less.
var (
	placeholder  = regexp.MustCompile(`\{redis\.[^}]*\}`)
	placeholders = []string{"{redis.host}", "{redis.port}", "{redis.password}"}
	variableForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)
	memoryForm   = regexp.MustCompile(`^[1-9][0-9]*[bkmgBKMG]?$`)
)

// Each of the following takes the value of a flag, and returns an error that says which form it wants.

func number(to *int, highest int) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 || n > highest {
			return fmt.Errorf("want a number from 1 to %d", highest)
		}
		*to = n
		return nil
	}
}

func duration(to *time.Duration, low time.Duration) func(string) error {
	return func(value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d < low || d > maxTime {
			return fmt.Errorf("want a duration such as 1500ms or 5s, from %v to %v", low, maxTime)
		}
		*to = d
		return nil
	}
}

func asPath(to *string, mayBeEmpty bool) func(string) error {
	return func(value string) error {
		u, err := url.ParseRequestURI(value)
		switch {
		case value == "" && mayBeEmpty:
		case err != nil || u.Host != "" || !strings.HasPrefix(value, "/"):
			return errors.New("want a path such as /healthz")
		}
		*to = value
		return nil
	}
}

// asImage leaves all but the worst to Docker, which says what is wrong with a name. A leading - would make it a flag.
func asImage(to *string) func(string) error {
	return func(value string) error {
		if value == "" || strings.HasPrefix(value, "-") {
			return errors.New("want an image such as registry/name:tag")
		}
		*to = value
		return nil
	}
}

func (s *settings) setMemory(value string) error {
	if !memoryForm.MatchString(value) {
		return errors.New("want a number with k, m or g")
	}
	s.memory = value
	return nil
}

func (s *settings) setWritable(value string) error {
	if !path.IsAbs(value) || path.Clean(value) != value || value == "/" || strings.ContainsAny(value, ":,") {
		return errors.New("want the absolute path of a directory, without : or a comma")
	}
	s.writable = append(s.writable, value)
	return nil
}

func (s *settings) setEnv(value string) error {
	a, err := parseAssignment(value)
	if err == nil {
		s.env[a.name] = a.value
	}
	return err
}

// setFile wants a directory below another one, because the directory is mounted and hides what the image has there.
func (s *settings) setFile(value string) error {
	file, content, found := strings.Cut(value, "=")
	if !found || !path.IsAbs(file) || path.Clean(file) != file || path.Dir(path.Dir(file)) == "/" ||
		strings.ContainsAny(file, ":,") {
		return errors.New("want PATH=VALUE with a path such as /run/secrets/redis: its directory is mounted, so that it " +
			"hides what the image has there")
	}
	s.files[file] = content
	return knownPlaceholders(content)
}

func (s *settings) setBad(value string) error {
	a, err := parseAssignment(value)
	if err == nil {
		s.bad = append(s.bad, a)
	}
	return err
}

func (s *settings) setCounter(value string) error {
	expression, err := regexp.Compile(value)
	if err != nil {
		return err
	}
	if expression.NumSubexp() != 1 {
		return errors.New(`want a regular expression with one group, for the number: seen\s([0-9]+)\stimes`)
	}
	s.counter = expression
	return nil
}

func parseAssignment(value string) (assignment, error) {
	name, content, found := strings.Cut(value, "=")
	switch {
	case !found || !variableForm.MatchString(name):
		return assignment{}, errors.New("want NAME=VALUE")
	case strings.ContainsAny(content, "\r\n\x00"):
		return assignment{}, errors.New("want a value of one line")
	}
	return assignment{name, content}, knownPlaceholders(content)
}

func knownPlaceholders(value string) error {
	for _, p := range placeholder.FindAllString(value, -1) {
		if !slices.Contains(placeholders, p) {
			return fmt.Errorf("no placeholder %s, there are %s", p, strings.Join(placeholders, ", "))
		}
	}
	return nil
}
