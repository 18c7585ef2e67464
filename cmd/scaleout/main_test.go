package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestParseSettings(t *testing.T) {
	for name, tt := range map[string]struct {
		command string
		env     map[string]string
		want    func(*settings)
	}{
		"defaults": {"up", nil, func(*settings) {}},
		"variables": {"up", map[string]string{"STACK": "staging", "HTTP_PORT": "9090", "WORKERS": "2"},
			func(s *settings) { s.Stack, s.HTTPPort, s.Workers = "staging", 9090, 2 }},
		"an empty variable is unset":  {"up", map[string]string{"STACK": "", "WORKERS": ""}, func(*settings) {}},
		"variables of other commands": {"up", map[string]string{"COMPONENT": "shop", "YES": "true"}, func(*settings) {}},
	} {
		want := settings{
			Stack: "dev", Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: registryImage, Component: "web",
		}
		tt.want(&want)
		if got := must(parseSettings(tt.command, environment(tt.env))); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	env := map[string]string{"HTTP_PORT": "70000", "STACK": "../prod", "WORKERS": "-1", "COMPONENT": "db"}
	_, err := parseSettings("up", environment(env))
	wantError(t, err, `HTTP_PORT="70000": want a port, 1 to 65535`, `STACK="../prod"`, `WORKERS="-1"`)
	_, err = parseSettings("logs", environment(env))
	wantError(t, err, `STACK="../prod"`, `COMPONENT="db"`)
}

// TestExitCodes runs main in a process of its own.
func TestExitCodes(t *testing.T) {
	if args, is := os.LookupEnv("MAIN_WITH"); is { // this is that process
		os.Args = append(os.Args[:1], strings.Fields(args)...)
		main()
		os.Exit(0)
	}
	project := t.TempDir()
	write(t, filepath.Join(project, "Pulumi.yaml"), projectYAML)
	write(t, filepath.Join(project, "Pulumi.dev.yaml"), devYAML)
	writeProgram(t, filepath.Join(project, "docker"), "kill -INT $PPID\nexec sleep 60")
	for _, tt := range []struct {
		name, args, dir string
		want            int
		says            string
	}{
		{"no command", "", project, 0, "usage: scaleout"},
		{"help", "help", project, 0, "REGISTRY_PORT"},
		{"unknown command", "upp", project, 1, "`scaleout help`"},
		{"outside the project", "up", t.TempDir(), 1, "no Pulumi.yaml here"},
		{"interrupted", "up", project, 130, "scaleout up: interrupted; run the same command again"},
	} {
		self := exec.Command(os.Args[0], "-test.run=^TestExitCodes$")
		self.Dir, self.Env = tt.dir, []string{"MAIN_WITH=" + tt.args, "PATH=" + project + ":" + os.Getenv("PATH")}
		out, _ := self.CombinedOutput()
		if got := self.ProcessState.ExitCode(); got != tt.want || !strings.Contains(string(out), tt.says) {
			t.Errorf("%s: got exit code %d and %q, want %d and %q in it", tt.name, got, out, tt.want, tt.says)
		}
	}
}

// TestPlainStackName checks that only promote and rollback accept a stack with an organization and a project.
func TestPlainStackName(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("STACK", "acme/scaleout/prod")
	wantError(t, run(t.Context(), "up"), `STACK="acme/scaleout/prod"`, "the plain name")
	wantError(t, run(t.Context(), "rollback"), "no Pulumi.yaml here")
}

// TestLock checks that a second run is refused, and that a process that is killed releases the lock.
func TestLock(t *testing.T) {
	if root := os.Getenv("HOLD_LOCK_IN"); root != "" { // this is that process
		ok(t, (&driver{root: root, settings: settings{Stack: "dev"}}).lock("down"))
		fmt.Println("locked")
		select {}
	}
	d, _, _ := newTestDriver(t)
	holder := exec.Command(must(os.Executable()), "-test.run=^TestLock$")
	holder.Env = append(os.Environ(), "HOLD_LOCK_IN="+d.root)
	out := must(holder.StdoutPipe())
	ok(t, holder.Start())
	if line := must(bufio.NewReader(out).ReadString('\n')); line != "locked\n" {
		t.Fatalf("got %q, want the lock held", line)
	}
	t.Chdir(d.root)
	t.Setenv("STACK", "")
	wantError(t, run(t.Context(), "up"), "another run is active",
		fmt.Sprintf("down of stack dev, process %d)", holder.Process.Pid))
	_ = holder.Process.Kill()
	_ = holder.Wait()
	ok(t, d.lock("up"))
	wantError(t, run(t.Context(), "up"), "another run is active", fmt.Sprintf("process %d)", os.Getpid()))
}
