package redis

import (
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
)

// No password can end the configuration line or start a second one.
func FuzzRequirePass(f *testing.F) {
	f.Add("simple")
	f.Add("\"\nsave 1 1")
	f.Add("\x00\xff ü")
	f.Fuzz(func(t *testing.T, password string) {
		line := RequirePass(password)
		body, ok := strings.CutPrefix(line, `requirepass "`)
		body, end := strings.CutSuffix(body, "\"\n")
		if !ok || !end || len(body) != 4*len(password) || strings.ContainsAny(body, "\"\n ") {
			t.Errorf("%q becomes %q", password, line)
		}
	})
}

// A terminating server waits for its clients, but not for an unreachable server.
func TestLinger(t *testing.T) {
	redisServer, cli := componenttest.Command(t, "redis-server"), componenttest.Command(t, "redis-cli")
	dir := t.TempDir()
	socket := filepath.Join(dir, "redis.sock")
	server := exec.Command(redisServer, "--port", "0", "--unixsocket", socket, "--requirepass", "right", "--save", "",
		"--dir", dir)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	bin := filepath.Join(dir, "redis-cli") // redirects redis-cli from the default port to the socket
	if err := os.WriteFile(bin, []byte("#!/bin/sh\nexec "+cli+" -s "+socket+" \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	start := func(password string) (ended chan error) {
		if err := os.WriteFile(filepath.Join(dir, PasswordFile), []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
		script := exec.Command("sh", "-c", strings.ReplaceAll(Linger(), AuthDir, dir))
		script.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
		if err := script.Start(); err != nil {
			t.Fatal(err)
		}
		ended = make(chan error, 1)
		go func() { ended <- script.Wait() }()
		return ended
	}
	ends := func(what string, ended chan error) {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(15 * time.Second): // less than LingerSeconds
			t.Fatalf("%s: the script still waits", what)
		}
	}
	var client net.Conn
	for deadline := time.Now().Add(10 * time.Second); client == nil; time.Sleep(50 * time.Millisecond) {
		var err error
		if client, err = net.Dial("unix", socket); err != nil && time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
	waits := start("right")
	select {
	case err := <-waits:
		t.Fatalf("the script exits while a client is connected: %v", err)
	case <-time.After(3 * time.Second):
	}
	ends("a password that is not the server's", start("wrong"))
	if err := os.WriteFile(filepath.Join(dir, PasswordFile), []byte("right"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	ends("the client has left", waits)
	ends("no client", start("right"))
	if err := server.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ends("a server that hangs", start("right"))
}

func TestConfiguration(t *testing.T) {
	for _, fsync := range []string{FsyncEverySecond, FsyncAlways} {
		got := Configuration("128Mi", fsync)
		for _, want := range []string{
			"appendonly yes", "appendfsync " + fsync, "include /etc/redis/auth/auth.conf",
			"maxmemory 100663296", // 3/4 of 128 MiB
			"maxmemory-policy noeviction",
		} {
			if !strings.Contains(got, "\n"+want+"\n") {
				t.Errorf("got %q, want the line %s", got, want)
			}
		}
		if problems := CheckFsync(fsync); len(problems) > 0 {
			t.Errorf("fsync %s: got %v, want it accepted", fsync, problems)
		}
	}
	for _, bad := range []string{"", "no", "Always"} {
		if problems := CheckFsync(bad); len(problems) != 1 {
			t.Errorf("fsync %q: got %v, want one problem", bad, problems)
		}
	}
}

func TestConnection(t *testing.T) {
	for _, host := range []string{"redis.example.com", "redis", "10.0.0.5", "fd00::5"} {
		c := Connection{Host: pulumi.String(host), Port: 6379}
		if problems := c.Validate(); len(problems) > 0 {
			t.Errorf("host %s: got %v, want it accepted", host, problems)
		}
	}
	later := Connection{Host: pulumi.String("not known yet").ToStringOutput(), Port: 6379}
	if problems := later.Validate(); len(problems) > 0 {
		t.Errorf("a host that is not known yet: got %v, want it accepted", problems)
	}
	for field, bad := range map[string][]Connection{
		"host": {
			{Port: 1}, {Host: pulumi.String(""), Port: 1}, {Host: pulumi.String("localhost"), Port: 1},
			{Host: pulumi.String("127.0.0.1"), Port: 1}, {Host: pulumi.String("::"), Port: 1},
			{Host: pulumi.String("redis:6379"), Port: 1}, {Host: pulumi.String("redis://redis"), Port: 1},
		},
		"port": {{Host: pulumi.String("redis")}, {Host: pulumi.String("redis"), Port: 65536}},
		"username": {{Host: pulumi.String("redis"), Port: 1, Username: "a b"},
			{Host: pulumi.String("redis"), Port: 1, Username: "a\x00"}},
	} {
		for _, c := range bad {
			if problems := c.Validate(); len(problems) != 1 || problems[0].Field != field {
				t.Errorf("%+v: got %v, want one problem with %s", c, problems, field)
			}
		}
	}
}

// An app gets only the variables that it reads, and a username only if the connection has one.
func TestVariables(t *testing.T) {
	all := Environment{
		Host: "H", Port: "P", TLS: "T", Username: "U", Password: "PW", PasswordFile: "F", CAFile: "C",
	}
	for _, c := range []struct {
		names Environment
		user  string
		want  string
	}{
		{all, "app", "H P T U"}, {all, "", "H P T"}, {Environment{Host: "H"}, "app", "H"},
	} {
		variables := c.names.Variables(Connection{Host: pulumi.String("redis"), Port: 6380, TLS: true, Username: c.user})
		if got := strings.Join(slices.Sorted(maps.Keys(variables)), " "); got != c.want {
			t.Errorf("%+v: got %s, want %s", c, got, c.want)
		}
		if port, ok := variables["P"]; ok && (port != pulumi.String("6380") || variables["T"] != pulumi.String("true")) {
			t.Errorf("got port %v and TLS %v, want 6380 and true", port, variables["T"])
		}
	}
	if problems := (&Environment{Host: "H", CAFile: "C-A"}).Validate(); len(problems) != 1 ||
		problems[0].Field != "caFile" {
		t.Errorf("got %v, want one problem with caFile", problems)
	}
	if problems := (&Environment{Port: "P"}).Validate(); len(problems) != 1 || problems[0].Field != "host" {
		t.Errorf("got %v, want one problem with host", problems)
	}
}
