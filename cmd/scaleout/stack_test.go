package main

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func openTestStack(t *testing.T, d *driver) *stack {
	t.Helper()
	s, err := d.openStack()
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
		"scaleout:unknown": "",
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
	_, err := d.openStack()
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
	want := strings.Replace(devYAML, "config:", "encryptionsalt: v1:new=:v1:x # set by make up\nconfig:", 1)
	if got := read(t, filepath.Join(d.root, "Pulumi.dev.yaml")); got != want {
		t.Errorf("got %q, want %q", got, want)
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
		d, _, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: list},
			reply{command: "pulumi stack export --stack dev", out: `{"deployment": null}`})
		got, err := d.ensureStack(context.Background(), openTestStack(t, d))
		if err != nil || !strings.HasPrefix(got, "exists") {
			t.Errorf("got %q and %v, want it to exist", got, err)
		}
	}
}

func TestStaleEncryption(t *testing.T) {
	t.Run("written by an earlier up", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: "[]"}, initWrites(t))
		s := openTestStack(t, d)
		s.file.setSalt("v1:old")
		s.file.setPassword("v1:old")
		if _, err := d.ensureStack(context.Background(), s); err != nil {
			t.Fatal(err)
		}
		if got := read(t, s.file.path); strings.Contains(got, "v1:old") || !strings.Contains(got, "v1:new=") {
			t.Errorf("got %q, want the old encryption replaced", got)
		}
	})
	t.Run("of another machine", func(t *testing.T) {
		d, _, _ := newTestDriver(t, reply{command: "pulumi stack ls", out: "[]"},
			reply{command: "pulumi stack init", fails: "error: incorrect passphrase"})
		_, err := d.ensureStack(context.Background(), openTestStack(t, d))
		wantError(t, err, "encrypted with another passphrase", ".local/passphrase", "encryptionsalt", "Pulumi.dev.yaml")
	})
}

func TestEnsurePassword(t *testing.T) {
	encrypts := func(c command) {
		path := filepath.Join(c.dir, "Pulumi.dev.yaml")
		write(t, path, read(t, path)+"  scaleout:redisPassword:\n    secure: v1:cipher=\n")
	}
	d, host, out := newTestDriver(t, reply{command: "pulumi config set --secret scaleout:redisPassword", does: encrypts})
	s := openTestStack(t, d)
	got, err := d.ensurePassword(context.Background(), s)
	if err != nil || got != "generated" {
		t.Fatalf("got %q and %v, want it generated", got, err)
	}
	password := host.ran[0].stdin
	if len(password) < 20 || strings.Contains(line(host.ran[0]), password) || strings.Contains(out.String(), password) {
		t.Errorf("got password %q in %q and %q, want a long one and only on standard input", password, line(host.ran[0]), out)
	}
	written := read(t, s.file.path)
	if !strings.Contains(written, "    secure: v1:cipher= # set by make up\n") || strings.Contains(written, password) {
		t.Errorf("got %q, want the marked ciphertext", written)
	}
	if got, err := d.ensurePassword(context.Background(), s); err != nil || got != "exists" || len(host.ran) != 1 {
		t.Errorf("got %q, %v and %d commands, want the second run to leave it", got, err, len(host.ran))
	}
}

func TestPasswordElsewhere(t *testing.T) {
	tests := []struct {
		name, extra string
		wantErr     bool
	}{
		{"none", "", true},
		{"set", "  scaleout:redisPassword:\n    secure: v1:x\n", false},
		{"managed Redis", "  scaleout:redisHost: redis.example\n", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t)
			d.getenv = elsewhere
			d.Stack = "prod"
			write(t, filepath.Join(d.root, "Pulumi.prod.yaml"), "config:\n  scaleout:target: eks\n"+tt.extra)
			err := d.requirePassword(openTestStack(t, d))
			if tt.wantErr {
				wantError(t, err, "pulumi config set --secret redisPassword --stack prod")
			} else if err != nil {
				t.Errorf("got %v, want no error", err)
			}
		})
	}
}

func TestMatchSettings(t *testing.T) {
	platform := func(p string) reply { return reply{command: "docker version", out: p + "\n"} }
	t.Run("nothing to do", func(t *testing.T) {
		d, _, _ := newTestDriver(t, platform("linux/amd64"))
		d.HTTPPort, d.RegistryPort = 8080, 5001
		s := openTestStack(t, d)
		got, err := d.matchSettings(context.Background(), s)
		if err != nil || got != "match this machine" || s.file.String() != devYAML {
			t.Errorf("got %q, %v and %q, want no change", got, err, s.file)
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
			if got := s.file.get(key); got != want {
				t.Errorf("%s: got %q, want %q", key, got, want)
			}
		}
		if s.file.clean(); s.file.String() != devYAML {
			t.Errorf("got %q after cleaning, want %q", s.file, devYAML)
		}
	})
	t.Run("a registry elsewhere stays", func(t *testing.T) {
		d, _, _ := newTestDriver(t, platform("linux/amd64"))
		d.HTTPPort, d.RegistryPort = 8080, 5002
		s := openTestStack(t, d)
		s.file.set(keyImageRepository, "registry.example/app")
		before := s.file.String()
		if _, err := d.matchSettings(context.Background(), s); err != nil || s.file.String() != before {
			t.Errorf("got %q and %v, want no change", s.file, err)
		}
	})
}
