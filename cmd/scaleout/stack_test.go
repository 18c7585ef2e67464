package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func openTestStack(t *testing.T, d *driver) *stack {
	t.Helper()
	s, err := d.openStack(d.Stack)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetting(t *testing.T) {
	d, _, _ := newTestDriver(t)
	s := openTestStack(t, d)
	for key, want := range map[string]string{
		keyTarget: "kind", keyPublicPort: "8080", keyNamespace: "scaleout", keyImagePlatform: "linux/amd64", keyRedisHost: "",
		"scaleout:unknown": "", keyReadyPath: "/readyz",
	} {
		if got := s.setting(key); got != want {
			t.Errorf("%s: got %q, want %q", key, got, want)
		}
	}
	if !s.onKind() {
		t.Error("got a stack elsewhere, want it on Kind")
	}
}

func TestMissingStackFile(t *testing.T) {
	d, _, _ := newTestDriver(t)
	d.Stack = "qa"
	_, err := d.openStack(d.Stack)
	wantError(t, err, "stack qa", "cp Pulumi.dev.yaml Pulumi.qa.yaml")
}

// initWrites plays `pulumi stack init`, which writes the salt into the folder it runs in.
func initWrites(t *testing.T) reply {
	return reply{command: "pulumi stack init dev --no-select", does: func(c command) {
		path := filepath.Join(c.dir, "Pulumi.dev.yaml")
		write(t, path, "encryptionsalt: v1:new=:v1:x\n"+read(t, path))
	}}
}

func TestEnsureStackCreates(t *testing.T) {
	d, host, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: `[{"name":"prod"}]`}, initWrites(t))
	got, err := d.ensureStack(context.Background(), openTestStack(t, d))
	if err != nil || !strings.HasPrefix(got, "created in .local/state") {
		t.Fatalf("got %q and %v, want it created", got, err)
	}
	if got := read(t, filepath.Join(d.root, "Pulumi.dev.yaml")); got != devYAML {
		t.Errorf("got the committed file %q, want it as it was", got)
	}
	if got := read(t, d.local("Pulumi.dev.yaml")); !strings.Contains(got, "encryptionsalt: v1:new=:v1:x\n") ||
		!strings.Contains(got, "\n  scaleout:target: kind\n") || !strings.Contains(got, `scaleout:maxReplicas: "10"`) {
		t.Errorf("got the copy %q, want the settings and the salt", got)
	}
	env := strings.Join(host.ran[0].env, "\n")
	for _, want := range []string{
		"PULUMI_BACKEND_URL=file://" + d.local("state"), "PULUMI_CONFIG_PASSPHRASE_FILE=" + d.local("passphrase"),
	} {
		if !strings.Contains(env, want) {
			t.Errorf("got environment %q, want %s in it", env, want)
		}
	}
}

func TestEnsureStackExists(t *testing.T) {
	for _, list := range []string{`[{"name":"dev"}]`, `[{"name":"acme/dev"}]`} {
		d, _, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: list})
		got, err := d.ensureStack(context.Background(), openTestStack(t, d))
		if err != nil || !strings.HasPrefix(got, "exists") {
			t.Errorf("got %q and %v, want it to exist", got, err)
		}
	}
}

func TestStaleEncryption(t *testing.T) {
	t.Run("written by an earlier up", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: "[]"}, initWrites(t))
		write(t, d.local("Pulumi.dev.yaml"), "encryptionsalt: v1:old\nconfig:\n  scaleout:redisPassword:\n    secure: v1:old\n")
		s := openTestStack(t, d)
		if !s.has(keyRedisPassword) {
			t.Error("got no password of the copy")
		}
		if _, err := d.ensureStack(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		if got := read(t, d.local("Pulumi.dev.yaml")); strings.Contains(got, "v1:old") || !strings.Contains(got, "v1:new=") {
			t.Errorf("got %q, want the old encryption replaced", got)
		}
	})
	t.Run("of another machine", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: "[]"},
			reply{command: "pulumi stack init", fails: "error: incorrect passphrase"})
		_, err := d.ensureStack(context.Background(), openTestStack(t, d))
		wantError(t, explainPulumi(d.Stack, err), "encrypted with another passphrase", ".local/passphrase",
			"encryptionsalt", "Pulumi.dev.yaml")
	})
}

func TestEnsurePassword(t *testing.T) {
	encrypts := func(c command) {
		path := c.args[len(c.args)-2]
		write(t, path, read(t, path)+"  scaleout:redisPassword:\n    secure: v1:cipher=\n")
	}
	d, host, out := newTestDriver(t, reply{command: "pulumi config set --secret scaleout:redisPassword", does: encrypts})
	s := openTestStack(t, d)
	if err := d.saveCopy(s); err != nil {
		t.Fatal(err)
	}
	got, err := d.ensurePassword(context.Background(), s)
	if err != nil || got != "generated" {
		t.Fatalf("got %q and %v, want it generated", got, err)
	}
	password := host.ran[0].stdin
	if len(password) < 20 || strings.Contains(line(host.ran[0]), password) || strings.Contains(out.String(), password) {
		t.Errorf("got password %q in %q and %q, want a long one and only on standard input", password, line(host.ran[0]), out)
	}
	committed := read(t, filepath.Join(d.root, "Pulumi.dev.yaml"))
	if written := read(t, d.local("Pulumi.dev.yaml")); committed != devYAML || strings.Contains(written, password) {
		t.Errorf("got %q and %q, want the ciphertext in the copy only", written, committed)
	}
	if got, err := d.ensurePassword(context.Background(), s); err != nil || got != "exists" || len(host.ran) != 1 {
		t.Errorf("got %q, %v and %d commands, want the second run to leave it", got, err, len(host.ran))
	}
}

func TestPasswordOfAnotherRedis(t *testing.T) {
	d, host, _ := newTestDriver(t)
	write(t, filepath.Join(d.root, "Pulumi.dev.yaml"), devYAML+"  scaleout:redisHost: redis.example\n")
	wantError(t, d.up(context.Background()), "pulumi config set --secret redisPassword --stack dev")
	if len(host.ran) > 0 {
		t.Errorf("got %q, want nothing done before", host.asked(""))
	}
}

func TestMatchSettings(t *testing.T) {
	platform := func(p string) reply { return reply{command: "docker version", out: p + "\n"} }
	t.Run("nothing to do", func(t *testing.T) {
		d, _, _ := newTestDriver(t, platform("linux/amd64"))
		d.HTTPPort, d.RegistryPort = 8080, 5001
		s := openTestStack(t, d)
		got, err := d.matchSettings(context.Background(), s)
		if err != nil || got != "match this machine" {
			t.Errorf("got %q, %v, want no change", got, err)
		}
	})
	t.Run("other ports, cluster and platform", func(t *testing.T) {
		d, _, _ := newTestDriver(t, platform("linux/arm64"))
		d.Cluster, d.HTTPPort, d.RegistryPort = "other", 9090, 5002
		s := openTestStack(t, d)
		if _, err := d.matchSettings(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{keyKubeContext: "kind-other", keyPublicPort: "9090",
			keyImageRepository: "localhost:5002/scaleout", keyImagePlatform: "linux/arm64"} {
			if got := s.setting(key); got != want {
				t.Errorf("%s: got %q, want %q", key, got, want)
			}
		}
		if got := read(t, filepath.Join(d.root, "Pulumi.dev.yaml")); got != devYAML {
			t.Errorf("got the committed file %q, want it as it was", got)
		}
		again, err := d.openStack(d.Stack, machineKeys...)
		if err != nil || again.setting(keyPublicPort) != "9090" || openTestStack(t, d).setting(keyPublicPort) != "8080" {
			t.Errorf("got port %s and %v, want the copy's, and the committed one for an up", again.setting(keyPublicPort), err)
		}
	})
	t.Run("HTTPS", func(t *testing.T) {
		d, _, _ := newTestDriver(t, platform("linux/amd64"))
		d.HTTPPort, d.HTTPSPort = 9090, 9443
		s := openTestStack(t, d)
		s.set(keyTLSSecret, "cert")
		if _, err := d.matchSettings(context.Background(), s); err != nil || s.setting(keyPublicPort) != "9443" {
			t.Errorf("got port %s and %v, want that of HTTPS", s.setting(keyPublicPort), err)
		}
	})
	t.Run("a registry elsewhere stays", func(t *testing.T) {
		d, _, _ := newTestDriver(t, platform("linux/amd64"))
		d.HTTPPort, d.RegistryPort = 8080, 5002
		s := openTestStack(t, d)
		s.set(keyImageRepository, "registry.example/app")
		if _, err := d.matchSettings(context.Background(), s); err != nil || s.setting(keyImageRepository) != "registry.example/app" {
			t.Errorf("got %q and %v, want no change", s.setting(keyImageRepository), err)
		}
	})
}
