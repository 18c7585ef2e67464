package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

const testPassword = "correct-horse-battery-staple"

func testRedis(network *Network) *RedisArgs {
	return &RedisArgs{
		Network: network, Password: pulumi.String(testPassword), Image: "redis:8.2", Limits: Limits{Memory: "128Mi"},
		Fsync: redis.FsyncEverySecond,
	}
}

// testWeb returns the arguments of an app that uses all features.
func testWeb(network *Network) *WebAppArgs {
	return &WebAppArgs{
		Network: network, Image: pulumi.String("app@sha256:0"), Port: 8080, User: 65532,
		HealthCommand: []string{"/app", "-healthcheck"}, Replicas: 3, Limits: Limits{CPU: "500m", Memory: "64Mi"},
		Shutdown: Shutdown{Serve: 4, LongestRequest: 10, ServeVariable: "DRAIN_DELAY", TimeoutVariable: "SHUTDOWN_TIMEOUT"},
		Redis: &RedisBinding{
			Connection:  redis.Connection{Host: pulumi.String("redis"), Port: redis.Port, Username: "app"},
			Password:    pulumi.String(testPassword),
			Environment: redis.Environment{Host: "REDIS_HOST", Port: "REDIS_PORT", PasswordFile: "REDIS_PASSWORD_FILE"},
		},
	}
}

// everything registers one of each component, all named after prefix.
func everything(ctx *pulumi.Context, prefix string) error {
	network, err := NewNetwork(ctx, prefix+"network", &NetworkArgs{Name: prefix + "net"})
	if err != nil {
		return err
	}
	server, err := NewRedis(ctx, prefix+"redis", testRedis(network))
	if err != nil {
		return err
	}
	args := testWeb(network)
	args.Redis.Connection = server.Connection
	web, err := NewWebApp(ctx, prefix+"web", args)
	if err != nil {
		return err
	}
	_, err = NewNginx(ctx, prefix+"nginx", nginxOf(network, web))
	return err
}

// nginxOf returns the arguments of an nginx in front of an app.
func nginxOf(network *Network, web *WebApp) *NginxArgs {
	args := testNginx
	args.Network, args.Image, args.ReadyPath, args.After = network, pulumi.String("nginx@sha256:0"), "/readyz", web.Ready
	args.Upstreams = []Upstream{{Host: web.Host, Port: web.Port}}
	return &args
}

// webContainer returns the inputs of an app's first container.
func webContainer(t *testing.T, change func(*WebAppArgs)) map[string]any {
	t.Helper()
	result := componenttest.Record(t, func(ctx *pulumi.Context) error {
		network, err := NewNetwork(ctx, "network", &NetworkArgs{Name: "net"})
		if err != nil {
			return err
		}
		args := testWeb(network)
		change(args)
		_, err = NewWebApp(ctx, "web", args)
		return err
	})
	return componenttest.Find(t, result, "Container", "web-1").Inputs
}

// variables returns the environment variables of a container, with secret values revealed.
func variables(t *testing.T, container map[string]any) map[string]string {
	t.Helper()
	found := map[string]string{}
	lines := container["envs"]
	if secret, all := lines.(offline.Secret); all {
		lines = secret.Value
	}
	list, _ := lines.([]any)
	for _, line := range list {
		secret, hidden := line.(offline.Secret)
		if hidden {
			line = secret.Value
		}
		name, value, ok := strings.Cut(line.(string), "=")
		if !ok {
			t.Errorf("%v is not a variable", line)
		}
		found[name] = value
	}
	return found
}

func TestTwoInstancesOfEachComponentCoexist(t *testing.T) {
	componenttest.Coexist(t, 11, everything)
	result := componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	componenttest.BelowComponents(t, result)
}

func TestNoSecretIsVisible(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	componenttest.Hides(t, result, 4, testPassword, redis.RequirePass(testPassword)[len("requirepass "):])
}

// The types are part of each URN: changing one replaces the containers of every stack.
func TestTypesStay(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	const begin = "urn:pulumi:test::scaleout::scaleout:index:"
	for _, urn := range []string{
		"DockerNetwork$docker:index/network:Network::network", "DockerRedis$docker:index/container:Container::redis",
		"DockerWebApp$docker:index/container:Container::web-1", "Nginx$docker:index/container:Container::nginx",
	} {
		if !slices.ContainsFunc(result.Resources, func(r offline.Resource) bool { return r.URN == begin+urn }) {
			t.Errorf("there is no %s", begin+urn)
		}
	}
}

// The chain makes the engine replace one container at a time, after the containers that it depends on.
func TestContainersFormAChain(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	var chain []*offline.Resource
	for _, name := range []string{"redis", "web-1", "web-2", "web-3", "nginx"} {
		chain = append(chain, componenttest.Find(t, result, "Container", name))
	}
	for i := 1; i < len(chain); i++ {
		if !slices.Contains(chain[i].Dependencies, chain[i-1].URN) {
			t.Errorf("%s does not depend on %s", chain[i].Name, chain[i-1].Name)
		}
	}
	network := componenttest.Find(t, result, "Network", "network")
	for _, c := range chain {
		if !slices.Contains(c.Dependencies, network.URN) {
			t.Errorf("%s does not depend on the network, so the network could not be deleted after it", c.Name)
		}
	}
}

// nginx must not change when containers of the app change: replacing it closes its port.
func TestNginxDoesNotChangeWithTheReplicas(t *testing.T) {
	inputs := func(replicas int) string {
		result := componenttest.Record(t, func(ctx *pulumi.Context) error {
			network, err := NewNetwork(ctx, "network", &NetworkArgs{Name: "net"})
			if err != nil {
				return err
			}
			args := testWeb(network)
			args.Replicas, args.Image = replicas, pulumi.String(fmt.Sprintf("app@sha256:%d", replicas))
			web, err := NewWebApp(ctx, "web", args)
			if err != nil {
				return err
			}
			_, err = NewNginx(ctx, "nginx", nginxOf(network, web))
			return err
		})
		return fmt.Sprint(componenttest.Find(t, result, "Container", "nginx").Inputs)
	}
	if two, five := inputs(2), inputs(5); two != five {
		t.Errorf("with 2 containers:\n%s\nwith 5:\n%s", two, five)
	}
}

// Docker has no preStop hook: the app itself keeps serving for the whole time, then finishes, and only then is
// killed.
func TestTimesFollowFromTheShutdown(t *testing.T) {
	for _, drain := range []Shutdown{{Serve: minServe, LongestRequest: 1}, {Serve: 31, LongestRequest: 3000}} {
		container := webContainer(t, func(a *WebAppArgs) {
			drain.ServeVariable, drain.TimeoutVariable = "DRAIN_DELAY", "SHUTDOWN_TIMEOUT"
			a.Shutdown = drain
		})
		got := variables(t, container)
		if got["DRAIN_DELAY"] != fmt.Sprintf("%ds", drain.Serve) ||
			got["SHUTDOWN_TIMEOUT"] != fmt.Sprintf("%ds", drain.LongestRequest) {
			t.Errorf("%+v: got %v", drain, got)
		}
		grace, _ := container["destroyGraceSeconds"].(int64)
		if grace <= int64(drain.Serve+drain.LongestRequest) || container["stopTimeout"] != grace {
			t.Errorf("%+v: killed after %d s, and by the daemon after %v", drain, grace, container["stopTimeout"])
		}
	}
}

func TestLimitsAreInDockersUnits(t *testing.T) {
	inputs := webContainer(t, func(*WebAppArgs) {})
	if inputs["memory"] != int64(64) || inputs["cpus"] != "0.5" {
		t.Errorf("64Mi and 500m became %v MiB and %v CPUs", inputs["memory"], inputs["cpus"])
	}
	unlimited := webContainer(t, func(a *WebAppArgs) { a.Limits.CPU = "" })
	if unlimited["cpus"] != nil {
		t.Errorf("without a limit: got %v CPUs, want none", unlimited["cpus"])
	}
}

// Every container is unprivileged, restarts after a crash and limits its logs.
func TestContainersAreRestricted(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	for _, name := range []string{"redis", "web-1", "nginx"} {
		inputs := componenttest.Find(t, result, "Container", name).Inputs
		user, _ := inputs["user"].(string)
		if offline.Lookup(inputs, "capabilities", "drops", 0) != "ALL" || user == "" || strings.HasPrefix(user, "0") ||
			fmt.Sprint(inputs["securityOpts"]) != "[no-new-privileges]" || inputs["restart"] != "unless-stopped" ||
			offline.Lookup(inputs, "logOpts", "max-size") != "10m" {
			t.Errorf("%s: got %v", name, inputs)
		}
	}
}

func TestRedisVolume(t *testing.T) {
	for _, volume := range []string{"", "kept"} {
		result := componenttest.Record(t, func(ctx *pulumi.Context) error {
			network, err := NewNetwork(ctx, "network", &NetworkArgs{Name: "net"})
			if err != nil {
				return err
			}
			args := testRedis(network)
			args.Volume = volume
			_, err = NewRedis(ctx, "redis", args)
			return err
		})
		mount := offline.Lookup(componenttest.Find(t, result, "Container", "redis").Inputs, "volumes", 0)
		name, _ := offline.Lookup(mount, "volumeName").(string)
		if offline.Lookup(mount, "containerPath") != "/data" || name != volume {
			t.Errorf("volume %q: got %v", volume, mount)
		}
	}
}

// A third-party app: no Redis, no health check and no variables of its own.
func TestAnyApp(t *testing.T) {
	inputs := webContainer(t, func(a *WebAppArgs) {
		*a = WebAppArgs{
			Network: a.Network, Image: pulumi.String("nginx@sha256:0"), Port: 80, User: 101, Replicas: 1,
			Limits: Limits{Memory: "64Mi"}, Shutdown: Shutdown{Serve: 4, LongestRequest: 10},
		}
	})
	// With wait and without a health check the provider fails after it has created the container.
	for _, name := range []string{"envs", "uploads", "entrypoints", "command", "tmpfs", "healthcheck", "wait"} {
		list, _ := inputs[name].([]any)
		if inputs[name] != nil && (list == nil || len(list) > 0) {
			t.Errorf("%s is %v, want nothing", name, inputs[name])
		}
	}
	if inputs["user"] != "101:101" {
		t.Errorf("got user %v", inputs["user"])
	}
}

func TestAppWithEverything(t *testing.T) {
	inputs := webContainer(t, func(a *WebAppArgs) {
		a.Command, a.Args = []string{"/app", "serve"}, []string{"-v"}
		a.Env = map[string]pulumi.StringInput{
			"LOG_LEVEL": pulumi.String("debug"), "REDIS_PORT": pulumi.String("1"),
			"TOKEN": pulumi.ToSecret(pulumi.String("s3cret")).(pulumi.StringOutput),
		}
		a.Files = map[string]pulumi.StringInput{"/etc/app/key": pulumi.String("from-a-file")}
		a.WritablePaths = []string{"/tmp", "/var/cache"}
	})
	want := map[string]string{
		"LOG_LEVEL": "debug", "REDIS_HOST": "redis", "REDIS_PORT": "1", "REDIS_PASSWORD_FILE": "/etc/redis/password",
		"DRAIN_DELAY": "4s", "SHUTDOWN_TIMEOUT": "10s", "TOKEN": "s3cret",
	}
	if got := variables(t, inputs); !maps.Equal(got, want) {
		t.Errorf("got variables %v, want %v", got, want)
	}
	for name, want := range map[string]string{
		"entrypoints": "[/app serve]", "command": "[-v]", "wait": "true",
		"tmpfs": fmt.Sprint(map[string]string{"/tmp": tmpfsOptions, "/var/cache": tmpfsOptions}),
	} {
		if got := fmt.Sprint(inputs[name]); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := fmt.Sprint(offline.Lookup(inputs, "healthcheck", "tests")); got != "[CMD /app -healthcheck]" {
		t.Errorf("got the health check %s", got)
	}
	files := map[string]any{}
	list, _ := inputs["uploads"].([]any)
	for i := range list {
		files[offline.Lookup(inputs, "uploads", i, "file").(string)] = offline.Lookup(inputs, "uploads", i, "content")
	}
	if !maps.Equal(files, map[string]any{
		"/etc/app/key": offline.Secret{Value: "from-a-file"}, "/etc/redis/password": offline.Secret{Value: testPassword},
	}) {
		t.Errorf("got files %v, want two, whose contents are secrets", files)
	}
}

// Some apps read the password from a variable, which is a secret too.
func TestPasswordAsVariable(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error {
		network, err := NewNetwork(ctx, "network", &NetworkArgs{Name: "net"})
		if err != nil {
			return err
		}
		args := testWeb(network)
		args.Redis.Environment = redis.Environment{Host: "REDIS_HOST", Password: "REDIS_PASSWORD"}
		_, err = NewWebApp(ctx, "web", args)
		return err
	})
	componenttest.Hides(t, result, 3, testPassword)
	inputs := componenttest.Find(t, result, "Container", "web-1").Inputs
	if got := variables(t, inputs); got["REDIS_PASSWORD"] != testPassword || got["REDIS_PASSWORD_FILE"] != "" {
		t.Errorf("got %v, want the password and no path", got)
	}
	if list, _ := inputs["uploads"].([]any); len(list) > 0 {
		t.Errorf("got the files %v, want none", list)
	}
}

// After may contain nil, and the caller's slice must not change.
func TestAfterIsNotChanged(t *testing.T) {
	componenttest.Record(t, func(ctx *pulumi.Context) error {
		network, err := NewNetwork(ctx, "network", &NetworkArgs{Name: "net"})
		if err != nil {
			return err
		}
		after := []pulumi.Resource{nil, network}
		_, err = NewNginx(ctx, "nginx", nginxOf(network, &WebApp{Host: "web", Port: 80, Ready: after}))
		if after[0] != nil || after[1] != network {
			t.Errorf("the caller's list became %v", after)
		}
		return err
	})
}

// One error names every field that is wrong.
func TestConstructorsRefuse(t *testing.T) {
	network := &Network{prefix: "net"}
	web := func(change func(*WebAppArgs)) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			args := testWeb(network)
			change(args)
			_, err := NewWebApp(ctx, "web", args)
			return err
		}
	}
	for name, test := range map[string]struct {
		program pulumi.RunFunc
		fields  []string
	}{
		"network": {func(ctx *pulumi.Context) error {
			_, err := NewNetwork(ctx, "network", &NetworkArgs{Name: "Net"})
			return err
		}, []string{"name"}},
		"network of Docker's": {func(ctx *pulumi.Context) error {
			_, err := NewNetwork(ctx, "network", &NetworkArgs{Name: "bridge"})
			return err
		}, []string{"name"}},
		"redis": {func(ctx *pulumi.Context) error {
			_, err := NewRedis(ctx, "redis", &RedisArgs{Image: "redis", Volume: "a b"})
			return err
		}, []string{"network", "password", "image", "limits.memory", "volume", "fsync"}},
		"web app": {func(ctx *pulumi.Context) error {
			_, err := NewWebApp(ctx, "web", &WebAppArgs{
				Env: map[string]pulumi.StringInput{"A-B": pulumi.String("x"), "EMPTY": nil}, Redis: &RedisBinding{},
				Files:  map[string]pulumi.StringInput{"relative": pulumi.String("x"), "/none": nil},
				Limits: Limits{CPU: "much", Memory: "5Mi"}, WritablePaths: []string{"/", "/a:ro"},
				Shutdown: Shutdown{Serve: 3, ServeVariable: "1", TimeoutVariable: "2"},
			})
			return err
		}, []string{"network", "image", "port", "user", "env", "env[EMPTY]", "files", "files[/none]", "writablePaths",
			"writablePaths", "redis.connection.host", "redis.connection.port", "redis.password", "redis.environment.host",
			"replicas", "limits.cpu", "limits.memory", "shutdown.serve", "shutdown.longestRequest", "shutdown.serveVariable",
			"shutdown.timeoutVariable"}},
		"a name that cannot be looked up": {func(ctx *pulumi.Context) error {
			_, err := NewWebApp(ctx, "my_web", testWeb(network))
			return err
		}, []string{"name"}},
		"two times in one variable": {web(func(a *WebAppArgs) { a.Shutdown.TimeoutVariable = a.Shutdown.ServeVariable }),
			[]string{"shutdown.timeoutVariable"}},
		"two of Redis in one variable": {web(func(a *WebAppArgs) { a.Redis.Environment.Port = "REDIS_HOST" }),
			[]string{"redis.environment.port"}},
		"an authority that it would not get": {web(func(a *WebAppArgs) {
			a.Redis.Connection.TLS, a.Redis.Environment.CAFile = true, "REDIS_CA"
		}), []string{"redis.environment.caFile"}},
		"a file that would be hidden": {web(func(a *WebAppArgs) { a.WritablePaths = []string{"/tmp", "/etc/redis"} }),
			[]string{"writablePaths"}},
		"the file of the password": {web(func(a *WebAppArgs) {
			a.Files = map[string]pulumi.StringInput{"/etc/redis/password": pulumi.String("x")}
		}), []string{"files"}},
		"too little": {web(func(a *WebAppArgs) { a.Limits = Limits{CPU: "9m", Memory: "6.5Mi"} }),
			[]string{"limits.memory", "limits.cpu"}},
		"nginx": {func(ctx *pulumi.Context) error {
			_, err := NewNginx(ctx, "nginx", &NginxArgs{
				Upstreams: []Upstream{{Host: "a b"}}, Balancing: "random",
			})
			return err
		}, []string{"network", "image", "readyPath", "upstreams[0].port", "upstreams[0].host", "publicPort",
			"longestRequestSeconds", "balancing", "maxBodyKilobytes"}},
		"nginx without upstreams": {func(ctx *pulumi.Context) error {
			args := nginxOf(network, &WebApp{})
			args.ReadyPath, args.Upstreams = "/a b", nil
			_, err := NewNginx(ctx, "nginx", args)
			return err
		}, []string{"upstreams", "readyPath"}},
	} {
		t.Run(name, func(t *testing.T) { componenttest.Refuses(t, test.program, test.fields...) })
	}
}
