package config

import (
	"slices"
	"strings"

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
	// Redis runs in the cluster unless ExternalRedis is set.
	Redis         components.RedisSettings
	ExternalRedis *components.ExternalRedisSettings
	// Web is the app itself.
	Web components.WebAppSettings
	// Monitoring is how it is measured.
	Monitoring Monitoring
}

func (d *decoder) kubernetes(target string) *Kubernetes {
	t := &Kubernetes{
		Cluster:       d.cluster(target),
		Namespace:     components.NamespaceArgs{Name: d.text("namespace"), ReadinessGate: d.readinessGate()},
		Traefik:       d.traefik(),
		MetricsServer: d.metricsServer(),
		Web:           d.webApp(),
	}
	d.redis(t)
	t.Monitoring = d.monitoring(t.Namespace.Name)
	d.check(t.Namespace.Validate(), map[string]string{"name": "namespace"})
	if t.Traefik != nil && t.Namespace.Name == TraefikName {
		d.problem("namespace", "got %s, which installTraefik creates for Traefik; must be another", d.shown("namespace"))
	}
	if target == "kind" && t.Web.Route.ALB != nil {
		d.problem("albScheme", "got %s, but kind has no AWS Application Load Balancer; leave it empty", d.shown("albScheme"))
	}
	return t
}

func (d *decoder) cluster(target string) components.Cluster {
	var c components.Cluster
	context, name, role := d.text("kubeContext"), d.text("eksCluster"), d.text("eksRoleArn")
	switch target {
	case "kind":
		c.Kind = &components.KindCluster{Context: context}
	case "eks":
		c.EKS = &components.EKSCluster{Name: name, Region: d.optional("aws:region"), RoleARN: role}
	}
	d.check(c.Validate(), map[string]string{"region": "aws:region"})
	return c
}

func (d *decoder) traefik() *components.TraefikArgs {
	t := &components.TraefikArgs{
		Image: d.text("traefikImage"), HTTPNodePort: nodeport.HTTP, HTTPSNodePort: nodeport.HTTPS,
		PublishedHost: "localhost", Replicas: traefikReplicas,
	}
	if !d.boolean("installTraefik") {
		return nil
	}
	d.check(t.Validate(), map[string]string{"image": "traefikImage"})
	return t
}

func (d *decoder) metricsServer() *components.MetricsServerArgs {
	m := &components.MetricsServerArgs{
		Image: d.text("metricsServerImage"), KubeletInsecureTLS: d.boolean("kubeletInsecureTls"),
	}
	if !d.boolean("installMetricsServer") {
		return nil
	}
	d.check(m.Validate(), map[string]string{"image": "metricsServerImage"})
	return m
}

func (d *decoder) redis(t *Kubernetes) {
	host, port, tls, user := d.text("redisHost"), d.integer("redisPort"), d.boolean("redisTls"), d.text("redisUsername")
	t.Redis = components.RedisSettings{
		Image:        d.text("redisImage"),
		Resources:    redisResources,
		Ephemeral:    !d.boolean("redisPersistent"),
		StorageSize:  d.text("redisStorageSize"),
		StorageClass: d.text("redisStorageClass"),
		Fsync:        d.text("redisFsync"),
	}
	if host != "" {
		t.ExternalRedis = &components.ExternalRedisSettings{Host: host, Port: port, TLS: tls, Username: user}
		d.check(t.ExternalRedis.Validate(), map[string]string{
			"host": "redisHost", "port": "redisPort", "username": "redisUsername",
		})
	} else {
		d.onlyWithRedisHost("redisTls", tls)
		d.onlyWithRedisHost("redisUsername", user != "")
		d.check(t.Redis.Validate(), map[string]string{
			"image": "redisImage", "storageSize": "redisStorageSize", "storageClass": "redisStorageClass",
			"fsync": "redisFsync",
		})
	}
}

// onlyWithRedisHost refuses what the Redis that the stack runs does not have: who sets it counts on it.
func (d *decoder) onlyWithRedisHost(name string, set bool) {
	if set {
		d.problem(name, "got %s, which is for a Redis elsewhere; set redisHost too, or leave this out", d.shown(name))
	}
}

func (d *decoder) webApp() components.WebAppSettings {
	s := components.WebAppSettings{
		Resources: components.Resources{
			CPURequest: d.text("cpuRequest"), CPULimit: d.text("cpuLimit"), MemoryLimit: d.text("memoryLimit"),
		},
		Scaling: components.Scaling{
			MinReplicas:            d.integer("minReplicas"),
			MaxReplicas:            d.integer("maxReplicas"),
			TargetCPUUtilization:   d.integer("targetCpuUtilization"),
			ScaleUpWindowSeconds:   d.integer("scaleUpWindowSeconds"),
			ScaleUpPercent:         d.integer("scaleUpPercent"),
			ScaleDownWindowSeconds: d.integer("scaleDownWindowSeconds"),
			ScaleDownPercent:       d.integer("scaleDownPercent"),
			ScaleDownPeriodSeconds: d.integer("scaleDownPeriodSeconds"),
			Tolerance:              d.text("scaleTolerance"),
		},
		Route: components.Route{
			Class:      d.text("ingressClass"),
			Host:       d.text("host"),
			PublicPort: d.integer("publicPort"),
			TLSSecret:  d.text("tlsSecret"),
			ALB:        d.alb(),
		},
		Callers:               d.callers(),
		ScraperNamespace:      d.scraperNamespace(),
		Drain:                 components.Drain{LoadBalancerDelay: d.integer("loadBalancerDelaySeconds")},
		RolloutTimeoutSeconds: d.integer("rolloutTimeoutSeconds"),
		LogLevel:              d.text("logLevel"),
	}
	d.check(s.Validate(), map[string]string{"scraperNamespace": "prometheusNamespace"})
	return s
}

func (d *decoder) alb() *components.ALB {
	scheme, certificate := d.text("albScheme"), d.text("certificateArn")
	if scheme == "" {
		if certificate != "" {
			d.problem("certificateArn", "got %s, but without albScheme there is no ALB to use it", d.shown("certificateArn"))
		}
		return nil
	}
	region := d.optional("aws:region")
	if parts := strings.Split(certificate, ":"); len(parts) > 3 && region != "" && parts[3] != region {
		d.problem("certificateArn", "got %s, but an ALB takes only certificates of its own region, aws:region %s",
			d.shown("certificateArn"), d.shown("aws:region"))
	}
	return &components.ALB{Scheme: scheme, CertificateARN: certificate}
}

// readinessGate follows from who runs the load balancer: with the wrong label no gate is injected, and nothing says so.
func (d *decoder) readinessGate() components.ReadinessGate {
	controller, scheme := d.text("albController"), d.values[d.key("albScheme")]
	if (controller == "") != (scheme == "") {
		d.problem("albController", "got %s, must be set together with albScheme, or neither: "+
			"eksAutoMode or awsLoadBalancerController", d.shown("albController"))
		return components.NoReadinessGate
	}
	switch controller {
	case "":
		return components.NoReadinessGate
	case "eksAutoMode":
		return components.AutoModeGate
	case "awsLoadBalancerController":
		return components.LoadBalancerControllerGate
	}
	d.problem("albController", "got %s, want eksAutoMode or awsLoadBalancerController", d.shown("albController"))
	return components.NoReadinessGate
}

func (d *decoder) callers() components.Callers {
	c := components.Callers{Namespace: d.text("ingressNamespace"), CIDRs: d.list("clientCidrs")}
	if d.values[d.key("installTraefik")] != "true" {
		return c
	}
	for name, allowed := range map[string][]string{
		"ingressClass": {TraefikName}, "ingressNamespace": {TraefikName, ""}, "albScheme": {""},
	} {
		if !slices.Contains(allowed, d.values[d.key(name)]) {
			d.problem(name, "got %s, must be %q with installTraefik", d.shown(name), allowed[0])
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
