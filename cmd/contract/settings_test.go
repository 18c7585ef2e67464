package main

import (
	"bytes"
	"errors"
	"flag"
	"strings"
	"testing"
)

// One message has everything that is wrong, and no value that may be a password.
func TestSettingsProblems(t *testing.T) {
	_, err := parseSettings([]string{
		"-port", "0", "-user", "0", "-memory", "much", "-writable", "tmp", "-env", "1=hunter2", "-env", "A={redis.hots}",
		"-file", "/etc/password=hunter2", "-redis=", "-path", "about", "-slow=", "-live", "healthz", "-start", "0s",
		"-grace", "1h", "-counter", "([0-9", "-counter", "[0-9]+", "-bad", "NAME", "-env", "B=hunter2\nC=1", "one", "two",
	})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, part := range []string{
		`-port "0"`, `-user "0"`, `-memory "much"`, `-writable "tmp"`, `-env "1"`, "no placeholder {redis.hots}",
		`-file "/etc/password"`, `-redis ""`, `-path "about"`, `-slow ""`, `-live "healthz"`, `-start "0s"`, `-grace "1h"`,
		`-counter "([0-9"`, "one group", `-bad "NAME"`, "one line", "more than one image",
	} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("want %q in the message:\n%v", part, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a value is in the message:\n%v", err)
	}
}

func TestSettings(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string // part of the error, empty for none
	}{
		{[]string{"-live=", "-ready=", "app:1"}, ""},
		{[]string{"-writable", "/tmp", "-writable", "/var/run", "-env", "A=b=c", "-env", "EMPTY=", "app:1"}, ""},
		{nil, "IMAGE"},
		{[]string{""}, "IMAGE"},
		{[]string{"--", "-privileged"}, "IMAGE"},
		{[]string{"-nonsense", "app:1"}, "-nonsense"},
		{[]string{"-env", "PORT=1", "-bad", "PORT=1", "app:1"}, "-bad PORT"},
	} {
		_, err := parseSettings(test.args)
		if got := errorText(err); test.want == "" && got != "" || !strings.Contains(got, test.want) {
			t.Errorf("%q: got %q, want %q in it", test.args, got, test.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Redis is there if the app is told of it, and has a password if the app is told of that.
func TestUsesRedis(t *testing.T) {
	for _, test := range []struct {
		args            []string
		redis, password bool
	}{
		{[]string{"-env", "A=b", "app"}, false, false},
		{[]string{"-env", "A={redis.host}:{redis.port}", "app"}, true, false},
		{[]string{"-file", "/run/secrets/redis={redis.password}", "app"}, true, true},
	} {
		s, err := parseSettings(test.args)
		if err != nil {
			t.Fatal(err)
		}
		if s.usesRedis() != test.redis || s.usesPassword() != test.password {
			t.Errorf("%q: got %t, %t, want %t, %t", test.args, s.usesRedis(), s.usesPassword(), test.redis, test.password)
		}
	}
}

// The help has every flag, with the default that the program has.
func TestUsage(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, nil, &out, &errOut); code != exitPassed || errOut.Len() > 0 {
		t.Errorf("got exit code %d and %q", code, &errOut)
	}
	if _, err := parseSettings([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want help", err)
	}
	byDefault := defaults()
	for _, o := range byDefault.options() {
		if !strings.Contains(out.String(), "\n  -"+o.name+" "+o.value+"\n") {
			t.Errorf("the help lacks -%s %s", o.name, o.value)
		}
		if strings.ContainsAny(o.value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") { // stands for a value, as in NAME=VALUE
			continue
		}
		if err := o.set(o.value); err != nil {
			t.Errorf("-%s: its default %s: %v", o.name, o.value, err)
		}
	}
	if got, want := *byDefault, *defaults(); got.port != want.port || got.user != want.user || got.memory != want.memory ||
		got.path != want.path || got.live != want.live || got.ready != want.ready || got.start != want.start ||
		got.drain != want.drain || got.settle != want.settle || got.grace != want.grace || got.redis != want.redis {
		t.Errorf("got %+v from the help, want %+v", got, want)
	}
}
