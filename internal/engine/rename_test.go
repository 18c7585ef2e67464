//go:build e2e

package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
)

// names is the variable that makes this test binary act as the program renamed.
const names = "ENGINE_TEST_NAMES"

func TestMain(m *testing.M) {
	if os.Getenv(names) != "" {
		pulumi.Run(renamed)
		return
	}
	os.Exit(m.Run())
}

// renamed registers the components that have a Name: under their first names, under others with aliases, or under
// others without.
func renamed(ctx *pulumi.Context) error {
	called := func(first, other string) (name, objects string, opts []pulumi.ResourceOption) {
		switch os.Getenv(names) {
		case "first":
			return first, "", nil
		case "aliased":
			opts = append(opts, pulumi.Aliases([]pulumi.Alias{{Name: pulumi.String(first)}}))
		}
		return other, first, opts
	}
	namespace, resources := pulumi.String("ns"), kube.Resources{CPURequest: "100m", MemoryLimit: "128Mi"}
	name, objects, opts := called("secrets", "keys")
	keys, err := kube.NewSecret(ctx, name, &kube.SecretArgs{
		Namespace: namespace, Name: objects, Data: map[string]pulumi.StringInput{"KEY": pulumi.String("k")},
	}, opts...)
	if err != nil {
		return err
	}
	name, objects, opts = called("redis", "store")
	secret, err := kube.NewRedisSecret(ctx, name, &kube.RedisSecretArgs{
		Namespace: namespace, Name: objects, Password: pulumi.String(password),
	}, opts...)
	if err != nil {
		return err
	}
	server, err := kube.NewRedis(ctx, name, &kube.RedisArgs{
		Namespace: namespace, Name: objects, Secret: secret, Image: "docker.io/redis:8.2", Resources: resources,
		StorageSize: "1Gi", Fsync: redis.FsyncEverySecond, Clients: []map[string]string{kube.WebAppPods("web")},
	}, opts...)
	if err != nil {
		return err
	}
	name, objects, opts = called("web", "site")
	_, err = kube.NewWebApp(ctx, name, &kube.WebAppArgs{
		Namespace: namespace, Name: objects,
		Container: kube.Container{Image: pulumi.String("ghcr.io/example/shop:1.4.2"), Port: 8080, Resources: resources},
		Bindings: []kube.Binding{
			secret.Bind(server.Connection, redis.Environment{Host: "HOST", PasswordFile: "PASSWORD_FILE"}),
			{SecretEnv: map[string]kube.SecretKey{"KEY": {Secret: keys.Ref, Key: "KEY"}}},
		},
		Scaling: kube.Scaling{
			Min: 2, Max: 20, TargetCPUUtilization: 60, ScaleUpPercent: 900, ScaleDownWindowSeconds: 300,
			ScaleDownPercent: 50, ScaleDownPeriodSeconds: 60,
		},
		Ingress: &kube.IngressSpec{Class: "traefik"}, AllowFrom: []kube.Peer{{Namespace: "traefik"}},
		Shutdown: kube.Shutdown{LoadBalancerDelay: 5}, RolloutTimeoutSeconds: 120,
	}, opts...)
	return err
}

// An alias of a component applies to all of its descendants, whose names begin with its name: the engine changes
// nothing. Without the alias it would replace them.
func TestRename(t *testing.T) {
	p := newProjects(t)
	description := "name: renamed\nruntime: {name: go, options: {binary: " + os.Args[0] + "}}\n"
	if err := os.WriteFile(filepath.Join(p.root, "Pulumi.yaml"), []byte(description), 0o644); err != nil {
		t.Fatal(err)
	}
	p.must(".", "stack", "init", "prod")
	under := func(value string) { p.environment = append(p.environment, names+"="+value) }
	under("first")
	p.must(".", "up", "--yes", "--skip-preview")
	if created := len(p.substitute.left()); created < 12 {
		t.Errorf("got %d objects, want at least 12", created)
	}
	under("other")
	p.refused("no changes were expected", ".", "preview", "--expect-no-changes")
	under("aliased")
	p.substitute.forget()
	p.must(".", "preview", "--expect-no-changes")
	p.must(".", "up", "--yes", "--skip-preview")
	if s := p.substitute; len(s.created)+len(s.updated)+len(s.deleted) > 0 {
		t.Errorf("it created %v, updated %v and deleted %v", s.created, s.updated, s.deleted)
	}
	if state := p.must(".", "stack", "export"); !strings.Contains(state, "Deployment::site") {
		t.Error("the Deployment has its former name in the state")
	}
}
