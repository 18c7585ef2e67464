package kube

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

const testPassword = "correct-horse-battery-staple"

var (
	testResources = Resources{CPURequest: "100m", CPULimit: "500m", MemoryLimit: "64Mi"}
	testScaling   = Scaling{
		Min: 2, Max: 10, TargetCPUUtilization: 50,
		ScaleUpPercent: 900, ScaleDownWindowSeconds: 60, ScaleDownPercent: 100, ScaleDownPeriodSeconds: 15,
	}
	testNames = redis.Environment{
		Host: "REDIS_HOST", Port: "REDIS_PORT", TLS: "REDIS_TLS", Username: "REDIS_USERNAME",
		PasswordFile: "REDIS_PASSWORD_FILE", CAFile: "REDIS_CA_FILE",
	}
	testElsewhere = redis.Connection{Host: pulumi.String("redis.example.com"), Port: 6380, TLS: true, Username: "app"}
)

// minimalWeb returns the minimal arguments of a web app.
func minimalWeb() *WebAppArgs {
	return &WebAppArgs{
		Namespace: pulumi.String("ns"),
		Container: Container{Image: pulumi.String("x@sha256:0"), Port: 8080, Resources: testResources},
		Scaling:   Scaling{Fixed: 2}, Shutdown: Shutdown{LoadBalancerDelay: 5}, RolloutTimeoutSeconds: 120,
	}
}

// testWeb returns the arguments of an app with an autoscaler, behind an ingress controller.
func testWeb() *WebAppArgs {
	web := minimalWeb()
	web.Scaling, web.Ingress = testScaling, &IngressSpec{Class: "traefik"}
	web.AllowFrom = []Peer{{Namespace: "traefik"}}
	web.Container.Probes = HTTPProbes("/livez", "/readyz")
	web.Container.DrainEnv = DrainEnv{Delay: "DRAIN_DELAY", Timeout: "SHUTDOWN_TIMEOUT"}
	return web
}

// testALB returns an Ingress through a load balancer with HTTPS.
func testALB() *IngressSpec {
	return &IngressSpec{Class: "alb", Hosts: []string{"a.example.com"}, ALB: &ALB{
		Controller: EKSAutoMode, Scheme: "internal", TLSPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
		CertificateARN: pulumi.String("arn:aws:acm:eu-central-1:111122223333:certificate/0-0"),
	}}
}

func testRedis(secret *RedisSecret) *RedisArgs {
	return &RedisArgs{
		Namespace: pulumi.String("ns"), Secret: secret, Image: "docker.io/redis:8.2", Resources: testResources,
		StorageSize: "1Gi", Fsync: redis.FsyncEverySecond, Clients: []map[string]string{WebAppPods("web")},
	}
}

func testRedisSecret() *RedisSecretArgs {
	return &RedisSecretArgs{Namespace: pulumi.String("ns"), Password: pulumi.String(testPassword)}
}

// everything registers one of each component, all named after prefix.
func everything(ctx *pulumi.Context, prefix string) error {
	class, err := NewALBClass(ctx, prefix+"alb", &ALBClassArgs{Name: prefix + "alb", Controller: EKSAutoMode})
	if err != nil {
		return err
	}
	namespace, err := NewNamespace(ctx, prefix+"namespace", &NamespaceArgs{Name: prefix + "ns"})
	if err != nil {
		return err
	}
	own, err := NewSecret(ctx, prefix+"own", &SecretArgs{
		Namespace: namespace.Name, Data: map[string]pulumi.StringInput{"TOKEN": pulumi.String("t-" + testPassword)},
	})
	if err != nil {
		return err
	}
	args := testRedisSecret()
	args.Namespace = namespace.Name
	secret, err := NewRedisSecret(ctx, prefix+"redis", args)
	if err != nil {
		return err
	}
	inCluster := testRedis(secret)
	inCluster.Namespace, inCluster.Clients = namespace.Name, []map[string]string{WebAppPods(prefix + "web")}
	server, err := NewRedis(ctx, prefix+"redis", inCluster)
	if err != nil {
		return err
	}
	web := testWeb()
	web.Namespace, web.IngressController = namespace.Name, class.Ready
	web.Bindings = []Binding{
		secret.Bind(server.Connection, testNames),
		{SecretEnv: map[string]SecretKey{"TOKEN": {Secret: own.Ref, Key: "TOKEN"}}},
	}
	_, err = NewWebApp(ctx, prefix+"web", web)
	return err
}

func recordEverything(t *testing.T) *offline.Result {
	t.Helper()
	return componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
}

// recordWeb records the resources of a single web app.
func recordWeb(t *testing.T, web *WebAppArgs) *offline.Result {
	t.Helper()
	return componenttest.Record(t, webProgram(web))
}

func webProgram(web *WebAppArgs) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := NewWebApp(ctx, "web", web)
		return err
	}
}

func TestTwoInstancesOfEachComponentCoexist(t *testing.T) { componenttest.Coexist(t, 30, everything) }

func TestEveryResourceIsBelowAComponent(t *testing.T) {
	componenttest.BelowComponents(t, recordEverything(t))
}

func TestNoSecretIsVisible(t *testing.T) {
	// The second is the beginning of the password in its escaped form in the configuration of Redis.
	componenttest.Hides(t, recordEverything(t), 4, testPassword, `\x63\x6f\x72`)
}

func TestPodsAreRestricted(t *testing.T) {
	full := testWeb()
	full.Container.WritablePaths = []string{"/tmp"}
	for _, result := range []*offline.Result{recordEverything(t), recordWeb(t, minimalWeb()), recordWeb(t, full)} {
		pods := componenttest.Pods(result)
		if len(pods) == 0 {
			t.Error("there are no pods")
		}
		for name, template := range pods {
			for _, problem := range componenttest.Unrestricted(template) {
				t.Errorf("%s: %s", name, problem)
			}
		}
	}
}

// A load balancer injects its readiness gate only into pods that are created after it, and the reverse order of
// deletion lets its controller clean up.
func TestWebAppIsCreatedInOrder(t *testing.T) {
	result := recordEverything(t)
	find := func(kind, name string) *offline.Resource { return componenttest.Find(t, result, kind, name) }
	order := []*offline.Resource{
		find("Namespace", "namespace"), find("Service", "web"), find("Ingress", "web"), find("Deployment", "web"),
		find("HorizontalPodAutoscaler", "web"),
	}
	for i := 1; i < len(order); i++ {
		if !result.DependsOn(order[i].URN, order[i-1].URN) {
			t.Errorf("%s does not depend on %s", order[i].Type, order[i-1].Type)
		}
	}
	if !result.DependsOn(order[2].URN, find("IngressClass", "alb").URN) {
		t.Error("the Ingress does not depend on its controller, so its load balancer would never be cleaned up")
	}
	for _, before := range []*offline.Resource{
		find("ServiceAccount", "web"), find("NetworkPolicy", "web"), find("PodDisruptionBudget", "web"),
		find("StatefulSet", "redis"), find("Secret", "redis-auth"), find("Secret", "own"),
	} {
		if !result.DependsOn(order[3].URN, before.URN) {
			t.Errorf("the Deployment does not depend on %s %s", before.Type, before.Name)
		}
	}
}

func TestNetworkPolicies(t *testing.T) {
	result := recordEverything(t)
	for _, c := range []struct{ policy, direction, want string }{
		{"web", "ingress", "namespace traefik 8080"},
		{"web", "egress", "redis 6379"},
		{"redis", "ingress", "web 6379"},
		{"redis", "egress", ""},
		{"namespace-default-deny", "ingress", ""},
		{"namespace-default-deny", "egress", ""},
		{"namespace-allow-dns", "egress", "anyone 53, anyone 53"},
	} {
		if got := strings.Join(componenttest.Openings(t, result, c.policy, c.direction), ", "); got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.policy, c.direction, got, c.want)
		}
	}
	// A direction that is not in policyTypes is unrestricted, whatever the rules are.
	for policy, want := range map[string]int{"web": 2, "redis": 2, "namespace-default-deny": 2, "namespace-allow-dns": 1} {
		types, _ := componenttest.Value(t, result, "NetworkPolicy", policy, "spec", "policyTypes").([]any)
		if len(types) != want {
			t.Errorf("%s restricts %v, want %d directions", policy, types, want)
		}
	}
}

// A Namespace pins the version of Pod Security, so that an upgrade of the cluster rejects no pods.
func TestNamespaceHasTheVersionOfPodSecurity(t *testing.T) {
	for given, want := range map[string]string{"": "v1.30", "v1.34": "v1.34", "latest": "latest"} {
		result := componenttest.Record(t, func(ctx *pulumi.Context) error {
			_, err := NewNamespace(ctx, "n", &NamespaceArgs{Name: "ns", ALBController: EKSAutoMode, PodSecurityVersion: given})
			return err
		})
		labels := componenttest.Value(t, result, "Namespace", "n", "metadata", "labels")
		for _, mode := range []string{"enforce", "audit", "warn"} {
			level := offline.Lookup(labels, "pod-security.kubernetes.io/"+mode)
			version := offline.Lookup(labels, "pod-security.kubernetes.io/"+mode+"-version")
			if level != "restricted" || version != want {
				t.Errorf("%s: got %v of %v, want restricted of %s", mode, level, version, want)
			}
		}
		if gate := offline.Lookup(labels, "eks.amazonaws.com/pod-readiness-gate-inject"); gate != "enabled" {
			t.Errorf("readiness gate label: got %v, want enabled", gate)
		}
	}
}
