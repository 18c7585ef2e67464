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
	Kind       kube.KindCluster // the cluster to deploy to, unless EKS is set
	EKS        *kube.EKSCluster
	AWSTags    map[string]string // of all resources that the AWS provider creates
	Namespace  kube.NamespaceArgs
	Web        kube.WebAppArgs
	Monitoring Monitoring
	Capacity   Capacity
	// Traefik and MetricsServer are nil where the cluster has its own.
	Traefik       *addons.TraefikArgs
	MetricsServer *addons.MetricsServerArgs
	ALBClass      *kube.ALBClassArgs          // nil where the cluster has the IngressClass or needs none
	Certificate   *aws.CertificateArgs        // to request; nil if one exists or none is used
	Record        *aws.LoadBalancerRecordArgs // points the host to the load balancer; nil for none
	// Redis runs in the cluster, External runs elsewhere, ElastiCache is managed by AWS: at most one of them is set.
	// ElastiCache has the clients besides the cluster's nodes, and no subnets for those of the cluster.
	Redis       *kube.RedisArgs
	External    *redis.Connection
	RedisCA     string // of External
	ElastiCache *aws.ElastiCacheArgs
}

// redisResources are for a counter: a few hundred bytes of data; a core serves over 60,000 increments a second.
var redisResources = kube.Resources{CPURequest: "100m", MemoryLimit: "128Mi"}

func (d *decoder) kubernetes(c *Config, target string) *Kubernetes {
	alb := d.alb()
	t := &Kubernetes{
		Namespace:     kube.NamespaceArgs{Name: d.Text("namespace"), PodSecurityVersion: d.Text("podSecurityVersion")},
		Traefik:       d.traefik(),
		MetricsServer: d.metricsServer(),
		Web:           d.webApp(&c.App, alb),
		ALBClass:      d.albClass(alb),
	}
	if parts := strings.Split(d.Text("imagePlatform"), "/"); target == "eks" && len(parts) > 1 {
		t.Web.Placement.Architecture = parts[1] // nodes have no label for a variant (arm64/v8)
	}
	d.clusterOf(t, target)
	d.dns(t, alb)
	d.redis(c, t, target)
	t.Monitoring = d.monitoring(c, t)
	t.Capacity = d.capacity(t)
	if alb != nil {
		t.Namespace.ALBController = alb.Controller
	}
	d.Check("namespace", t.Namespace.Validate())
	// An empty version selects the component's default, which may change with a new version of the library.
	d.Check("podSecurityVersion", check.That(t.Namespace.PodSecurityVersion != "", "podSecurityVersion", "",
		"must be a version of Kubernetes such as v1.34, or latest"))
	d.RefuseIf(t.Traefik != nil && t.Namespace.Name == TraefikName,
		"namespace", "which is the namespace of installTraefik; choose another")
	d.RefuseIf(target == "kind" && alb != nil,
		"albScheme", "but kind has no AWS Application Load Balancer; leave it empty")
	return t
}

func (d *decoder) clusterOf(t *Kubernetes, target string) {
	t.Kind = kube.KindCluster{Context: d.Text("kubeContext"), AdoptExisting: d.Boolean("adoptExisting")}
	eks := &kube.EKSCluster{
		Name: d.clusterText("eksCluster", "", "clusterName"), Region: d.Optional("aws:region"), RoleARN: d.Text("eksRoleArn"),
	}
	if target == "kind" {
		d.Check("kind", kube.CheckKindContext(t.Kind.Context))
		return
	}
	t.EKS, t.AWSTags = eks, d.AWSTags()
	d.Check("eks", eks.Validate())
}

func (d *decoder) traefik() *addons.TraefikArgs {
	t := &addons.TraefikArgs{
		Image: d.Text("traefikImage"), HTTPNodePort: nodeport.HTTP, HTTPSNodePort: nodeport.HTTPS,
		LongestRequest: d.Integer("longestRequestSeconds"),
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
	ca, elastiCache := d.Text("redisCa"), d.elastiCache(target)
	if !c.UsesRedis {
		d.without(noRedis, "redisHost", "redisTls", "redisUsername", "redisCa", "elasticacheName")
		return
	}
	if host == "" {
		d.without("it is for an external Redis; set redisHost too, or remove it", "redisTls", "redisUsername", "redisCa")
	}
	d.RefuseIf(host != "" && elastiCache != nil,
		"elasticacheName", "and redisHost %s: at most one of them may be set", d.Display("redisHost"))
	switch {
	case elastiCache != nil:
		t.ElastiCache = elastiCache
	case host != "":
		t.External, t.RedisCA = external, ca
		d.Check("connection", external.Validate())
		d.checkExternal(external, ca, c.RedisEnvironment)
	default:
		t.Redis = inCluster
		d.Check("redis", inCluster.Validate())
	}
}

// noRedis is the reason why a setting has no effect.
const noRedis = "redis is false; remove one of the two settings"

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

func (d *decoder) webApp(app *App, alb *kube.ALB) kube.WebAppArgs {
	a := kube.WebAppArgs{
		Container: app.Container, Scaling: d.scaling(), Ingress: d.ingress(alb), Shutdown: app.Shutdown,
		Placement: kube.Placement{NodeSelector: d.StringMap("nodeSelector"), PriorityClass: d.Text("priorityClass")},
	}
	d.Fill("web", &a)
	d.Fill("web.container.resources", &a.Container.Resources)
	a.AllowFrom = d.allowFrom(a.Ingress != nil)
	moreHosts := d.extraHosts()
	if cidrs := d.List("egressCidrs"); len(cidrs) > 0 {
		a.AllowTo = []kube.Peer{{CIDRs: pulumi.ToStringArray(cidrs)}}
	}
	d.Check("web", a.Validate())
	if a.Ingress != nil { // already checked, under their own key
		a.Ingress.Hosts = append(a.Ingress.Hosts, moreHosts...)
	}
	return a
}

func (d *decoder) scaling() kube.Scaling {
	var s kube.Scaling
	d.Fill("web.scaling", &s)
	if d.on("autoscale") {
		// Of these arguments 0 selects the component's default, but a key has one in Pulumi.yaml.
		d.Check("web.scaling", slices.Concat(check.Range("scaleUpPercent", s.ScaleUpPercent, 1, 10000),
			check.Range("scaleDownPercent", s.ScaleDownPercent, 1, 100),
			check.Range("scaleDownPeriodSeconds", s.ScaleDownPeriodSeconds, 1, 1800)))
		s.Fixed = 0
		return s
	}
	d.Check("replicas", check.That(s.Fixed > 0, "replicas", s.Fixed, "must be at least 1"))
	return kube.Scaling{Fixed: max(1, s.Fixed)} // 0 would mean an autoscaler
}

// ingress returns the Ingress, or nil for a Service only. webApp adds the hosts of extraHosts later.
func (d *decoder) ingress(alb *kube.ALB) *kube.IngressSpec {
	r := &kube.IngressSpec{
		Class: d.Text("ingressClass"), Paths: d.List("paths"), PublicPort: d.Integer("publicPort"),
		TLSSecret: d.Text("tlsSecret"), Annotations: d.StringMap("ingressAnnotations"), ALB: alb,
	}
	if host := d.Text("host"); host != "" {
		r.Hosts = []string{host}
	}
	if !d.on("ingress") {
		d.without("ingress is false; remove one of the two settings", append(albKeys, "albScheme", "albController",
			"installAlbIngressClass", "host", "extraHosts", "paths", "tlsSecret", "ingressAnnotations")...)
		return nil
	}
	return r
}

func (d *decoder) extraHosts() []string {
	const key = "extraHosts"
	host, more := d.Text("host"), d.List(key)
	var problems field.ErrorList
	for i, name := range more {
		right := check.IsDNSName(name) && name != host && !slices.Contains(more[:i], name)
		problems = append(problems, check.That(right, key, name,
			"must be a DNS name in lower case, with no wildcard, listed once, and not in host too")...)
	}
	d.Check(key, problems)
	d.RefuseIf(host == "" && len(more) > 0, key, "but host is not set; move the first of them to host")
	return more
}

// allowFrom returns the peers that forward requests to the pods.
func (d *decoder) allowFrom(routed bool) []kube.Peer {
	subnets := "publicSubnetCidrs"
	if d.Text("albScheme") == "internal" {
		subnets = "privateSubnetCidrs"
	}
	namespace, cidrs := d.Text("ingressNamespace"), d.clusterList("loadBalancerCidrs", subnets)
	if d.Boolean("installTraefik") {
		d.checkTraefik(namespace)
		namespace = TraefikName
	}
	var peers []kube.Peer
	if namespace != "" {
		peers = append(peers, kube.Peer{Namespace: namespace})
	}
	if list, plain := cidrs.(pulumi.StringArray); !plain || len(list) > 0 {
		peers = append(peers, kube.Peer{CIDRs: cidrs})
	}
	d.Check("loadBalancerCidrs", check.That(len(peers) > 0 || !routed, "loadBalancerCidrs", "[]", "no peer may reach "+
		"the pods: set loadBalancerCidrs or ingressNamespace (installTraefik sets it), or set ingress to false"))
	return peers
}

// checkTraefik refuses settings that contradict the Traefik that this program installs.
func (d *decoder) checkTraefik(namespace string) {
	const must = "must be %q with installTraefik"
	class := d.Text("ingressClass")
	other := class != "" || d.on("ingress") // without an Ingress, Traefik serves other apps
	d.RefuseIf(class != TraefikName && other, "ingressClass", must, TraefikName)
	d.RefuseIf(namespace != TraefikName && namespace != "", "ingressNamespace", must, TraefikName)
	d.RefuseIf(d.Text("albScheme") != "", "albScheme", must, "")
}

// TraefikName is the name of the Traefik component, its namespace and its IngressClass.
const TraefikName = "traefik"

// Capacity holds the resource requests of a stack's pods and the limits of the nodes.
type Capacity struct {
	Requests              kube.TotalRequests
	CPULimit, MemoryLimit pulumi.StringInput // of the nodes: empty for none, unknown before the cluster exists
}

func (d *decoder) capacity(t *Kubernetes) Capacity {
	c := Capacity{
		CPULimit:    d.clusterText("nodeCpuLimit", "", "nodeCpuLimit"),
		MemoryLimit: d.clusterText("nodeMemoryLimit", "", "nodeMemoryLimit"),
	}
	d.RefuseIf((d.Text("nodeCpuLimit") == "") != (d.Text("nodeMemoryLimit") == ""),
		"nodeCpuLimit", "must be set together with nodeMemoryLimit, or neither")
	// Invalid sizes of the app are reported as part of it; those of the other workloads are constants.
	sized := len(t.Web.Container.Resources.Validate())+len(t.Web.Scaling.Validate()) == 0
	if sized {
		c.Requests = kube.TotalRequestsOf(t.pods())
	}
	cpu, _ := c.CPULimit.(pulumi.String) // empty if it is not known yet
	memory, _ := c.MemoryLimit.(pulumi.String)
	if cpu == "" || memory == "" {
		return c
	}
	nodes := kube.Capacity{CPU: string(cpu), Memory: string(memory)}
	problems := nodes.Validate()
	if sized && len(problems) == 0 {
		problems = nodes.Fits(c.Requests)
	}
	d.Check("nodes", problems)
	return c
}

// pods returns all workloads of the stack.
func (t *Kubernetes) pods() []kube.Workload {
	all := []kube.Workload{t.Web.Workload()}
	if t.Redis != nil {
		all = append(all, kube.OnePod(t.Redis.Resources))
	}
	if t.Traefik != nil {
		all = append(all, addons.TraefikSize)
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
