package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// An environment is a copy of its template with a namespace and a host of its own. It shares what the template installs
// in the cluster, and its file is in localDir.
func TestEnvironmentUp(t *testing.T) {
	d, host, out := newTestDriver(t,
		reply{command: "docker ps", out: "scaleout-control-plane"},
		reply{command: "docker info", out: "28.0.0 daemon linux/x86_64"},
		reply{command: "docker", fails: "stop here"})
	write(t, d.committed("dev"), devYAML+"  scaleout:installTraefik: true\n  scaleout:redisPassword: {secure: abc}\n")
	d.Name, d.Hours = "pr-123", 2
	wantError(t, d.environmentUp(t.Context()), "stop here") // up begins
	file := read(t, d.environmentFile("pr-123"))
	wantParts(t, file, "scaleout:namespace: pr-123", "scaleout:host: pr-123.localhost",
		"scaleout:ingressNamespace: traefik",
		`scaleout:installTraefik: "false"`, `scaleout:installMetricsServer: "false"`, "scaleout:maxReplicas: \"10\"")
	if strings.Contains(file, "redisPassword") || d.committed("pr-123") != d.environmentFile("pr-123") {
		t.Errorf("got %s, want no password of another stack", file)
	}
	if read(t, d.committed("dev")) == file || len(host.asked("pulumi up")) > 0 {
		t.Error("the template was changed, or deployed")
	}
	end := must(time.Parse(time.RFC3339, d.mark(markEnvironment, "pr-123")))
	if left := time.Until(end); left < time.Hour || left > 2*time.Hour {
		t.Errorf("got an end in %s", left)
	}
	wantParts(t, out, "a copy of stack dev in namespace pr-123", "make env-down NAME=pr-123")
}

func TestEnvironmentNames(t *testing.T) {
	for name, want := range map[string]string{
		"": "NAME is missing", "dev": "is a stack of this project", strings.Repeat("a", 64): "has 64 characters",
	} {
		d, _, _ := newTestDriver(t)
		d.Name = name
		wantError(t, d.environmentUp(t.Context()), want)
		wantError(t, d.environmentDown(t.Context()), want)
	}
}

func TestEnvironmentNeedsItsCluster(t *testing.T) {
	d, _, _ := newTestDriver(t, reply{command: "docker ps", out: ""})
	d.Name = "pr-123"
	wantError(t, d.environmentUp(t.Context()), "there is no cluster scaleout: run make up first")
	d, _, _ = newTestDriver(t)
	write(t, d.committed("docker"), "config:\n  scaleout:target: docker\n")
	d.Name, d.Stack = "pr-123", "docker"
	wantError(t, d.environmentUp(t.Context()), "does not run on kind")
}

// Only environments whose time is over are removed, and all of these, also if one fails.
func TestEnvironmentExpire(t *testing.T) {
	d, _, out := newTestDriver(t, reply{command: "docker info", fails: "no daemon"})
	ok(t, d.environmentExpire(t.Context()))
	wantParts(t, out, "there are no environments")
	for name, end := range map[string]time.Duration{"a": -time.Hour, "b": time.Hour, "c": -time.Minute} {
		write(t, d.environmentFile(name), devYAML)
		ok(t, d.setMark(markEnvironment, name, time.Now().Add(end).UTC().Format(time.RFC3339)))
	}
	err := d.environmentExpire(t.Context())
	wantError(t, err, "environment a: ", "environment c: ")
	if strings.Contains(err.Error(), "environment b: ") || !isFile(filepath.Join(d.root, localDir, "environment-b")) {
		t.Errorf("got %v, want b kept", err)
	}
	d.Name = "gone"
	ok(t, d.environmentDown(t.Context()))
	wantParts(t, out, "b until ", "there is no environment gone")
}
