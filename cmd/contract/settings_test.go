package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

// TestSettingsProblems: one message lists all problems, without values that may be passwords.
func TestSettingsProblems(t *testing.T) {
	_, err := parseSettings([]string{
		"-port", "0", "-user", "0", "-memory", "much", "-writable", "tmp", "-env", "1=hunter2", "-env", "A={redis.hots}",
		"-file", "/etc/password=hunter2", "-redis=", "-path", "about", "-slow=", "-live", "healthz", "-start", "0s",
		"-grace", "1h", "-counter", "([0-9", "-counter", "[0-9]+", "-bad", "NAME", "-env", "B=hunter2\nC=1", "one", "two",
	}, io.Discard)
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
		{[]string{"-port", "1", "-port", "65535", "app:1"}, ""},
		{[]string{"-port", "65536", "app:1"}, `-port "65536": want a number from 1 to 65535`},
		{[]string{"-port", "-1", "app:1"}, `-port "-1"`},
		{nil, "IMAGE"},
		{[]string{""}, "IMAGE"},
		{[]string{"--", "-privileged"}, "IMAGE"},
		{[]string{"-nonsense", "app:1"}, "-nonsense"},
	} {
		_, err := parseSettings(test.args, io.Discard)
		if got := fmt.Sprint(err); test.want == "" && err != nil || test.want != "" && !strings.Contains(got, test.want) {
			t.Errorf("%q: got %q, want %q in it", test.args, got, test.want)
		}
	}
}

// TestUsesRedis: Redis is started if the app's settings refer to it, and has a password if they refer to the
// password.
func TestUsesRedis(t *testing.T) {
	for _, test := range []struct {
		args            []string
		redis, password bool
	}{
		{[]string{"-env", "A=b", "app"}, false, false},
		{[]string{"-env", "A={redis.host}:{redis.port}", "app"}, true, false},
		{[]string{"-file", "/run/secrets/redis={redis.password}", "app"}, true, true},
	} {
		s, err := parseSettings(test.args, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if s.uses("{redis.") != test.redis || s.uses("{redis.password}") != test.password {
			t.Errorf("%q: want Redis %t, password %t", test.args, test.redis, test.password)
		}
	}
}

// TestUsage: the help lists every flag with the default that the program uses.
func TestUsage(t *testing.T) {
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"-help"}, nil, &out, &errOut); code != exitPassed || errOut.Len() > 0 {
		t.Errorf("got exit code %d and %q", code, &errOut)
	}
	for _, part := range []string{"  -port port\n", "(default 5000)", "  -env variable\n", "  -bad setting\n", "codes"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("the help lacks %q:\n%s", part, &out)
		}
	}
	s, err := parseSettings([]string{"app:1"}, io.Discard)
	if err != nil || s.port != 5000 || s.live != "/healthz" || s.grace != 20*time.Second {
		t.Errorf("got %+v, %v, want the defaults", s, err)
	}
}
