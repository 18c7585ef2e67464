package kube

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/componenttest"
)

// One error names every field that is wrong.
func TestConstructorsRefuse(t *testing.T) {
	changed := func(change func(*WebAppArgs)) pulumi.RunFunc {
		web := testWeb()
		change(web)
		return webProgram(web)
	}
	tests := map[string]struct {
		program pulumi.RunFunc
		fields  []string
	}{
		"web app": {webProgram(&WebAppArgs{}), []string{
			"namespace", "container.image", "container.port", "container.resources.cpuRequest",
			"container.resources.memoryLimit",
			"scaling.min", "scaling.max", "scaling.targetCpuUtilization", "shutdown.loadBalancerDelay", "rolloutTimeoutSeconds",
		}},
		"scaling": {changed(func(w *WebAppArgs) { w.Scaling.Max, w.Scaling.Tolerance = 1, "5%" }),
			[]string{"scaling.max", "scaling.tolerance"}},
		"fixed and scaled": {changed(func(w *WebAppArgs) { w.Scaling.Fixed = 2 }), []string{"scaling.fixed"}},
		"container": {changed(func(w *WebAppArgs) {
			c := &w.Container
			c.Name, c.User, c.Metrics = "A", -1, &Metrics{Path: "metrics"}
			c.Env = map[string]pulumi.StringInput{"A-B": pulumi.String("")}
			c.DrainEnv, c.WritablePaths = DrainEnv{Delay: "a b", Timeout: "1"}, []string{"/tmp", "tmp", "/a/"}
			c.Probes = Probes{Startup: Probe{HTTP: "/", Exec: []string{"a"}}, Readiness: Probe{HTTP: "ready"},
				Liveness: Probe{HTTP: "/", Exec: []string{"a"}}}
			c.Resources = Resources{CPURequest: "500m", CPULimit: "100m", MemoryLimit: "64", EphemeralStorage: "1"}
		}), []string{
			"container.name", "container.user", "container.metrics.port", "container.metrics.path", "container.env",
			"container.drainEnv.delay", "container.drainEnv.timeout", "container.writablePaths[1]", "container.writablePaths[2]",
			"container.probes.startup.http", "container.probes.readiness.http", "container.probes.liveness.http",
			"container.resources.cpuLimit", "container.resources.memoryLimit", "container.resources.ephemeralStorage",
		}},
		"probe times": {changed(func(w *WebAppArgs) {
			w.Container.Probes.Liveness = Probe{PeriodSeconds: -1, TimeoutSeconds: 3601, FailureThreshold: -1}
		}), []string{
			"container.probes.liveness.periodSeconds", "container.probes.liveness.timeoutSeconds",
			"container.probes.liveness.failureThreshold",
		}},
		"a start longer than a rollout": {changed(func(w *WebAppArgs) {
			w.Container.Probes.Startup = Probe{PeriodSeconds: 2, FailureThreshold: 61}
		}), []string{"rolloutTimeoutSeconds"}},
		"nobody may call": {changed(func(w *WebAppArgs) { w.AllowFrom = nil }), []string{"allowFrom"}},
		"peers": {changed(func(w *WebAppArgs) {
			w.AllowFrom, w.AllowTo = []Peer{{CIDRs: pulumi.StringArray{}}}, []Peer{{Anyone: true}, {}}
		}), []string{"allowFrom[0].cidrs", "allowTo[1].pods"}},
		"bindings": {changed(func(w *WebAppArgs) {
			w.Bindings = []Binding{{}, {
				Env:       map[string]pulumi.StringInput{"1A": pulumi.String("")},
				SecretEnv: map[string]SecretKey{"TOKEN": {Key: "token"}},
				Files:     []SecretFiles{{Dir: "etc", Keys: []string{"../a"}}},
				AllowTo:   []Peer{{Namespace: "A"}},
			}}
		}), []string{
			"bindings[1].env", "bindings[1].secretEnv[TOKEN]", "bindings[1].files[0].secret", "bindings[1].files[0].dir",
			"bindings[1].files[0].keys", "bindings[1].allowTo[0].namespace",
		}},
		"two sources of one thing": {changed(func(w *WebAppArgs) {
			s := SecretRef{Name: pulumi.String("s")}
			w.Container.WritablePaths = []string{"/tmp", "/etc/a", "/tmp"}
			w.Bindings = []Binding{
				{Env: map[string]pulumi.StringInput{"A": pulumi.String("")}, Files: []SecretFiles{{Dir: "/etc/a", Secret: s}}},
				{SecretEnv: map[string]SecretKey{"A": {Secret: s, Key: "k"}}, Files: []SecretFiles{{Dir: "/etc/a", Secret: s}}},
			}
		}), []string{"bindings[1].secretEnv", "bindings[1].files[0].dir", "container.writablePaths[1]",
			"container.writablePaths[2]"}},
		"names": {changed(func(w *WebAppArgs) {
			w.Labels = map[string]string{"a b": "c", "app.kubernetes.io/name": "x"}
			w.PullSecrets = []string{"A"}
			w.PodAnnotations, w.ServiceAccountAnnotations = map[string]string{"a b": ""}, map[string]string{"": ""}
			w.Annotations = map[string]string{"a/b/c": ""}
			w.Placement = Placement{
				Architecture: "AMD 64", NodeSelector: map[string]string{"a": "b c"}, PriorityClass: "High",
			}
		}), []string{
			"labels", "labels", "pullSecrets", "annotations", "podAnnotations", "serviceAccountAnnotations",
			"placement.architecture", "placement.nodeSelector", "placement.priorityClass",
		}},
		"ingress": {changed(func(w *WebAppArgs) {
			w.Ingress = &IngressSpec{
				Class: "A", Hosts: []string{"A.example.com"}, Paths: []string{"api"}, PublicPort: -1, TLSSecret: "S",
				Annotations: map[string]string{"a b": ""},
			}
		}), []string{
			"ingress.class", "ingress.hosts", "ingress.paths", "ingress.publicPort", "ingress.tlsSecret", "ingress.annotations",
		}},
		"certificate without a name": {changed(func(w *WebAppArgs) { w.Ingress.TLSSecret = "tls" }),
			[]string{"ingress.hosts"}},
		"ALB": {changed(func(w *WebAppArgs) {
			w.Container.Probes = Probes{}
			w.Ingress = &IngressSpec{Class: "alb", Hosts: []string{"a.example.com"}, TLSSecret: "tls", ALB: &ALB{
				Scheme: "public", CertificateARN: pulumi.String("arn:x"), Group: "A b", AccessLogsBucket: "s3://logs",
				AccessLogsPrefix: "/x", WebACLARN: "arn:aws:wafv2:us-east-1:111122223333:global/webacl/a/b",
			}}
		}), []string{
			"container.probes.readiness.http", "ingress.tlsSecret", "ingress.alb.controller", "ingress.alb.scheme",
			"ingress.alb.certificateArn", "ingress.alb.tlsPolicy", "ingress.alb.group", "ingress.alb.accessLogsBucket",
			"ingress.alb.accessLogsPrefix", "ingress.alb.webAclArn",
		}},
		"redis": {func(ctx *pulumi.Context) error {
			_, err := NewRedis(ctx, "redis", &RedisArgs{Image: "redis", StorageClass: "A", Clients: []map[string]string{nil}})
			return err
		}, []string{
			"namespace", "secret", "image", "clients[0]", "resources.cpuRequest", "resources.memoryLimit", "storageSize",
			"storageClass", "fsync",
		}},
		"size of the folder of a redis": {func(ctx *pulumi.Context) error {
			args := testRedis(&RedisSecret{})
			args.Ephemeral, args.StorageSize = true, "big"
			_, err := NewRedis(ctx, "redis", args)
			return err
		}, []string{"storageSize"}},
		"redis secret": {func(ctx *pulumi.Context) error {
			_, err := NewRedisSecret(ctx, "redis", &RedisSecretArgs{Name: "my redis"})
			return err
		}, []string{"namespace", "name", "password"}},
		"secret": {func(ctx *pulumi.Context) error {
			_, err := NewSecret(ctx, "s", &SecretArgs{
				Name: "A", Data: map[string]pulumi.StringInput{"a b": pulumi.String(testPassword), "c": nil},
			})
			return err
		}, []string{"namespace", "name", "data", "data[c]"}},
		"empty secret": {func(ctx *pulumi.Context) error {
			_, err := NewSecret(ctx, "s", &SecretArgs{Namespace: pulumi.String("ns")})
			return err
		}, []string{"data"}},
		"ALB class": {func(ctx *pulumi.Context) error {
			_, err := NewALBClass(ctx, "alb", &ALBClassArgs{Name: "A", LoadBalancers: &ALB{Controller: EKSAutoMode,
				Scheme: "none"}})
			return err
		}, []string{"name", "controller", "loadBalancers.scheme"}},
		"namespace": {func(ctx *pulumi.Context) error {
			_, err := NewNamespace(ctx, "my ns", &NamespaceArgs{Name: "UPPER", ALBController: "other",
				PodSecurityVersion: "1.34"})
			return err
		}, []string{"name", "albController", "podSecurityVersion", "component"}},
		"namespace of Kubernetes": {func(ctx *pulumi.Context) error {
			_, err := NewNamespace(ctx, "ns", &NamespaceArgs{Name: "kube-public"})
			return err
		}, []string{"name"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { componenttest.Refuses(t, test.program, test.fields...) })
	}
}

// Kubernetes appends suffixes to names, and a label is limited to 63 characters.
func TestLongNamesAreRefused(t *testing.T) {
	components := map[string]func(ctx *pulumi.Context, component, object string) error{
		"web app": func(ctx *pulumi.Context, component, object string) error {
			web := testWeb()
			web.Name = object
			_, err := NewWebApp(ctx, component, web)
			return err
		},
		"redis secret": func(ctx *pulumi.Context, component, object string) error {
			args := testRedisSecret()
			args.Name = object
			_, err := NewRedisSecret(ctx, component, args)
			return err
		},
		"redis": func(ctx *pulumi.Context, component, object string) error {
			args := testRedis(&RedisSecret{ref: SecretRef{Name: pulumi.String("s"), Version: pulumi.String("1")}})
			args.Name = object
			_, err := NewRedis(ctx, component, args)
			return err
		},
		"secret": func(ctx *pulumi.Context, component, object string) error {
			_, err := NewSecret(ctx, component, &SecretArgs{
				Namespace: pulumi.String("ns"), Name: object, Data: map[string]pulumi.StringInput{"a": pulumi.String("b")},
			})
			return err
		},
	}
	long, longest := strings.Repeat("a", 53), strings.Repeat("a", 52)
	for kind, create := range components {
		t.Run(kind, func(t *testing.T) {
			program := func(component, object string) pulumi.RunFunc {
				return func(ctx *pulumi.Context) error { return create(ctx, component, object) }
			}
			componenttest.Refuses(t, program(long, ""), "name")
			componenttest.Refuses(t, program("short", long), "name")
			componenttest.Refuses(t, program("My "+kind, ""), "name")
			componenttest.Record(t, program(longest, ""))
			componenttest.Record(t, program("My "+long, longest)) // then no object has the component's name
		})
	}
}

// Problems are reported in a stable order.
func TestMessagesAreInOrder(t *testing.T) {
	args := &SecretArgs{Data: map[string]pulumi.StringInput{"a": nil, "b": nil, "c": nil, "d": nil, "e": nil}}
	want := check.Join("x", args.Validate()).Error()
	for range 20 {
		if got := check.Join("x", args.Validate()).Error(); got != want {
			t.Fatalf("got %s, want %s", got, want)
		}
	}
}
