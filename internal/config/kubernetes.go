package config

import (
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/nodeport"
)

// Kubernetes is everything that may differ between two stacks in clusters.
type Kubernetes struct {
	// Cluster to deploy to.
	Cluster components.Cluster
	// Namespace of the app.
	Namespace components.NamespaceArgs
	// Traefik and MetricsServer are nil where the cluster has its own.
	Traefik       *components.TraefikArgs
	MetricsServer *components.MetricsServerArgs
	// ALBClass is nil where the cluster has the IngressClass, or needs none.
	ALBClass *components.ALBClassArgs
	// Certificate is to be requested; nil if there is one, or none.
	Certificate *components.CertificateArgs
	// Alias leads the host to the load balancer; nil for none.
	Alias *DNS
	// Redis runs in the cluster unless one of the others is set.
	Redis         components.RedisSettings
	ExternalRedis *components.ExternalRedisSettings
	ElastiCache   *ElastiCache
	// Web is the app itself.
	Web components.WebAppSettings
	// Monitoring is how it is measured.
	Monitoring Monitoring
	// Capacity is what all of it needs.
	Capacity Capacity
}

// DNS is a name in a hosted zone of Route 53.
type DNS struct {
	Host string
	Zone pulumi.StringInput
}

func (d *decoder) kubernetes(c *Config, target string) *Kubernetes {
	t := &Kubernetes{
		Cluster:       d.clusterOf(target),
		Namespace:     components.NamespaceArgs{Name: d.Text("namespace")},
		Traefik:       d.traefik(),
		MetricsServer: d.metricsServer(),
		Web:           d.webApp(),
	}
	if alb := t.Web.Route.ALB; alb != nil { // with the wrong label no gate is injected, and nothing says so
		t.Namespace.ReadinessGate = alb.Controller.ReadinessGate()
	}
	if _, architecture, ok := strings.Cut(c.Image.Platform, "/"); ok && target == "eks" {
		t.Web.Architecture, _, _ = strings.Cut(architecture, "/") // a variant (arm64/v8) is no label of a node
	}
	if d.cluster != nil && d.Text("certificateArn") == fromCluster {
		d.checkClusterCertificate(t.Web.Route.Host)
	}
	t.ALBClass = d.albClass(t.Web.Route.ALB)
	d.dns(t)
	d.redis(t, target)
	t.Monitoring = d.monitoring(t.Namespace.Name)
	t.Capacity = d.capacity(t)
	d.Check(t.Namespace.Validate(), map[string]string{"name": "namespace"})
	if t.Traefik != nil && t.Namespace.Name == TraefikName {
		d.Problem("namespace", "got %s, which installTraefik creates for Traefik; must be another", d.Shown("namespace"))
	}
	if target == "kind" && t.Web.Route.ALB != nil {
		d.Problem("albScheme", "got %s, but kind has no AWS Application Load Balancer; leave it empty", d.Shown("albScheme"))
	}
	return t
}

func (d *decoder) clusterOf(target string) components.Cluster {
	var c components.Cluster
	context, name, role := d.Text("kubeContext"), d.clusterText("eksCluster", "", outputName), d.Text("eksRoleArn")
	switch target {
	case "kind":
		c.Kind = &components.KindCluster{Context: context}
	case "eks":
		c.EKS = &components.EKSCluster{Name: name, Region: d.Optional("aws:region"), RoleARN: role}
	}
	d.Check(c.Validate(), map[string]string{"region": "aws:region"})
	return c
}

func (d *decoder) traefik() *components.TraefikArgs {
	t := &components.TraefikArgs{
		Image: d.Text("traefikImage"), HTTPNodePort: nodeport.HTTP, HTTPSNodePort: nodeport.HTTPS,
		PublishedHost: "localhost", Replicas: traefikReplicas,
	}
	if !d.Boolean("installTraefik") {
		return nil
	}
	d.Check(t.Validate(), map[string]string{"image": "traefikImage"})
	return t
}

func (d *decoder) metricsServer() *components.MetricsServerArgs {
	m := &components.MetricsServerArgs{
		Image: d.Text("metricsServerImage"), KubeletInsecureTLS: d.Boolean("kubeletInsecureTls"),
	}
	if !d.Boolean("installMetricsServer") {
		return nil
	}
	d.Check(m.Validate(), map[string]string{"image": "metricsServerImage"})
	return m
}

func (d *decoder) redis(t *Kubernetes, target string) {
	host, port, tls, user := d.Text("redisHost"), d.Integer("redisPort"), d.Boolean("redisTls"), d.Text("redisUsername")
	t.Redis = components.RedisSettings{
		Image:        d.Text("redisImage"),
		Resources:    redisResources,
		Ephemeral:    !d.Boolean("redisPersistent"),
		StorageSize:  d.Text("redisStorageSize"),
		StorageClass: d.Text("redisStorageClass"),
		Fsync:        d.Text("redisFsync"),
	}
	t.ElastiCache = d.elastiCache(target)
	if host != "" && t.ElastiCache != nil {
		d.Problem("elasticacheName", "got %s, and redisHost %s: at most one of them is set", d.Shown("elasticacheName"), d.Shown("redisHost"))
	}
	if host != "" {
		t.ExternalRedis = &components.ExternalRedisSettings{Host: host, Port: port, TLS: tls, Username: user}
		d.Check(t.ExternalRedis.Validate(), map[string]string{
			"host": "redisHost", "port": "redisPort", "username": "redisUsername",
		})
	} else {
		d.onlyWithRedisHost("redisTls", tls)
		d.onlyWithRedisHost("redisUsername", user != "")
	}
	if host == "" && t.ElastiCache == nil {
		d.Check(t.Redis.Validate(), map[string]string{
			"image": "redisImage", "storageSize": "redisStorageSize", "storageClass": "redisStorageClass",
			"fsync": "redisFsync",
		})
	}
}

// onlyWithRedisHost refuses what the Redis that the stack runs does not have: who sets it counts on it.
func (d *decoder) onlyWithRedisHost(name string, set bool) {
	if set {
		d.Problem(name, "got %s, which is for a Redis elsewhere; set redisHost too, or leave this out", d.Shown(name))
	}
}

func (d *decoder) webApp() components.WebAppSettings {
	s := components.WebAppSettings{
		Resources: components.Resources{
			CPURequest: d.Text("cpuRequest"), CPULimit: d.Text("cpuLimit"), MemoryLimit: d.Text("memoryLimit"),
		},
		Scaling: components.Scaling{
			MinReplicas:            d.Integer("minReplicas"),
			MaxReplicas:            d.Integer("maxReplicas"),
			TargetCPUUtilization:   d.Integer("targetCpuUtilization"),
			ScaleUpWindowSeconds:   d.Integer("scaleUpWindowSeconds"),
			ScaleUpPercent:         d.Integer("scaleUpPercent"),
			ScaleDownWindowSeconds: d.Integer("scaleDownWindowSeconds"),
			ScaleDownPercent:       d.Integer("scaleDownPercent"),
			ScaleDownPeriodSeconds: d.Integer("scaleDownPeriodSeconds"),
			Tolerance:              d.Text("scaleTolerance"),
		},
		Route: components.Route{
			Class:      d.Text("ingressClass"),
			Host:       d.Text("host"),
			PublicPort: d.Integer("publicPort"),
			TLSSecret:  d.Text("tlsSecret"),
			ALB:        d.alb(),
		},
		Callers:               d.callers(),
		ScraperNamespace:      d.scraperNamespace(),
		Drain:                 components.Drain{LoadBalancerDelay: d.Integer("loadBalancerDelaySeconds")},
		RolloutTimeoutSeconds: d.Integer("rolloutTimeoutSeconds"),
		LogLevel:              d.Text("logLevel"),
	}
	d.Check(s.Validate(), albKeys)
	return s
}

func (d *decoder) callers() components.Callers {
	subnets := outputPublicSubnets
	if d.Optional("albScheme") == "internal" {
		subnets = outputPrivateSubnets
	}
	c := components.Callers{Namespace: d.Text("ingressNamespace"), CIDRs: d.clusterList("clientCidrs", subnets)}
	if d.Optional("installTraefik") != "true" {
		return c
	}
	for name, allowed := range map[string][]string{
		"ingressClass": {TraefikName}, "ingressNamespace": {TraefikName, ""}, "albScheme": {""},
	} {
		if !slices.Contains(allowed, d.Optional(name)) {
			d.Problem(name, "got %s, must be %q with installTraefik", d.Shown(name), allowed[0])
		}
	}
	c.Namespace = TraefikName
	return c
}

// traefikReplicas: on a single node the second saves visits when Traefik itself is replaced, on several also when a node
// is drained. It costs 40 MB.
const traefikReplicas = 2

// TraefikName is the name of the Traefik component, and so of its namespace and its IngressClass.
const TraefikName = "traefik"
