package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestMain lets this test binary also act as the program, for tests that need a separate process.
func TestMain(m *testing.M) {
	if os.Getenv("APP_TEST_RUN_MAIN") != "" {
		main()
	}
	os.Exit(m.Run())
}

func TestRun(t *testing.T) {
	tests := map[string]struct {
		args       []string
		wantCode   int
		wantStdout string
		wantStderr string
	}{
		"help":            {[]string{"-h"}, 0, "REDIS_HOST (required)", ""},
		"long help":       {[]string{"--help"}, 0, "REDIS_TIMEOUT (default 500ms)", ""},
		"unknown flag":    {[]string{"-port", "1"}, 2, "", "not defined: -port (-help lists the settings)\n"},
		"argument":        {[]string{"start"}, 2, "", `unexpected argument "start"`},
		"no settings":     {nil, 2, "", "REDIS_HOST: not set"},
		"help needs none": {[]string{"-help"}, 0, "Usage:", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(test.args, nil, &stdout, &stderr); code != test.wantCode {
				t.Errorf("code: got %d, want %d", code, test.wantCode)
			}
			for _, stream := range []struct{ name, got, want string }{
				{"stdout", stdout.String(), test.wantStdout}, {"stderr", stderr.String(), test.wantStderr},
			} {
				if !strings.Contains(stream.got, stream.want) || stream.want == "" && stream.got != "" {
					t.Errorf("%s: got %q, want %q", stream.name, stream.got, stream.want)
				}
			}
		})
	}
}

// process starts the program in a separate process, without a Redis.
func process(t *testing.T, env ...string) (cmd *exec.Cmd, stdout, stderr *logBuffer) {
	t.Helper()
	stdout, stderr = &logBuffer{}, &logBuffer{}
	cmd = exec.Command(os.Args[0])
	cmd.Env = append([]string{
		"APP_TEST_RUN_MAIN=1", "REDIS_HOST=127.0.0.1", "REDIS_PORT=1", "LISTEN_ADDR=127.0.0.1:0", "METRICS_ADDR=127.0.0.1:0",
	}, env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd, stdout, stderr
}

func exitCode(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode()
}

func TestSignals(t *testing.T) {
	tests := map[string]struct {
		drain    string
		signals  []os.Signal
		wantCode int
	}{
		"SIGTERM stops gracefully":          {"1ms", []os.Signal{syscall.SIGTERM}, 0},
		"so does Ctrl-C":                    {"1ms", []os.Signal{os.Interrupt}, 0},
		"a second SIGTERM ends the drain":   {"10m", []os.Signal{syscall.SIGTERM, syscall.SIGTERM}, 1},
		"Ctrl-C after SIGTERM does as well": {"10m", []os.Signal{syscall.SIGTERM, os.Interrupt}, 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cmd, stdout, stderr := process(t, "DRAIN_DELAY="+test.drain)
			for i, line := range []string{`"msg":"serving"`, `"msg":"draining"`}[:len(test.signals)] {
				eventually(t, line, func() bool { return strings.Contains(stdout.String(), line) })
				if err := cmd.Process.Signal(test.signals[i]); err != nil {
					t.Fatal(err)
				}
			}
			if code := exitCode(t, cmd); code != test.wantCode {
				t.Errorf("exit code: got %d, want %d; log: %s%s", code, test.wantCode, stdout, stderr)
			}
		})
	}
}

func TestInvalidSettingsEndTheProcess(t *testing.T) {
	cmd, stdout, stderr := process(t, "REDIS_HOST=", "REDIS_PORT=tcp://10.0.0.1:6379", "LOG_LEVEL=loud")
	if code := exitCode(t, cmd); code != exitUsage {
		t.Errorf("exit code: got %d, want %d", code, exitUsage)
	}
	for _, want := range []string{"REDIS_HOST: not set", "enableServiceLinks: false", `LOG_LEVEL="loud"`} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("stderr: got %q, want it to contain %q", stderr, want)
		}
	}
	if stdout.String() != "" {
		t.Errorf("stdout: got %q, want nothing", stdout)
	}
}
