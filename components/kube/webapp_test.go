package kube

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// An app requires only an image and a port.
func TestMinimalApp(t *testing.T) {
	result := recordWeb(t, minimalWeb())
	for _, kind := range []string{"Ingress", "HorizontalPodAutoscaler", "Secret", "ConfigMap"} {
		if componenttest.Has(result, kind) {
			t.Errorf("there is a %s, want none", kind)
		}
	}
	deployment := componenttest.Find(t, result, "Deployment", "web").Inputs
	if got := offline.Lookup(deployment, "spec", "replicas"); got != int64(2) {
		t.Errorf("got %v pods, want 2", got)
	}
	if got := componenttest.Openings(t, result, "web", "ingress"); got != nil {
		t.Errorf("%q may connect to the app, want no peer", got)
	}
	service := componenttest.Find(t, result, "Service", "web").Inputs
	if port := offline.Lookup(service, "spec", "ports", 0, "targetPort"); port != "http" {
		t.Errorf("the Service has target port %v, want http", port)
	}
	template := offline.Lookup(deployment, "spec", "template")
	if got := offline.Lookup(template, "metadata", "annotations"); got != nil {
		t.Errorf("got annotations %v, want none", got)
	}
	container := offline.Lookup(template, "spec", "containers", 0)
	for probe, want := range map[string]string{
		"startupProbe":   `{"failureThreshold":30,"periodSeconds":1,"tcpSocket":{"port":"http"},"timeoutSeconds":2}`,
		"readinessProbe": `{"failureThreshold":2,"periodSeconds":2,"tcpSocket":{"port":"http"},"timeoutSeconds":2}`,
		"livenessProbe":  `{"failureThreshold":3,"periodSeconds":10,"tcpSocket":{"port":"http"},"timeoutSeconds":2}`,
		"ports":          `[{"containerPort":8080,"name":"http"}]`,
	} {
		if got := asJSON(t, offline.Lookup(container, probe)); got != want {
			t.Errorf("%s: got %s, want %s", probe, got, want)
		}
	}
	for _, absent := range []string{"env", "command", "args", "volumeMounts"} {
		if got := offline.Lookup(container, absent); got != nil {
			t.Errorf("%s is %v, want none", absent, got)
		}
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestURL(t *testing.T) {
	secured := testWeb()
	secured.Ingress.Hosts, secured.Ingress.TLSSecret, secured.Ingress.PublicPort = []string{"a.example.com"}, "tls", 8443
	anyName := testWeb()
	for want, web := range map[string]*WebAppArgs{
		"http://web.ns.svc/": minimalWeb(), "https://a.example.com:8443/": secured, "http://lb.example.com/": anyName,
	} {
		engine := &componenttest.Engine{}
		urls := make(chan string, 1) // the program does not wait for an output that no resource uses
		err := engine.Run(func(ctx *pulumi.Context) error {
			w, err := NewWebApp(ctx, "web", web)
			if err == nil {
				w.URL.ApplyT(func(u string) string { urls <- u; return u })
			}
			return err
		})
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		select {
		case url := <-urls:
			if url != want {
				t.Errorf("got %q, want %s", url, want)
			}
		case <-time.After(time.Minute):
			t.Errorf("got no URL, want %s", want)
		}
	}
}

// Unset fields of a probe have the defaults of its kind, and the startup probe uses the check of the liveness probe.
func TestProbes(t *testing.T) {
	web := testWeb()
	web.Container.Probes = Probes{
		Startup:   Probe{FailureThreshold: 100}, // 100 s, below the rollout timeout of 120 s
		Readiness: Probe{HTTP: "/ready", PeriodSeconds: 7},
		Liveness:  Probe{Exec: []string{"check", "--all"}, TimeoutSeconds: 20, PeriodSeconds: 60, FailureThreshold: 5},
	}
	container := offline.Lookup(podSpec(t, recordWeb(t, web)), "containers", 0)
	const command = `{"exec":{"command":["check","--all"]},`
	for probe, want := range map[string]string{
		// A command that may take 20 s would never succeed within the default of 2 s.
		"startupProbe": command + `"failureThreshold":100,"periodSeconds":1,"timeoutSeconds":20}`,
		"readinessProbe": `{"failureThreshold":2,"httpGet":{"path":"/ready","port":"http"},` +
			`"periodSeconds":7,"timeoutSeconds":2}`,
		"livenessProbe": command + `"failureThreshold":5,"periodSeconds":60,"timeoutSeconds":20}`,
	} {
		if got := asJSON(t, offline.Lookup(container, probe)); got != want {
			t.Errorf("%s: got %s, want %s", probe, got, want)
		}
	}
}

func TestSeveralHostsAndPaths(t *testing.T) {
	web := testWeb()
	web.Ingress.Hosts, web.Ingress.Paths = []string{"a.example.com", "b.example.com"}, []string{"/api", "/static"}
	web.Ingress.TLSSecret, web.Ingress.Annotations = "tls", map[string]string{"example.com/a": "b"}
	ingress := componenttest.Find(t, recordWeb(t, web), "Ingress", "web").Inputs
	var got []string
	rules, _ := offline.Lookup(ingress, "spec", "rules").([]any)
	for _, rule := range rules {
		paths, _ := offline.Lookup(rule, "http", "paths").([]any)
		for _, path := range paths {
			if offline.Lookup(path, "pathType") != "Prefix" || offline.Lookup(path, "backend", "service", "name") != "web" {
				t.Errorf("got path %v, want a prefix that is routed to web", path)
			}
			got = append(got, offline.Lookup(rule, "host").(string)+offline.Lookup(path, "path").(string))
		}
	}
	want := []string{"a.example.com/api", "a.example.com/static", "b.example.com/api", "b.example.com/static"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := asJSON(t, offline.Lookup(ingress, "spec",
		"tls")); got != `[{"hosts":["a.example.com","b.example.com"],"secretName":"tls"}]` {
		t.Errorf("the certificate is for %s", got)
	}
	if got := asJSON(t, offline.Lookup(ingress, "metadata", "annotations")); got != `{"example.com/a":"b"}` {
		t.Errorf("got annotations %s, want those of the Ingress", got)
	}
}

func TestALBFollowsFromTheIngress(t *testing.T) {
	web := testWeb()
	web.Ingress, web.Shutdown = testALB(), Shutdown{LoadBalancerDelay: 25, LongestRequest: 20}
	web.Ingress.Annotations = map[string]string{
		"alb.ingress.kubernetes.io/healthy-threshold-count": "5", "example.com/owner": "team",
	}
	ingress := componenttest.Find(t, recordWeb(t, web), "Ingress", "web")
	annotations, _ := offline.Lookup(ingress.Inputs, "metadata", "annotations").(map[string]any)
	for key, want := range map[string]string{
		"scheme": "internal", "target-type": "ip", "healthcheck-path": "/readyz", "ssl-redirect": "443",
		"listen-ports":             `[{"HTTP":80},{"HTTPS":443}]`,
		"certificate-arn":          "arn:aws:acm:eu-central-1:111122223333:certificate/0-0",
		"ssl-policy":               "ELBSecurityPolicy-TLS13-1-2-2021-06",
		"load-balancer-attributes": "idle_timeout.timeout_seconds=60,routing.http.drop_invalid_header_fields.enabled=true",
		// 25 s until no new request arrives, a fifth of that for open connections, and 20 s for the last request.
		"target-group-attributes": "deregistration_delay.timeout_seconds=50," +
			"load_balancing.algorithm.type=least_outstanding_requests",
		"success-codes":           "200-399",
		"healthy-threshold-count": "5", // overridden by the Ingress
	} {
		if got := annotations["alb.ingress.kubernetes.io/"+key]; got != want {
			t.Errorf("annotation %s: got %v, want %q", key, got, want)
		}
	}
	if annotations["example.com/owner"] != "team" || len(annotations) != 14 {
		t.Errorf("got %d annotations, want 14 including those of the Ingress: %v", len(annotations), annotations)
	}
	// Another scheme makes the controller create another load balancer, and the Ingress must not keep the old address.
	replaced, _ := ingress.Options["replaceOnChanges"].([]any)
	if !slices.Contains(replaced, any(`metadata.annotations["alb.ingress.kubernetes.io/scheme"]`)) ||
		ingress.Options["deleteBeforeReplace"] != true {
		t.Errorf("got options %v, want another scheme to replace the Ingress", ingress.Options)
	}
}

// busyWeb uses all features of a pod.
func busyWeb() *WebAppArgs {
	a := SecretRef{Name: pulumi.String("secret-a"), Version: pulumi.String("1")}
	b := SecretRef{Name: pulumi.String("secret-b"), Version: pulumi.String("2")}
	web := testWeb()
	web.Labels, web.PodAnnotations = map[string]string{"team": "shop"}, map[string]string{"example.com/scan": "no"}
	web.Annotations = map[string]string{"example.com/owner": "shop"}
	c := &web.Container
	c.Command, c.Args, c.User = []string{"/app"}, []string{"--verbose", "a b"}, 1000
	c.Metrics, c.WritablePaths = &Metrics{Port: 9090}, []string{"/tmp", "/var/cache"}
	c.Env = map[string]pulumi.StringInput{"Z": pulumi.String("own"), "OVERRIDDEN": pulumi.String("own"),
		"TOKEN": pulumi.String("own")}
	web.Bindings = []Binding{{
		Env:       map[string]pulumi.StringInput{"OVERRIDDEN": pulumi.String("binding"), "B": pulumi.String("b")},
		SecretEnv: map[string]SecretKey{"PASSWORD": {Secret: a, Key: "password"}, "TOKEN": {Secret: a, Key: "token"}},
		Files:     []SecretFiles{{Dir: "/etc/a", Secret: a, Keys: []string{"password"}}, {Dir: "/etc/b", Secret: b}},
	}}
	web.Placement = Placement{
		Architecture: "arm64", NodeSelector: map[string]string{"pool": "web"}, PriorityClass: "high",
		Tolerations: corev1.TolerationArray{corev1.TolerationArgs{
			Key: pulumi.String("spot"), Operator: pulumi.String("Exists"),
		}},
	}
	web.ServiceAccountAnnotations = map[string]string{"eks.amazonaws.com/role-arn": testRole}
	web.PullSecrets = []string{"registry"}
	return web
}

func TestPodOfABusyApp(t *testing.T) {
	result := recordWeb(t, busyWeb())
	spec := podSpec(t, result)
	container := offline.Lookup(spec, "containers", 0)
	for _, c := range []struct {
		of   any
		path []any
		want string
	}{
		{container, []any{"command"}, `["/app"]`},
		{container, []any{"args"}, `["--verbose","a b"]`},
		{container, []any{"ports"}, `[{"containerPort":8080,"name":"http"},{"containerPort":9090,"name":"metrics"}]`},
		{container, []any{"env"}, `[{"name":"B","value":"b"},{"name":"DRAIN_DELAY","value":"1s"},` +
			`{"name":"OVERRIDDEN","value":"own"},{"name":"SHUTDOWN_TIMEOUT","value":"10s"},{"name":"TOKEN","value":"own"},` +
			`{"name":"Z","value":"own"},` +
			`{"name":"PASSWORD","valueFrom":{"secretKeyRef":{"key":"password","name":"secret-a"}}}]`},
		{container, []any{"volumeMounts"}, `[{"mountPath":"/etc/a","name":"secret-0","readOnly":true},` +
			`{"mountPath":"/etc/b","name":"secret-1","readOnly":true},{"mountPath":"/tmp","name":"writable-0"},` +
			`{"mountPath":"/var/cache","name":"writable-1"}]`},
		{spec, []any{"volumes"},
			`[{"name":"secret-0","secret":{"defaultMode":288,"items":[{"key":"password","path":"password"}],` +
				`"secretName":"secret-a"}},{"name":"secret-1","secret":{"defaultMode":288,"secretName":"secret-b"}},` +
				`{"emptyDir":{"sizeLimit":"64Mi"},"name":"writable-0"},{"emptyDir":{"sizeLimit":"64Mi"},"name":"writable-1"}]`},
		{spec, []any{"securityContext", "runAsUser"}, `1000`},
		{spec, []any{"nodeSelector"}, `{"kubernetes.io/arch":"arm64","pool":"web"}`},
		{spec, []any{"tolerations"}, `[{"key":"spot","operator":"Exists"}]`},
		{spec, []any{"priorityClassName"}, `"high"`},
		{spec, []any{"imagePullSecrets"}, `[{"name":"registry"}]`},
		{spec, []any{"serviceAccountName"}, `"web"`},
		{spec, []any{"automountServiceAccountToken"}, `false`},
	} {
		if got := asJSON(t, offline.Lookup(c.of, c.path...)); got != c.want {
			t.Errorf("%v:\ngot  %s\nwant %s", c.path, got, c.want)
		}
	}
	account := componenttest.Find(t, result, "ServiceAccount", "web").Inputs
	if role := offline.Lookup(account, "metadata", "annotations", "eks.amazonaws.com/role-arn"); role != testRole {
		t.Errorf("the account has the role %v, want %s", role, testRole)
	}
	for range 5 { // maps are unordered, and each difference would replace the pods
		if again := podSpec(t, recordWeb(t, busyWeb())); !reflect.DeepEqual(again, spec) {
			t.Fatalf("the same app has another pod:\n%v\n%v", again, spec)
		}
	}
}

// The pods are replaced if and only if data that they read at their start has changed.
func TestChecksum(t *testing.T) {
	sum := func(change func(*WebAppArgs)) any {
		web := busyWeb()
		change(web)
		template := componenttest.Value(t, recordWeb(t, web), "Deployment", "web", "spec", "template")
		if offline.Lookup(template, "metadata", "annotations", "example.com/scan") != "no" {
			t.Error("the app's own annotation is missing")
		}
		return offline.Lookup(template, "metadata", "annotations", "checksum/config")
	}
	before := sum(func(*WebAppArgs) {})
	if before == nil || before != sum(func(w *WebAppArgs) { w.Scaling.Max++ }) {
		t.Errorf("got checksum %v, and another one for the same Secrets", before)
	}
	for name, change := range map[string]func(*WebAppArgs){
		"another version of a file's Secret": func(w *WebAppArgs) {
			w.Bindings[0].Files[1].Secret.Version = pulumi.String("3")
		},
		"another version of a variable's Secret": func(w *WebAppArgs) {
			key := w.Bindings[0].SecretEnv["PASSWORD"]
			key.Secret.Version = pulumi.String("3")
			w.Bindings[0].SecretEnv["PASSWORD"] = key
		},
		"another value of what a binding names": func(w *WebAppArgs) { w.Bindings[0].RollOn = pulumi.String("1") },
	} {
		if after := sum(change); after == before {
			t.Errorf("%s: the checksum is unchanged, so the pods are not replaced", name)
		}
	}
}

// Labels may change at any time, and selectors must not:
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#label-selector-updates
func TestLabelsAreOnAllObjectsAndInNoSelector(t *testing.T) {
	result := recordWeb(t, busyWeb())
	found := 0
	for i := range result.Resources {
		r := &result.Resources[i]
		object, ok := r.Object()
		if !ok {
			continue
		}
		found++
		owner := offline.Lookup(r.Inputs, "metadata", "annotations", "example.com/owner")
		if own := object.Kind != "Ingress" && object.Kind != "HorizontalPodAutoscaler"; own != (owner == "shop") {
			t.Errorf("%s has the owner %v", object, owner)
		}
		if team := offline.Lookup(r.Inputs, "metadata", "labels", "team"); team != "shop" {
			t.Errorf("%s has the team %v, want shop", object, team)
		}
		for _, path := range [][]any{
			{"spec", "selector"}, {"spec", "selector", "matchLabels"}, {"spec", "podSelector", "matchLabels"},
		} {
			if team := offline.Lookup(r.Inputs, append(path, "team")...); team != nil {
				t.Errorf("%s selects by team", object)
			}
		}
	}
	if found < 7 {
		t.Errorf("got %d objects, want at least 7", found)
	}
	wait := componenttest.Value(t, result, "Service", "web", "metadata", "annotations", "pulumi.com/skipAwait")
	if wait != "true" {
		t.Errorf("a custom annotation replaced the library's: %v", wait)
	}
	template := componenttest.Value(t, result, "Deployment", "web", "spec", "template")
	if owner := offline.Lookup(template, "metadata", "annotations", "example.com/owner"); owner != nil {
		t.Errorf("the pods have the annotation of the objects: %v", owner)
	}
	labels, _ := offline.Lookup(template, "metadata", "labels").(map[string]any)
	want := []string{
		"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/name",
		"app.kubernetes.io/part-of", "team",
	}
	if got := slices.Sorted(maps.Keys(labels)); !slices.Equal(got, want) {
		t.Errorf("the pods have the labels %v, want %v", got, want)
	}
	if spread := asJSON(t, offline.Lookup(template, "spec", "topologySpreadConstraints")); strings.Contains(spread,
		"team") {
		t.Errorf("the pods are spread by team: %s", spread)
	}
}

// Metrics on the app's own port must not add a second port of that number, about which Kubernetes warns.
func TestMetricsOnTheAppsPort(t *testing.T) {
	web := testWeb()
	web.Container.Metrics = &Metrics{Port: web.Container.Port, Path: "/m"}
	ports := asJSON(t, offline.Lookup(podSpec(t, recordWeb(t, web)), "containers", 0, "ports"))
	if ports != `[{"containerPort":8080,"name":"http"}]` || web.Container.MetricsPortName() != "http" {
		t.Errorf("got ports %s and the name %s, want one port http", ports, web.Container.MetricsPortName())
	}
	if other := (&Container{Port: 80, Metrics: &Metrics{Port: 81}}); other.MetricsPortName() != "metrics" {
		t.Errorf("got %s, want metrics", other.MetricsPortName())
	}
}

func TestPodDisruptionBudgetOnlyWhereAnotherPodRemains(t *testing.T) {
	for pods := 1; pods <= 3; pods++ {
		scaled, fixed := testWeb(), minimalWeb()
		scaled.Scaling.Min, fixed.Scaling.Fixed = pods, pods
		for _, web := range []*WebAppArgs{scaled, fixed} {
			if got, want := componenttest.Has(recordWeb(t, web), "PodDisruptionBudget"), pods > 1; got != want {
				t.Errorf("%+v: got a budget: %t, want %t", web.Scaling, got, want)
			}
		}
	}
}

// With 900 %, one decision scales from the minimum to the maximum.
func TestScaling(t *testing.T) {
	for _, c := range []struct {
		percent   int
		tolerance string
	}{{100, ""}, {900, "0.05"}} {
		web := testWeb()
		web.Scaling.ScaleUpPercent, web.Scaling.Tolerance = c.percent, c.tolerance
		result := recordWeb(t, web)
		spec := componenttest.Value(t, result, "HorizontalPodAutoscaler", "web", "spec")
		up := offline.Lookup(spec, "behavior", "scaleUp")
		if got := offline.Lookup(up, "policies", 0, "value"); got != int64(c.percent) {
			t.Errorf("got %v %%, want %d", got, c.percent)
		}
		if offline.Lookup(up, "policies", 1, "type") != "Pods" || offline.Lookup(up, "policies", 1, "value") != int64(4) {
			t.Errorf("got %v, want a second policy of four pods", up)
		}
		if got, _ := offline.Lookup(up, "tolerance").(string); got != c.tolerance {
			t.Errorf("got tolerance %q, want %q", got, c.tolerance)
		}
		if offline.Lookup(spec, "minReplicas") != int64(2) || offline.Lookup(spec, "maxReplicas") != int64(10) {
			t.Errorf("got %v, want 2 to 10 pods", spec)
		}
		deployment := componenttest.Find(t, result, "Deployment", "web").Inputs
		if got := offline.Lookup(deployment, "spec", "replicas"); got != nil {
			t.Errorf("the Deployment sets %v pods, and each update would overwrite the autoscaler's number", got)
		}
	}
}

func TestALBClass(t *testing.T) {
	alb := testALB().ALB
	alb.Group = "shared"
	result := componenttest.Record(t, func(ctx *pulumi.Context) error {
		_, err := NewALBClass(ctx, "alb", &ALBClassArgs{Name: "alb", Controller: EKSAutoMode, LoadBalancers: alb})
		return err
	})
	params := componenttest.Find(t, result, "IngressClassParams", "alb-params").Inputs
	if got := asJSON(t, params["spec"]); !strings.HasPrefix(got, `{"group":{"name":"shared"},"loadBalancerAttributes":[`) {
		t.Errorf("got %s, want the group and the attributes", got)
	}
	class := componenttest.Find(t, result, "IngressClass", "alb").Inputs
	if got := offline.Lookup(class, "spec", "controller"); got != "eks.amazonaws.com/alb" {
		t.Errorf("got controller %v", got)
	}
}

func TestKeepsSleep(t *testing.T) {
	sleep := &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
	pod := func(containers ...corev1.Container) appsv1.DeploymentSpec {
		return appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: &corev1.PodSpec{Containers: containers}}}
	}
	if _, err := checkPreStop(pod(corev1.Container{Lifecycle: sleep})); err != nil {
		t.Errorf("got %v for a pod that sleeps", err)
	}
	for name, spec := range map[string]appsv1.DeploymentSpec{
		"no pod": {}, "no container": pod(), "no hooks": pod(corev1.Container{}),
		"no preStop": pod(corev1.Container{Lifecycle: &corev1.Lifecycle{}}),
		"no sleep":   pod(corev1.Container{Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{}}}),
	} {
		if _, err := checkPreStop(spec); err == nil || !strings.Contains(err.Error(), "Kubernetes 1.30") {
			t.Errorf("%s: got %v, want an error about Kubernetes 1.30", name, err)
		}
	}
}

// An old API server drops the sleep silently, so `pulumi up` must fail.
func TestOldClusterIsRefused(t *testing.T) {
	engine := &componenttest.Engine{}
	if err := engine.Run(webProgram(minimalWeb())); err != nil {
		t.Fatal(err)
	}
	engine.Change = func(kind, _ string, state map[string]any) {
		if kind == "Deployment" {
			container := offline.Lookup(state, "spec", "template", "spec", "containers", 0).(map[string]any)
			delete(container, "lifecycle")
		}
	}
	if err := engine.Run(webProgram(minimalWeb())); err == nil || !strings.Contains(err.Error(), "Kubernetes 1.30") {
		t.Errorf("got %v, want an error about Kubernetes 1.30", err)
	}
}
