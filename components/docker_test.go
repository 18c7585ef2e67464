package components

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/internal/offline"
)

var (
	testDockerWeb = DockerWebAppSettings{
		Replicas: 3, Limits: DockerLimits{CPU: "500m", Memory: "64Mi"}, Drain: Drain{LoadBalancerDelay: 3}, LogLevel: "info",
	}
	testDockerRedis = DockerRedisSettings{
		Image: "redis:8.2", Limits: DockerLimits{Memory: "128Mi"}, Fsync: FsyncEverySecond,
	}
)

// everythingOnDocker registers one of each component for a Docker host, all named after prefix.
func everythingOnDocker(ctx *pulumi.Context, prefix string, image pulumi.StringInput) error {
	network, err := NewDockerNetwork(ctx, prefix+"network", &DockerNetworkArgs{Name: prefix + "net"})
	if err != nil {
		return err
	}
	redis, err := NewDockerRedis(ctx, prefix+"docker-redis", &DockerRedisArgs{
		Network: network, Password: pulumi.String(testPassword),
		DockerRedisSettings: testDockerRedis,
	})
	if err != nil {
		return err
	}
	web, err := NewDockerWebApp(ctx, prefix+"docker-web", &DockerWebAppArgs{
		Network: network, Image: image, Redis: redis.Connection, DockerWebAppSettings: testDockerWeb,
	})
	if err != nil {
		return err
	}
	_, err = NewNginx(ctx, prefix+"nginx", &NginxArgs{
		Network: network, Image: image, After: web.Ready, NginxSettings: testNginx,
		Upstreams: []Upstream{{Host: web.Host, Port: web.Port, Weight: 1}},
	})
	return err
}

// The chain is what makes the engine touch one container at a time, and in an order in which each finds what it needs.
func TestDockerContainersFormAChain(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	var chain []*offline.Resource
	for _, name := range []string{"docker-redis", "docker-web-1", "docker-web-2", "docker-web-3", "nginx"} {
		chain = append(chain, find(t, result, "Container", name))
	}
	for i := 1; i < len(chain); i++ {
		if !slices.Contains(chain[i].Dependencies, chain[i-1].URN) {
			t.Errorf("%s does not depend on %s", chain[i].Name, chain[i-1].Name)
		}
	}
	network := find(t, result, "Network", "network")
	for _, c := range chain {
		if !slices.Contains(c.Dependencies, network.URN) {
			t.Errorf("%s does not depend on the network, so the network could not be deleted after it", c.Name)
		}
	}
}

// nginx must stay as it is when containers of the app come and go: to replace it closes its port.
func TestNginxDoesNotChangeWithTheReplicas(t *testing.T) {
	inputs := func(replicas int) string {
		result := record(t, func(ctx *pulumi.Context) error {
			network, err := NewDockerNetwork(ctx, "network", &DockerNetworkArgs{Name: "net"})
			if err != nil {
				return err
			}
			settings := testDockerWeb
			settings.Replicas = replicas
			web, err := NewDockerWebApp(ctx, "web", &DockerWebAppArgs{
				Network: network, Image: pulumi.String(fmt.Sprintf("app@sha256:%d", replicas)), DockerWebAppSettings: settings,
				Redis: DockerRedisConnection{Host: "redis", Port: 6379, Password: pulumi.String("p").ToStringOutput()},
			})
			if err != nil {
				return err
			}
			_, err = NewNginx(ctx, "nginx", &NginxArgs{
				Network: network, Image: pulumi.String("nginx@sha256:0"), After: web.Ready, NginxSettings: testNginx,
				Upstreams: []Upstream{{Host: web.Host, Port: web.Port, Weight: 1}},
			})
			return err
		})
		return fmt.Sprint(find(t, result, "Container", "nginx").Inputs)
	}
	if two, five := inputs(2), inputs(5); two != five {
		t.Errorf("with 2 containers:\n%s\nwith 5:\n%s", two, five)
	}
}

// In Docker the app itself has to serve for the whole time, and the order of the times is as in Kubernetes.
func TestDockerTimesFollowFromTheDelay(t *testing.T) {
	for delay := minDockerDelay; delay <= maxLoadBalancerDelay; delay++ {
		args := DockerWebAppArgs{Image: pulumi.String("x"), DockerWebAppSettings: testDockerWeb,
			Redis: DockerRedisConnection{Host: "redis", Port: 6379, Password: pulumi.String("p").ToStringOutput()}}
		args.Drain.LoadBalancerDelay = delay
		container := args.container()
		envs := fmt.Sprint(container.Envs)
		serves := args.Drain.PreStop() + args.Drain.AppDrain()
		if want := fmt.Sprintf("DRAIN_DELAY=%ds", serves); !strings.Contains(envs, want) || serves <= delay {
			t.Fatalf("delay %d: got %s, want %s, which is more than the delay", delay, envs, want)
		}
		grace := container.DestroyGraceSeconds.(pulumi.Int)
		if int(grace) <= serves+args.Drain.Shutdown() {
			t.Fatalf("delay %d: killed after %d s, but it may serve for %d s and finish for %d s", delay, grace, serves, args.Drain.Shutdown())
		}
	}
}

func TestDockerLimitsAreInDockersUnits(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	inputs := find(t, result, "Container", "docker-web-1").Inputs
	if inputs["memory"] != int64(64) || inputs["cpus"] != "0.5" {
		t.Errorf("64Mi and 500m became %v MiB and %v CPUs", inputs["memory"], inputs["cpus"])
	}
	if unlimited := find(t, result, "Container", "docker-redis").Inputs["cpus"]; unlimited != nil {
		t.Errorf("without a limit there is one of %v", unlimited)
	}
}

func TestDockerRedisVolume(t *testing.T) {
	for _, volume := range []string{"", "kept"} {
		settings := testDockerRedis
		settings.Volume = volume
		result := record(t, func(ctx *pulumi.Context) error {
			network, err := NewDockerNetwork(ctx, "network", &DockerNetworkArgs{Name: "net"})
			if err != nil {
				return err
			}
			_, err = NewDockerRedis(ctx, "redis", &DockerRedisArgs{
				Network: network, Password: pulumi.String(testPassword),
				DockerRedisSettings: settings,
			})
			return err
		})
		mount := offline.Lookup(find(t, result, "Container", "redis").Inputs, "volumes", 0)
		name, _ := offline.Lookup(mount, "volumeName").(string)
		if offline.Lookup(mount, "containerPath") != "/data" || name != volume {
			t.Errorf("volume %q: got %v", volume, mount)
		}
	}
}
