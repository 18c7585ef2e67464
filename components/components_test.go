package components

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/internal/offline"
)

const testPassword = "correct-horse-battery-staple"

var (
	testResources = Resources{CPURequest: "100m", CPULimit: "500m", MemoryLimit: "64Mi"}
	testScaling   = Scaling{
		MinReplicas: 2, MaxReplicas: 10, TargetCPUUtilization: 50,
		ScaleUpPercent: 900, ScaleDownWindowSeconds: 60, ScaleDownPercent: 100, ScaleDownPeriodSeconds: 15,
	}
	testRedis = RedisSettings{
		Image: "redis:8.2", Resources: testResources, StorageSize: "1Gi", Fsync: FsyncEverySecond,
	}
	testWeb = WebAppSettings{
		Resources: testResources, Scaling: testScaling, Route: Route{Class: "traefik"},
		Callers: Callers{Namespace: "traefik"}, Drain: Drain{LoadBalancerDelay: 5}, RolloutTimeoutSeconds: 120,
		LogLevel: "info",
	}
	testAlerts = Alerts{
		Namespace: "ns", Runbook: "docs/runbook.md",
		Objectives: Objectives{AvailabilityPercent: 99.9, FastPercent: 99, FastMilliseconds: 100},
	}
	testALB = Route{Class: "alb", Host: "a.example.com", ALB: &ALB{
		Controller: EKSAutoMode, Scheme: "internal", TLSPolicy: "ELBSecurityPolicy-TLS13-1-2-2021-06",
		CertificateARN: pulumi.String("arn:aws:acm:eu-central-1:111122223333:certificate/0-0"),
	}}
)

// everything registers one of each component, all named after prefix.
func everything(ctx *pulumi.Context, prefix string) error {
	image, err := NewImage(ctx, prefix+"app", &ImageArgs{
		Repository:    pulumi.String("localhost:5001/app"),
		ImageSettings: ImageSettings{Context: "testdata/context", Platform: "linux/amd64"},
	})
	if err != nil {
		return err
	}
	if err := everythingOnDocker(ctx, prefix, image.Ref); err != nil {
		return err
	}
	if err := everythingOnAWS(ctx, prefix); err != nil {
		return err
	}
	traefik, err := NewTraefik(ctx, prefix+"traefik", &TraefikArgs{
		Image: "traefik:v3.6.12", HTTPNodePort: 30080, HTTPSNodePort: 30443, PublishedHost: "localhost", Replicas: 2,
	})
	if err != nil {
		return err
	}
	namespace, err := NewNamespace(ctx, prefix+"namespace", &NamespaceArgs{Name: prefix + "ns"})
	if err != nil {
		return err
	}
	if _, err := NewExternalRedis(ctx, prefix+"external", &ExternalRedisArgs{
		Namespace: namespace.Name, Password: pulumi.String(testPassword),
		ExternalRedisSettings: ExternalRedisSettings{Host: "redis.example.com", Port: 6380, TLS: true},
	}); err != nil {
		return err
	}
	redis, err := NewRedis(ctx, prefix+"redis", &RedisArgs{
		Namespace: namespace.Name, Password: pulumi.String(testPassword), RedisSettings: testRedis,
		Clients: []App{WebAppPods(prefix + "web")},
	})
	if err != nil {
		return err
	}
	if _, err = NewWebApp(ctx, prefix+"web", &WebAppArgs{
		Namespace: namespace.Name, Image: image.Ref, Redis: redis.Connection,
		Scrapers:          []App{PrometheusPods(prefix + "prometheus")},
		IngressController: traefik.Ready, WebAppSettings: testWeb,
	}); err != nil {
		return err
	}
	return everyMonitoring(ctx, prefix, namespace)
}

func everyMonitoring(ctx *pulumi.Context, prefix string, namespace *Namespace) error {
	if _, err := NewOperatorMonitoring(ctx, prefix+"operator", &OperatorMonitoringArgs{
		Namespace: namespace.Name, App: WebAppPods(prefix + "web"), Alerts: testAlerts, Labels: map[string]string{"release": "x"},
	}); err != nil {
		return err
	}
	state, err := NewKubeStateMetrics(ctx, prefix+"state", &KubeStateMetricsArgs{
		Namespace: namespace.Name, Image: "kube-state-metrics:v2.19.1", Readers: []App{PrometheusPods(prefix + "prometheus")},
	})
	if err != nil {
		return err
	}
	prometheus, err := NewPrometheus(ctx, prefix+"prometheus", &PrometheusArgs{
		Namespace: namespace.Name, App: WebAppPods(prefix + "web"), Alerts: testAlerts,
		KubeStateMetrics: state.Address, KubeStateMetricsPods: KubeStateMetricsPods(prefix + "state"),
		Readers:            []App{GrafanaPods(prefix + "grafana")},
		PrometheusSettings: PrometheusSettings{Image: "prometheus:v3.5.0", RetentionDays: 15, StorageSize: "5Gi"},
	})
	if err != nil {
		return err
	}
	_, err = NewGrafana(ctx, prefix+"grafana", &GrafanaArgs{
		Namespace: namespace.Name, Image: "grafana:12.2.0", Prometheus: prometheus.URL,
		PrometheusPods: PrometheusPods(prefix + "prometheus"),
	})
	return err
}

func record(t *testing.T, program pulumi.RunFunc) *offline.Result {
	t.Helper()
	result, err := offline.Record(program)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// find returns the resource of a type (the part after the last colon) and a name.
func find(t *testing.T, result *offline.Result, kind, name string) *offline.Resource {
	t.Helper()
	for i, r := range result.Resources {
		if strings.HasSuffix(r.Type, ":"+kind) && r.Name == name {
			return &result.Resources[i]
		}
	}
	t.Fatalf("no %s %q was registered", kind, name)
	return nil
}

// The recorder refuses two resources with one URN or one object, so what is asserted here is that there are twice as
// many as for one of each.
func TestTwoInstancesOfEachComponentCoexist(t *testing.T) {
	one := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	two := record(t, func(ctx *pulumi.Context) error {
		if err := everything(ctx, "a-"); err != nil {
			return err
		}
		return everything(ctx, "b-")
	})
	if got, want := len(two.Resources), 2*len(one.Resources); got != want || want < 60 {
		t.Errorf("two instances registered %d resources, want twice the %d of one", got, len(one.Resources))
	}
}

func TestEveryResourceIsBelowAComponent(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	for _, r := range result.Resources {
		if r.Custom && r.Parent == "" {
			t.Errorf("%s %s has no parent: the tree would show it apart from its component", r.Type, r.Name)
		}
		if !r.Custom && !strings.HasPrefix(r.Type, "scaleout:index:") {
			t.Errorf("component %s has the type %s, want scaleout:index:<Name>", r.Name, r.Type)
		}
		if !r.Custom && len(r.Inputs) == 0 {
			t.Errorf("component %s %s was registered without its inputs", r.Type, r.Name)
		}
	}
}

// A load balancer injects its readiness gate only into pods that come after it, and the reverse order of deletion lets
// its controller clean up.
func TestWebAppIsCreatedInOrder(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	order := []*offline.Resource{
		find(t, result, "Namespace", "namespace"), find(t, result, "Service", "web"), find(t, result, "Ingress", "web"),
		find(t, result, "Deployment", "web"), find(t, result, "HorizontalPodAutoscaler", "web"),
	}
	for i := 1; i < len(order); i++ {
		if !dependsOn(result, order[i], order[i-1].URN) {
			t.Errorf("%s does not depend on %s", order[i].Type, order[i-1].Type)
		}
	}
	if !dependsOn(result, order[2], find(t, result, "Deployment", "traefik").URN) {
		t.Error("the Ingress does not depend on its controller: it would be deleted after it, and never cleaned up")
	}
	for _, guard := range []string{"ServiceAccount", "NetworkPolicy", "PodDisruptionBudget"} {
		if !dependsOn(result, order[3], find(t, result, guard, "web").URN) {
			t.Errorf("the Deployment does not depend on its %s", guard)
		}
	}
}

func dependsOn(result *offline.Result, r *offline.Resource, urn string) bool {
	return result.DependsOn(r.URN, urn)
}

func TestNoSecretIsVisible(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	hidden := 0
	for _, r := range result.Resources {
		if text := visible(r.Inputs, &hidden); strings.Contains(text, testPassword) || strings.Contains(text, `\x63\x6f\x72`) {
			t.Errorf("%s %s shows the password", r.Type, r.Name)
		}
	}
	if hidden < 4 {
		t.Errorf("only %d values are marked as secret, so the test above proves little", hidden)
	}
}

// The line of configuration is for a server, and the app's Secret of a Redis elsewhere has none.
func TestSecretHoldsOnlyWhatIsRead(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	for name, want := range map[string][]string{"redis-auth": {"auth.conf", "password"}, "external-auth": {"password"}} {
		data := offline.Lookup(find(t, result, "Secret", name).Inputs, "stringData")
		if secret, marked := data.(offline.Secret); marked {
			data = secret.Value
		}
		fields, _ := data.(map[string]any)
		if got := slices.Sorted(maps.Keys(fields)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// visible is all text in a value that is not marked as secret; it counts the marks.
func visible(v any, hidden *int) string {
	switch v := v.(type) {
	case offline.Secret:
		*hidden++
		return ""
	case []any:
		var all strings.Builder
		for _, x := range v {
			all.WriteString(visible(x, hidden))
		}
		return all.String()
	case map[string]any:
		var all strings.Builder
		for _, x := range v {
			all.WriteString(visible(x, hidden))
		}
		return all.String()
	}
	return fmt.Sprint(v)
}

func TestImageIsTaggedByContentAndNamedByDigest(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	image := find(t, result, "Image", "app").Inputs
	name, _ := offline.Lookup(image, "imageName").(string)
	if !strings.HasPrefix(name, "localhost:5001/app:") || len(name) != len("localhost:5001/app:")+tagLength {
		t.Errorf("got image name %q, want localhost:5001/app:<%d digits>", name, tagLength)
	}
	pod := offline.Lookup(find(t, result, "Deployment", "web").Inputs, "spec", "template", "spec", "containers", 0, "image")
	if _, unknown := pod.(offline.Unknown); !unknown {
		t.Errorf("before the push the pod's image is %v, want it unknown: only the registry knows the digest", pod)
	}
}

func TestCheckDigest(t *testing.T) {
	good := "localhost:5001/app@sha256:" + strings.Repeat("0a", 32)
	if got, err := checkDigest(good); err != nil || got != good {
		t.Errorf("got %q, %v, want %q accepted", got, err, good)
	}
	for _, bad := range []string{"", "sha256:" + strings.Repeat("0a", 32), "localhost:5001/app:tag", good + "0"} {
		if _, err := checkDigest(bad); err == nil || !strings.Contains(err.Error(), "push") {
			t.Errorf("%q: got %v, want a refusal that says what to check", bad, err)
		}
	}
}

func TestALBFollowsFromTheRoute(t *testing.T) {
	web := testWeb
	web.Route, web.Drain = testALB, Drain{LoadBalancerDelay: 25}
	web.Callers = Callers{CIDRs: pulumi.ToStringArray([]string{"10.0.0.0/16"})}
	result := record(t, func(ctx *pulumi.Context) error {
		namespace, err := NewNamespace(ctx, "ns", &NamespaceArgs{Name: "ns", ReadinessGate: AutoModeGate})
		if err != nil {
			return err
		}
		redis, err := NewExternalRedis(ctx, "redis", &ExternalRedisArgs{
			Namespace: namespace.Name, Password: pulumi.String(testPassword),
			ExternalRedisSettings: ExternalRedisSettings{Host: "redis.example.com", Port: 6380, TLS: true, Username: "app"},
		})
		if err != nil {
			return err
		}
		_, err = NewWebApp(ctx, "web", &WebAppArgs{
			Namespace: namespace.Name, Image: pulumi.String("x@sha256:0"), Redis: redis.Connection, WebAppSettings: web,
		})
		return err
	})
	annotations, _ := offline.Lookup(find(t, result, "Ingress", "web").Inputs, "metadata", "annotations").(map[string]any)
	for key, want := range map[string]string{
		"scheme": "internal", "target-type": "ip", "healthcheck-path": readyPath, "ssl-redirect": "443",
		"listen-ports": `[{"HTTP":80},{"HTTPS":443}]`, "certificate-arn": "arn:aws:acm:eu-central-1:111122223333:certificate/0-0",
		"ssl-policy":               testALB.ALB.TLSPolicy,
		"load-balancer-attributes": "idle_timeout.timeout_seconds=60,routing.http.drop_invalid_header_fields.enabled=true",
		"target-group-attributes": fmt.Sprintf("deregistration_delay.timeout_seconds=%d,"+
			"load_balancing.algorithm.type=least_outstanding_requests", web.Drain.Deregistration()),
	} {
		if got := annotations["alb.ingress.kubernetes.io/"+key]; got != want {
			t.Errorf("annotation %s: got %v, want %q", key, got, want)
		}
	}
	label := offline.Lookup(find(t, result, "Namespace", "ns").Inputs, "metadata", "labels", string(AutoModeGate))
	if label != "enabled" {
		t.Errorf("readiness gate label: got %v, want enabled", label)
	}
	pod := find(t, result, "Deployment", "web").Inputs
	for name, want := range map[string]string{
		"REDIS_HOST": "redis.example.com", "REDIS_PORT": "6380", "REDIS_TLS": "true", "REDIS_USERNAME": "app",
	} {
		if got := variable(pod, name); got != want {
			t.Errorf("%s: got %v, want %q", name, got, want)
		}
	}
}

// variable is the value of an environment variable of a Deployment's container.
func variable(deployment map[string]any, name string) any {
	vars, _ := offline.Lookup(deployment, "spec", "template", "spec", "containers", 0, "env").([]any)
	for _, v := range vars {
		if offline.Lookup(v, "name") == name {
			return offline.Lookup(v, "value")
		}
	}
	return nil
}

// The pod, the app and the load balancer get their times from one number.
func TestDrainReachesEveryPlace(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	d, pod := testWeb.Drain, find(t, result, "Deployment", "web").Inputs
	spec := offline.Lookup(pod, "spec", "template", "spec")
	sleep := offline.Lookup(spec, "containers", 0, "lifecycle", "preStop", "sleep", "seconds")
	if sleep != int64(d.PreStop()) || offline.Lookup(spec, "terminationGracePeriodSeconds") != int64(d.Grace()) {
		t.Errorf("got sleep %v and grace %v, want %d and %d", sleep,
			offline.Lookup(spec, "terminationGracePeriodSeconds"), d.PreStop(), d.Grace())
	}
	if got, want := variable(pod, "DRAIN_DELAY"), fmt.Sprintf("%ds", d.AppDrain()); got != want {
		t.Errorf("DRAIN_DELAY: got %v, want %s", got, want)
	}
}

func TestPodDisruptionBudgetOnlyWhereAnotherPodRemains(t *testing.T) {
	for minimum, want := range map[int]bool{1: false, 2: true, 3: true} {
		web := testWeb
		web.Scaling.MinReplicas = minimum
		result := record(t, func(ctx *pulumi.Context) error { return webAlone(ctx, web) })
		got := slices.ContainsFunc(result.Resources, func(r offline.Resource) bool {
			return strings.HasSuffix(r.Type, ":PodDisruptionBudget")
		})
		if got != want {
			t.Errorf("minReplicas %d: got a budget: %t, want %t", minimum, got, want)
		}
	}
}

func webAlone(ctx *pulumi.Context, settings WebAppSettings) error {
	_, err := NewWebApp(ctx, "web", &WebAppArgs{
		Namespace: pulumi.String("ns"), Image: pulumi.String("x@sha256:0"), WebAppSettings: settings,
		Redis: RedisConnection{
			Host: pulumi.String("redis").ToStringOutput(), Port: 6379, Secret: pulumi.String("s").ToStringOutput(),
			Password: pulumi.String("p").ToStringOutput(),
		},
	})
	return err
}

// Tenfold reaches maxReplicas from minReplicas in one decision.
func TestScaleUpPercentIsThePolicy(t *testing.T) {
	for _, percent := range []int64{100, 900} {
		web := testWeb
		web.Scaling.ScaleUpPercent = int(percent)
		result := record(t, func(ctx *pulumi.Context) error { return webAlone(ctx, web) })
		up := offline.Lookup(find(t, result, "HorizontalPodAutoscaler", "web").Inputs, "spec", "behavior", "scaleUp")
		if got := offline.Lookup(up, "policies", 0, "value"); got != percent {
			t.Errorf("got %v, want %d", got, percent)
		}
		if kind := offline.Lookup(up, "policies", 1, "type"); kind != "Pods" || offline.Lookup(up, "policies", 1, "value") != int64(4) {
			t.Errorf("the second policy is not that of four pods: %v", up)
		}
	}
}

func TestFsyncIsThatOfTheSettings(t *testing.T) {
	for _, fsync := range []string{FsyncEverySecond, FsyncAlways} {
		if got := redisConfiguration("128Mi", fsync); !strings.Contains(got, "\nappendfsync "+fsync+"\n") {
			t.Errorf("got %q, want appendfsync %s", got, fsync)
		}
	}
}

func TestToleranceOnlyIfSet(t *testing.T) {
	for _, tolerance := range []string{"", "0.05"} {
		web := testWeb
		web.Scaling.Tolerance = tolerance
		result := record(t, func(ctx *pulumi.Context) error { return webAlone(ctx, web) })
		hpa := find(t, result, "HorizontalPodAutoscaler", "web").Inputs
		got, _ := offline.Lookup(hpa, "spec", "behavior", "scaleUp", "tolerance").(string)
		if got != tolerance {
			t.Errorf("got tolerance %q, want %q", got, tolerance)
		}
	}
}

// One error names every field that is wrong.
func TestConstructorsRefuse(t *testing.T) {
	badWeb := testWeb
	badWeb.Resources.CPURequest, badWeb.Scaling.MinReplicas, badWeb.LogLevel = "", 0, "loud"
	tests := map[string]struct {
		program pulumi.RunFunc
		fields  []string
	}{
		"web app": {func(ctx *pulumi.Context) error { return webAlone(ctx, badWeb) },
			[]string{"cpuRequest", "minReplicas", "logLevel"}},
		"autoscaler": {func(ctx *pulumi.Context) error {
			_, err := NewAutoscaler(ctx, "hpa", &AutoscalerArgs{App: WebAppPods("web"), Container: "web", Scaling: testScaling})
			return err
		}, []string{"namespace", "cpuRequest"}},
		"ingress": {func(ctx *pulumi.Context) error {
			_, err := NewIngress(ctx, "in", &IngressArgs{Route: Route{TLSSecret: "tls"}})
			return err
		}, []string{"app.instance", "namespace", "healthPath", "ingressClass", "host", "loadBalancerDelaySeconds"}},
		"redis": {func(ctx *pulumi.Context) error {
			_, err := NewRedis(ctx, "redis", &RedisArgs{RedisSettings: RedisSettings{Image: "redis"}})
			return err
		}, []string{"namespace", "password", "image", "cpuRequest", "memoryLimit", "storageSize", "fsync"}},
		"external redis": {func(ctx *pulumi.Context) error {
			_, err := NewExternalRedis(ctx, "redis", &ExternalRedisArgs{Name: "my redis"})
			return err
		}, []string{"namespace", "name", "password", "host", "port"}},
		"image": {func(ctx *pulumi.Context) error {
			_, err := NewImage(ctx, "app", &ImageArgs{ImageSettings: ImageSettings{
				Context: "/abs", BuildArgs: map[string]string{"VERSION": "1"}, Username: "me",
			}})
			return err
		}, []string{"repository", "context", "platform", "buildArgs", "username"}},
		"image of nothing": {func(ctx *pulumi.Context) error {
			_, err := NewImage(ctx, "app", &ImageArgs{Repository: pulumi.String("r/app"), ImageSettings: ImageSettings{
				Context: "testdata/missing", Platform: "linux/amd64",
			}})
			return err
		}, []string{"context"}},
		"ECR repository": {func(ctx *pulumi.Context) error {
			_, err := NewECRRepository(ctx, "r", &ECRRepositoryArgs{Name: "No Spaces", KMSKeyARN: "alias/mine"})
			return err
		}, []string{"name", "keepImages", "kmsKeyArn"}},
		"ALB": {func(ctx *pulumi.Context) error {
			web := testWeb
			web.Route = Route{Class: "alb", Host: "a.example.com", ALB: &ALB{
				Scheme: "public", CertificateARN: pulumi.String("arn:x"), Group: "A b", AccessLogsBucket: "s3://logs",
				AccessLogsPrefix: "/x", WebACLARN: "arn:aws:wafv2:us-east-1:111122223333:global/webacl/a/b",
			}}
			return webAlone(ctx, web)
		}, []string{"albController", "albScheme", "certificateArn", "tlsPolicy", "albGroup", "accessLogsBucket", "accessLogsPrefix", "webAclArn"}},
		"ALB class": {func(ctx *pulumi.Context) error {
			_, err := NewALBClass(ctx, "alb", &ALBClassArgs{Name: "A", LoadBalancers: &ALB{Controller: EKSAutoMode, Scheme: "none"}})
			return err
		}, []string{"ingressClass", "albController", "albScheme"}},
		"certificate": {func(ctx *pulumi.Context) error {
			_, err := NewCertificate(ctx, "c", &CertificateArgs{Domain: "localhost", ZoneID: pulumi.String("example.com")})
			return err
		}, []string{"domain", "zoneId"}},
		"alias": {func(ctx *pulumi.Context) error {
			_, err := NewAlias(ctx, "a", &AliasArgs{Host: "a_b"})
			return err
		}, []string{"host", "zoneId", "target"}},
		"ElastiCache": {func(ctx *pulumi.Context) error {
			_, err := NewElastiCache(ctx, "redis", &ElastiCacheArgs{ElastiCacheSettings: ElastiCacheSettings{
				Name: "My-Cache", Engine: "redis", EngineVersion: "8", BackupDays: 36, KMSKeyARN: "mine",
				Replicas: &ElastiCacheReplicas{NodeType: "t4g.small", Count: 6, MaintenanceWindow: "Sunday", FinalSnapshot: "-"},
			}})
			return err
		}, []string{"namespace", "password", "access", "vpc", "subnets", "clients", "name", "engineVersion", "backupDays",
			"kmsKeyArn", "replicas", "nodeType", "maintenanceWindow", "finalSnapshot"}},
		"serverless ElastiCache": {func(ctx *pulumi.Context) error {
			settings := testElastiCache
			settings.Engine, settings.Serverless = "memcached", &ElastiCacheServerless{MaxECPUs: 999}
			return elastiCacheAlone(ctx, settings)
		}, []string{"engine", "kind", "maxGigabytes", "maxEcpus"}},
		"namespace": {func(ctx *pulumi.Context) error {
			_, err := NewNamespace(ctx, "ns", &NamespaceArgs{Name: "UPPER", ReadinessGate: "other"})
			return err
		}, []string{"name", "readinessGate"}},
		"traefik": {func(ctx *pulumi.Context) error {
			_, err := NewTraefik(ctx, "traefik", &TraefikArgs{Image: "traefik:latest", HTTPNodePort: 80})
			return err
		}, []string{"image", "httpNodePort", "httpsNodePort", "replicas", "publishedHost"}},
		"metrics-server": {func(ctx *pulumi.Context) error {
			_, err := NewMetricsServer(ctx, "metrics-server", &MetricsServerArgs{})
			return err
		}, []string{"image"}},
		"kube-state-metrics": {func(ctx *pulumi.Context) error {
			_, err := NewKubeStateMetrics(ctx, "state", &KubeStateMetricsArgs{})
			return err
		}, []string{"namespace", "image"}},
		"prometheus": {func(ctx *pulumi.Context) error {
			_, err := NewPrometheus(ctx, "prometheus", &PrometheusArgs{PrometheusSettings: PrometheusSettings{StorageClass: "A"}})
			return err
		}, []string{"namespace", "app", "kubeStateMetrics", "namespace", "sloAvailabilityPercent", "sloFastPercent", "sloFastMilliseconds",
			"runbook", "image", "retentionDays", "storageSize", "storageClass"}},
		"grafana": {func(ctx *pulumi.Context) error {
			_, err := NewGrafana(ctx, "grafana", &GrafanaArgs{Image: "grafana"})
			return err
		}, []string{"namespace", "image", "prometheus", "prometheusPods"}},
		"operator monitoring": {func(ctx *pulumi.Context) error {
			_, err := NewOperatorMonitoring(ctx, "m", &OperatorMonitoringArgs{Alerts: testAlerts, Labels: map[string]string{"a b": "c"}})
			return err
		}, []string{"namespace", "app", "labels"}},
		"docker network": {func(ctx *pulumi.Context) error {
			_, err := NewDockerNetwork(ctx, "network", &DockerNetworkArgs{Name: "Net"})
			return err
		}, []string{"name"}},
		"docker redis": {func(ctx *pulumi.Context) error {
			_, err := NewDockerRedis(ctx, "redis", &DockerRedisArgs{DockerRedisSettings: DockerRedisSettings{
				Image: "redis", Volume: "a b",
			}})
			return err
		}, []string{"network", "password", "image", "memoryLimit", "volume", "fsync"}},
		"docker web app": {func(ctx *pulumi.Context) error {
			_, err := NewDockerWebApp(ctx, "web", &DockerWebAppArgs{DockerWebAppSettings: DockerWebAppSettings{
				Limits: DockerLimits{CPU: "much", Memory: "5Mi"}, Drain: Drain{LoadBalancerDelay: 2},
			}})
			return err
		}, []string{"network", "image", "redis", "replicas", "cpuLimit", "memoryLimit", "loadBalancerDelaySeconds", "logLevel"}},
		"nginx": {func(ctx *pulumi.Context) error {
			_, err := NewNginx(ctx, "nginx", &NginxArgs{
				Upstreams:     []Upstream{{Host: "a b"}},
				NginxSettings: NginxSettings{Balancing: "random", MaxFails: -1, Limits: DockerLimits{Memory: "6.5Mi"}},
			})
			return err
		}, []string{"network", "image", "port", "weight", "host", "publicPort", "memoryLimit", "workers", "balancing", "maxFails",
			"failTimeoutSeconds", "idleConnections", "maxBodyKilobytes", "maxHeaderKilobytes"}},
		"nginx without upstreams": {func(ctx *pulumi.Context) error {
			_, err := NewNginx(ctx, "nginx", &NginxArgs{
				Network: &DockerNetwork{}, Image: pulumi.String("x:0"), NginxSettings: testNginx,
			})
			return err
		}, []string{"upstreams"}},
		"provider of two clusters": {func(ctx *pulumi.Context) error {
			_, err := NewProvider(ctx, "cluster", Cluster{Kind: &KindCluster{}, EKS: &EKSCluster{}})
			return err
		}, []string{"target"}},
		"provider of another context": {func(ctx *pulumi.Context) error {
			_, err := NewProvider(ctx, "cluster", Cluster{Kind: &KindCluster{Context: "production"}})
			return err
		}, []string{"kubeContext"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := offline.Record(test.program)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, field := range test.fields {
				if !strings.Contains(err.Error(), "\n  "+field+": ") {
					t.Errorf("got %q, want a line for %s", err, field)
				}
			}
			if lines := strings.Count(err.Error(), "\n  "); lines != len(test.fields) {
				t.Errorf("got %d problems, want %d: %v", lines, len(test.fields), err)
			}
		})
	}
}

// No password can end the configuration line or start a second one.
func FuzzRequirePass(f *testing.F) {
	f.Add("simple")
	f.Add("\"\nsave 1 1")
	f.Fuzz(func(t *testing.T, password string) {
		line := requirePass(password)
		body, ok := strings.CutPrefix(line, `requirepass "`)
		body, end := strings.CutSuffix(body, "\"\n")
		if !ok || !end || len(body) != 4*len(password) || strings.ContainsAny(body, "\"\n ") {
			t.Errorf("%q becomes %q", password, line)
		}
	})
}
