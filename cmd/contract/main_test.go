package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// TestMain raises the number of parallel tests, because the tests of this package wait rather than compute.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "32"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// quick are flags with short limits, for an app that starts and stops at once.
var quick = []string{"-start", "1s", "-grace", "2s"}

// withRedis are flags for an app with a Redis.
var withRedis = []string{"-env", "HOST={redis.host}", "-env", "PASSWORD_FILE=/run/secrets/redis",
	"-file", "/run/secrets/app/redis={redis.password}", "-counter", `seen ([0-9]+) times`, "-bad", "PORT=none"}

// result is the outcome of a run.
type result struct {
	code        int
	out, errOut string
}

func runFake(ctx context.Context, f *fakeDocker, args ...string) result {
	var out, errOut bytes.Buffer
	code := run(ctx, append(append(append([]string{}, quick...), args...), "app:1"), f.run, &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

var lineForm = regexp.MustCompile(`(?m)^(PASS|FAIL|SKIP)  (.{` + fmt.Sprint(nameWidth) + `})  .*$`)

// verdicts returns the lines of a report by check.
func (r result) verdicts() map[string]string {
	lines := map[string]string{}
	for _, match := range lineForm.FindAllStringSubmatch(r.out, -1) {
		lines[strings.TrimSpace(match[2])] = match[0]
	}
	return lines
}

// want checks that all checks but others pass; others has parts of the lines of the other checks.
func (r result) want(t *testing.T, code int, others map[string]string) {
	t.Helper()
	lines := r.verdicts()
	checks := 11
	if strings.HasPrefix(others[checkStarts], "FAIL") {
		checks = 1
	}
	if len(lines) != checks || r.code != code {
		t.Errorf("got %d checks and exit code %d, want %d and %d", len(lines), r.code, checks, code)
	}
	for name, line := range lines {
		want := others[name]
		if want == "" {
			want = pass
		}
		for part := range strings.SplitSeq(want, "|") {
			if !strings.Contains(line, part) {
				t.Errorf("got %q, want %q in it", line, part)
			}
		}
	}
	if t.Failed() {
		t.Logf("%s%s", r.out, r.errOut)
	}
}

// TestRightApp: a correct app passes every check. Nothing is left behind, everything had the label of the run, and
// the password was in no argument.
func TestRightApp(t *testing.T) {
	t.Parallel()
	f := newFakeDocker(t, fakeApp{})
	r := runFake(t.Context(), f, withRedis...)
	r.want(t, exitPassed, nil)
	if !strings.HasSuffix(r.out, "\n11 PASS, 0 FAIL, 0 SKIP\n") {
		t.Errorf("got %q, want the numbers at the end", r.out)
	}
	if len(f.containers) > 0 || f.network {
		t.Errorf("left behind: %v, network %t", f.containers, f.network)
	}
	var mark string
	for _, c := range f.commands {
		if strings.Contains(c, "create ") {
			_, after, _ := strings.Cut(c, "--label ")
			this, _, _ := strings.Cut(after, " ")
			if !strings.HasPrefix(this, label+"=") || mark != "" && this != mark {
				t.Errorf("got %q, want the label %q", c, mark)
			}
			mark = this
		}
	}
	_, password, _ := strings.Cut(f.stdin, "PASSWORD=")
	password, _, _ = strings.Cut(password, "\n")
	if len(password) < 20 || strings.Count(f.stdin, password) != 4 {
		t.Errorf("got the password %q, want one for Redis and three containers of the app", password)
	}
	if all := strings.Join(f.commands, "\n") + r.out + r.errOut; strings.Contains(all, password) {
		t.Errorf("the password is in an argument or in the output:\n%s", all)
	}
}

func TestWrongApps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		app    fakeApp
		flags  []string
		others map[string]string
	}{
		"does not listen": {fakeApp{silent: true}, nil,
			map[string]string{checkStarts: "FAIL|port 5000|refused"}},
		"writes": {fakeApp{needsWritable: true}, withRedis,
			map[string]string{checkStarts: "FAIL|exit code 1|cannot write /var/cache/app"}},
		"ends without Redis": {fakeApp{needsRedis: true}, withRedis, map[string]string{
			checkAliveWithout: "FAIL|exit code 1|no Redis", checkReadyWithout: "SKIP|ended"}},
		"liveness asks Redis": {fakeApp{liveAsksRedis: true}, withRedis, map[string]string{
			checkAliveWithout: "FAIL|/healthz|503"}},
		"always ready":     {fakeApp{alwaysReady: true}, withRedis, map[string]string{checkReadyWithout: "FAIL|/readyz|200"}},
		"counts by itself": {fakeApp{ownCounter: true}, withRedis, map[string]string{checkState: "FAIL|by turns"}},
		"ignores SIGTERM":  {fakeApp{ignoresTerm: true}, withRedis, map[string]string{checkExit: "FAIL|still runs 2s"}},
		"ends at SIGTERM at once": {fakeApp{cuts: true}, withRedis, map[string]string{
			checkInFlight: "FAIL|closed without an answer"}},
		"cuts a slow request": {fakeApp{cuts: true}, append([]string{"-slow", "/slow"}, withRedis...), map[string]string{
			checkInFlight: "FAIL|GET /slow|closed without an answer"}},
		"drops kept connections": {fakeApp{dropsKept: true}, append([]string{"-slow", "/slow"}, withRedis...),
			map[string]string{checkKeepAlive: "FAIL|sent after SIGTERM: closed without an answer"}},
		"dies by itself": {fakeApp{dies: true}, append([]string{"-slow", "/slow"}, withRedis...), map[string]string{
			checkKeepAlive: "FAIL|ended before SIGTERM|exit code 3|out of luck", checkExit: "SKIP"}},
		"does not name a wrong setting": {fakeApp{unnamed: true}, withRedis, map[string]string{
			checkWrong: "FAIL|is not named|exit code 2"}},
		"takes a wrong setting": {fakeApp{takesAll: true}, withRedis, map[string]string{
			checkWrong: "FAIL|still runs after 10s"}},
		"has no such paths": {fakeApp{}, append([]string{"-live", "/nowhere", "-ready", "/nowhere"}, withRedis...),
			map[string]string{checkAlive: "FAIL|404", checkReady: "FAIL|404",
				checkAliveWithout: "SKIP|with Redis too", checkReadyWithout: "SKIP|with Redis too"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runFake(t.Context(), newFakeDocker(t, test.app), test.flags...).want(t, exitFailed, test.others)
		})
	}
}

// TestSkips: a check that cannot be made is skipped with the reason, and does not count as a failure.
func TestSkips(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		flags  []string
		others map[string]string
	}{
		"no Redis": {nil, map[string]string{
			checkReady:        "FAIL", // the app of the test has one
			checkAliveWithout: "SKIP|{redis.host}", checkReadyWithout: "SKIP|{redis.host}", checkRecovers: "SKIP|{redis.host}",
			checkState: "SKIP|-counter", checkInFlight: "SKIP|-slow", checkWrong: "SKIP|-bad"}},
		"no probes": {append([]string{"-live=", "-ready="}, withRedis...), map[string]string{
			checkAlive: "SKIP|-live", checkAliveWithout: "SKIP|-live",
			checkReady: "SKIP|-ready", checkReadyWithout: "SKIP|-ready"}},
		"nothing under way": {append([]string{"-slow", "/healthz"}, withRedis...), map[string]string{
			checkInFlight: "SKIP|was over before SIGTERM"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code := exitPassed
			if test.others[checkReady] == "FAIL" {
				code = exitFailed
			}
			runFake(t.Context(), newFakeDocker(t, fakeApp{}), test.flags...).want(t, code, test.others)
		})
	}
}

// TestInterrupted: an interrupted run removes what it created, and gives no verdict.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	f := newFakeDocker(t, fakeApp{silent: true})
	f.onStart = cancel
	r := runFake(ctx, f, withRedis...)
	if r.code != exitError || !strings.Contains(r.errOut, "interrupted") {
		t.Errorf("got exit code %d and %q, want %d and that it was interrupted", r.code, r.errOut, exitError)
	}
	if len(f.containers) > 0 || f.network {
		t.Errorf("left behind: %v, network %t", f.containers, f.network)
	}
}

// TestEnvironment: without a usable Docker the run ends with exitError and a message with the remedy.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(*fakeDocker)
		want    string
	}{
		"no docker":  {func(f *fakeDocker) { f.fails["version"] = exec.ErrNotFound }, "install Docker"},
		"no daemon":  {func(f *fakeDocker) { f.fails["version"] = errors.New("refused") }, "running Docker daemon"},
		"far daemon": {func(f *fakeDocker) { f.host = "ssh://build@far" }, "ssh://build@far"},
		"no image": {func(f *fakeDocker) {
			f.fails["image"], f.fails["pull"] = errors.New("none"), errors.New("denied")
		}, "needs the image app:1"},
		"left behind": {func(f *fakeDocker) {
			f.fails["ps"] = errors.New("busy")
		}, "removing everything with the label " + label},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFakeDocker(t, fakeApp{silent: true})
			test.prepare(f)
			if r := runFake(t.Context(), f); r.code != exitError || !strings.Contains(r.errOut, test.want) {
				t.Errorf("got exit code %d and %q, want %d and %q", r.code, r.errOut, exitError, test.want)
			}
		})
	}
}
