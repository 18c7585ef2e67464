package config

import (
	"cmp"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/addons"
	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/monitoring"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/nodeport"
)

// Kubernetes holds everything that may differ between two stacks in clusters.
type Kubernetes struct {
	// Kind is the cluster to deploy to, unless EKS is set.
	Kind       kube.KindCluster
	EKS        *kube.EKSCluster
	AWSTags    map[string]string // of all resources that the AWS provider creates
	Namespace  kube.NamespaceArgs
	Web        kube.WebAppArgs
	Monitoring Monitoring
	Capacity   Capacity
	// Traefik and MetricsServer are nil where the cluster has its own.
	Traefik       *addons.TraefikArgs
	MetricsServer *addons.MetricsServerArgs
	// ALBClass is nil where the cluster has the IngressClass or needs none.
	ALBClass *kube.ALBClassArgs
	// Certificate is a certificate to request; nil if one exists or none is used.
	Certificate *aws.CertificateArgs
	// Record points the host to the load balancer; nil for none.
	Record *aws.LoadBalancerRecordArgs
	// Redis runs in the cluster, External runs elsewhere, ElastiCache is managed by AWS: at most one of them is set.
	Redis       *kube.RedisArgs
	External    *redis.Connection
	RedisCA     string
	ElastiCache *ElastiCache
}

// redisResources are sized for a counter: a few hundred bytes of data; a full core serves over 60,000 increments a
// second.
var redisResources = kube.Resources{CPURequest: "100m", MemoryLimit: "128Mi"}

func (d *decoder) kubernetes(c *Config, target string) *Kubernetes {
	t := &Kubernetes{
		Namespace:     kube.NamespaceArgs{Name: d.Text("namespace"), PodSecurityVersion: d.Text("podSecurityVersion")},
		Traefik:       d.traefik(),
		MetricsServer: d.metricsServer(),
		Web:           d.webApp(&c.App),
	}
	d.clusterOf(t, target)
	if alb := albOf(t.Web.Route); alb != nil && len(alb.Controller.Validate()) == 0 { // else the route reports it
		t.Namespace.ALBController = alb.Controller
	}
	if _, architecture, ok := strings.Cut(d.Text("imagePlatform"), "/"); ok && target == "eks" {
		t.Web.Placement.Architecture, _, _ = strings.Cut(architecture, "/") // nodes have no label for a variant (arm64/v8)
	}
	if d.cluster != nil && d.Text("certificateArn") == clusterOutput {
		d.checkClusterCertificate(d.Text("host"))
	}
	t.ALBClass = d.albClass(albOf(t.Web.Route))
	d.dns(t)
	d.redis(c, t, target)
	t.Monitoring = d.monitoring(c, t)
	t.Capacity = d.capacity(t)
	d.Check("namespace", t.Namespace.Validate())
	// An empty version selects the component's default, which may change with a new version of the library.
	d.CheckKey("podSecurityVersion", check.That(t.Namespace.PodSecurityVersion != "", "podSecurityVersion", "",
		"must be a version of Kubernetes such as v1.34, or latest"))
	d.RefuseIf(t.Traefik != nil && t.Namespace.Name == TraefikName,
		"namespace", "which is the namespace of installTraefik; choose another")
	d.RefuseIf(target == "kind" && albOf(t.Web.Route) != nil,
		"albScheme", "but kind has no AWS Application Load Balancer; leave it empty")
	return t
}

func albOf(route *kube.Route) *kube.ALB {
	if route == nil {
		return nil
	}
	return route.ALB
}

func (d *decoder) clusterOf(t *Kubernetes, target string) {
	kind := kube.KindCluster{Context: d.Text("kubeContext"), AdoptExisting: d.Boolean("adoptExisting")}
	name, role := d.clusterText("eksCluster", "", outputName), d.Text("eksRoleArn")
	if target == "kind" {
		t.Kind = kind
		d.Check("kind", kube.CheckKindContext(kind.Context))
		return
	}
	t.EKS = &kube.EKSCluster{Name: name, Region: d.Optional("aws:region"), RoleARN: role}
	t.AWSTags = d.AWSTags()
	d.Check("eks", t.EKS.Validate())
}

func (d *decoder) traefik() *addons.TraefikArgs {
	t := &addons.TraefikArgs{
		Image: d.Text("traefikImage"), HTTPNodePort: nodeport.HTTP, HTTPSNodePort: nodeport.HTTPS,
		PublishedHost: "localhost", Replicas: traefikReplicas, LongestRequest: d.Integer("longestRequestSeconds"),
	}
	if d.Text("tlsSecret") != "" {
		t.RedirectPort = cmp.Or(d.Integer("publicPort"), 443)
	}
	if !d.Boolean("installTraefik") {
		return nil
	}
	d.Check("traefik", t.Validate())
	return t
}

func (d *decoder) metricsServer() *addons.MetricsServerArgs {
	m := &addons.MetricsServerArgs{
		Image: d.Text("metricsServerImage"), KubeletInsecureTLS: d.Boolean("kubeletInsecureTls"),
	}
	if !d.Boolean("installMetricsServer") {
		return nil
	}
	d.Check("metricsServer", m.Validate())
	return m
}

func (d *decoder) redis(c *Config, t *Kubernetes, target string) {
	host := d.Text("redisHost")
	external := &redis.Connection{Host: pulumi.String(host)}
	d.Fill("connection", external)
	inCluster := &kube.RedisArgs{Resources: redisResources, Ephemeral: !d.Boolean("redisPersistent")}
	d.Fill("redis", inCluster)
	t.RedisCA, t.ElastiCache = d.Text("redisCa"), d.elastiCache(target)
	switch {
	case !c.UsesRedis:
		d.without(noRedis, "redisHost", "redisTls", "redisUsername", "redisCa", "elasticacheName")
		t.ElastiCache = nil
		return
	case host == "":
		d.without("it is for an external Redis; set redisHost too, or remove it", "redisTls", "redisUsername", "redisCa")
	}
	switch {
	case host != "" && t.ElastiCache != nil:
		d.Refuse("elasticacheName", "and redisHost %s: at most one of them may be set", d.Display("redisHost"))
	case host != "":
		t.External = external
		d.Check("connection", external.Validate())
		d.checkExternal(external, t.RedisCA, c.RedisEnvironment)
	case t.ElastiCache == nil:
		t.Redis = inCluster
		d.Check("redis", inCluster.Validate())
	}
}

// noRedis and noIngress are reasons why a setting has no effect.
const (
	noRedis   = "redis is false; remove one of the two settings"
	noIngress = "ingress is false; remove one of the two settings"
)

// checkExternal requires that the app's variables pass everything that the connection needs.
func (d *decoder) checkExternal(c *redis.Connection, ca string, names redis.Environment) {
	d.RefuseIf(c.Username != "" && names.Username == "",
		"redisUsername", "but redisEnvironment has no username to pass it to the app")
	switch {
	case ca == "":
	case !x509.NewCertPool().AppendCertsFromPEM([]byte(ca)):
		d.Problem("redisCa", "must be a certificate in PEM: -----BEGIN CERTIFICATE-----...")
	case !c.TLS:
		d.Problem("redisCa", "is set, but redisTls is false: it is for encrypted connections")
	case names.CAFile == "":
		d.Problem("redisCa", "is set, but redisEnvironment has no caFile to pass it to the app")
	}
}

func (d *decoder) webApp(app *App) kube.WebAppArgs {
	a := kube.WebAppArgs{
		Container: app.container(), Scaling: d.scaling(), Route: d.route(), Drain: app.Drain,
		Placement: kube.Placement{NodeSelector: d.StringMap("nodeSelector"), PriorityClass: d.Text("priorityClass")},
	}
	d.Fill("web", &a)
	d.Fill("web.container.resources", &a.Container.Resources)
	a.AllowFrom = d.allowFrom(a.Route != nil)
	scraper, moreHosts := d.scraperNamespace(), d.extraHosts()
	if cidrs := d.List("egressCidrs"); len(cidrs) > 0 {
		a.AllowTo = []kube.Peer{{CIDRs: pulumi.ToStringArray(cidrs)}}
	}
	d.Check("web", a.Validate())
	// The elements added here have other keys than the rest of their lists, and are already checked.
	if scraper != "" && app.Metrics != nil {
		a.AllowFrom = append(a.AllowFrom, kube.Peer{Namespace: scraper, Ports: []int{app.Metrics.Port}})
	}
	if a.Route != nil {
		a.Route.Hosts = append(a.Route.Hosts, moreHosts...)
	}
	return a
}

func (d *decoder) scaling() kube.Scaling {
	var s kube.Scaling
	d.Fill("web.scaling", &s)
	fixed := s.Fixed
	if d.on("autoscale") {
		s.Fixed = 0
		return s
	}
	if fixed == 0 { // 0 would mean an autoscaler
		d.CheckKey("replicas", check.Invalid("replicas", fixed, "must be at least 1"))
		fixed = 1
	}
	return kube.Scaling{Fixed: fixed}
}

// route returns the route, or nil for a Service only. webApp adds the hosts of extraHosts later.
func (d *decoder) route() *kube.Route {
	r := &kube.Route{
		Class: d.Text("ingressClass"), Paths: d.List("paths"), PublicPort: d.Integer("publicPort"),
		TLSSecret: d.Text("tlsSecret"), Annotations: d.StringMap("ingressAnnotations"), ALB: d.alb(),
	}
	if host := d.Text("host"); host != "" {
		r.Hosts = []string{host}
	}
	if !d.on("ingress") {
		d.without(noIngress, "host", "extraHosts", "paths", "tlsSecret", "ingressAnnotations", "albScheme", "albController",
			"installAlbIngressClass", "certificateArn", "hostedZoneId", "albGroup", "albAccessLogsBucket",
			"albAccessLogsPrefix", "albWebAclArn")
		return nil
	}
	return r
}

// extraHosts returns the further hosts of the route.
func (d *decoder) extraHosts() []string {
	const key = "extraHosts"
	host, more := d.Text("host"), d.List(key)
	names := kube.Route{Class: TraefikName, Hosts: more}
	problems := names.Validate()
	for i, name := range more {
		once := name != host && !slices.Contains(more[:i], name)
		problems = append(problems, check.That(once, key, name, "must be listed once, and not in host too")...)
	}
	d.CheckKey(key, problems)
	d.RefuseIf(host == "" && len(more) > 0, key, "but host is not set; move the first of them to host")
	return more
}

// allowFrom returns the peers that forward requests to the pods.
func (d *decoder) allowFrom(routed bool) []kube.Peer {
	subnets := outputPublicSubnets
	if d.Optional("albScheme") == "internal" {
		subnets = outputPrivateSubnets
	}
	namespace, cidrs := d.Text("ingressNamespace"), d.clusterList("loadBalancerCidrs", subnets)
	if d.Boolean("installTraefik") {
		namespace = d.traefikNamespace()
	}
	var peers []kube.Peer
	if namespace != "" {
		peers = append(peers, kube.Peer{Namespace: namespace})
	}
	if list, plain := cidrs.(pulumi.StringArray); !plain || len(list) > 0 {
		peers = append(peers, kube.Peer{CIDRs: cidrs})
	}
	if routed && len(peers) == 0 {
		d.CheckKey("loadBalancerCidrs", field.ErrorList{field.Required(field.NewPath("loadBalancerCidrs"),
			"no peer may reach the pods: set loadBalancerCidrs or ingressNamespace (installTraefik sets it), "+
				"or set ingress to false")})
	}
	return peers
}

// traefikNamespace returns the namespace of the Traefik that this program installs, and refuses contradicting settings.
func (d *decoder) traefikNamespace() string {
	class := []string{TraefikName}
	if !d.on("ingress") {
		class = append(class, "") // Traefik then serves other apps
	}
	for name, allowed := range map[string][]string{
		"ingressClass": class, "ingressNamespace": {TraefikName, ""}, "albScheme": {""},
	} {
		d.RefuseIf(!slices.Contains(allowed, d.Optional(name)), name, "must be %q with installTraefik", allowed[0])
	}
	return TraefikName
}

// traefikReplicas has a second pod (40 MB), which serves while the first is replaced or its node is drained.
const traefikReplicas = 2

// TraefikName is the name of the Traefik component, its namespace and its IngressClass.
const TraefikName = "traefik"

// Capacity holds the resource requests of a stack's pods and the limits of the nodes.
type Capacity struct {
	Demand kube.Demand
	// CPULimit and MemoryLimit are the limits of the nodes. Empty for none; unknown before the cluster exists.
	CPULimit, MemoryLimit pulumi.StringInput
}

func (d *decoder) capacity(t *Kubernetes) Capacity {
	c := Capacity{
		CPULimit:    d.clusterText("nodeCpuLimit", "", outputNodeCPULimit),
		MemoryLimit: d.clusterText("nodeMemoryLimit", "", outputNodeMemoryLimit),
	}
	cpu, cpuKnown := c.CPULimit.(pulumi.String)
	memory, memoryKnown := c.MemoryLimit.(pulumi.String)
	if (d.Text("nodeCpuLimit") == "") != (d.Text("nodeMemoryLimit") == "") {
		d.Refuse("nodeCpuLimit", "must be set together with nodeMemoryLimit, or neither")
		return c
	}
	nodes := kube.Capacity{CPU: string(cpu), Memory: string(memory)}
	compare := cpuKnown && memoryKnown && cpu != "" && memory != ""
	if compare {
		problems := nodes.Validate()
		d.Check("nodes", problems)
		compare = len(problems) == 0
	}
	if t.sized() {
		c.Demand = kube.DemandOf(t.pods())
		if compare {
			d.Check("nodes", nodes.Fits(c.Demand))
		}
	}
	return c
}

// sized reports whether all sizes are valid quantities. Invalid ones are reported elsewhere.
func (t *Kubernetes) sized() bool {
	unsized := func(pods kube.Workload) bool { return len(pods.Resources.Validate()) > 0 }
	return !slices.ContainsFunc(t.pods(), unsized) && len(t.Web.Scaling.Validate()) == 0
}

// pods returns all workloads of the stack.
func (t *Kubernetes) pods() []kube.Workload {
	all := []kube.Workload{t.Web.Workload()}
	if t.Redis != nil {
		all = append(all, kube.OnePod(t.Redis.Resources))
	}
	if t.Traefik != nil {
		all = append(all, t.Traefik.Workload())
	}
	if t.MetricsServer != nil {
		all = append(all, addons.MetricsServerSize)
	}
	if t.Monitoring.Prometheus != nil {
		all = append(all, monitoring.PrometheusSize, monitoring.KubeStateMetricsSize)
	}
	if t.Monitoring.GrafanaImage != "" {
		all = append(all, monitoring.GrafanaSize)
	}
	return all
}
