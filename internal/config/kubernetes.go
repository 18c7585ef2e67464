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
		Namespace:     components.NamespaceArgs{Name: d.Text("namespace"), ReadinessGate: d.readinessGate()},
		Traefik:       d.traefik(),
		MetricsServer: d.metricsServer(),
		Web:           d.webApp(),
	}
	d.redis(t)
	t.Monitoring = d.monitoring(t.Namespace.Name)
	d.Check(t.Namespace.Validate(), map[string]string{"name": "namespace"})
	if t.Traefik != nil && t.Namespace.Name == TraefikName {
		d.Problem("namespace", "got %s, which installTraefik creates for Traefik; must be another", d.Shown("namespace"))
	}
	if target == "kind" && t.Web.Route.ALB != nil {
		d.Problem("albScheme", "got %s, but kind has no AWS Application Load Balancer; leave it empty", d.Shown("albScheme"))
	}
	return t
}

func (d *decoder) cluster(target string) components.Cluster {
	var c components.Cluster
	context, name, role := d.Text("kubeContext"), d.Text("eksCluster"), d.Text("eksRoleArn")
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

func (d *decoder) redis(t *Kubernetes) {
	host, port, tls, user := d.Text("redisHost"), d.Integer("redisPort"), d.Boolean("redisTls"), d.Text("redisUsername")
	t.Redis = components.RedisSettings{
		Image:        d.Text("redisImage"),
		Resources:    redisResources,
		Ephemeral:    !d.Boolean("redisPersistent"),
		StorageSize:  d.Text("redisStorageSize"),
		StorageClass: d.Text("redisStorageClass"),
		Fsync:        d.Text("redisFsync"),
	}
	if host != "" {
		t.ExternalRedis = &components.ExternalRedisSettings{Host: host, Port: port, TLS: tls, Username: user}
		d.Check(t.ExternalRedis.Validate(), map[string]string{
			"host": "redisHost", "port": "redisPort", "username": "redisUsername",
		})
	} else {
		d.onlyWithRedisHost("redisTls", tls)
		d.onlyWithRedisHost("redisUsername", user != "")
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
	d.Check(s.Validate(), map[string]string{"scraperNamespace": "prometheusNamespace"})
	return s
}

func (d *decoder) alb() *components.ALB {
	scheme, certificate := d.Text("albScheme"), d.Text("certificateArn")
	if scheme == "" {
		if certificate != "" {
			d.Problem("certificateArn", "got %s, but without albScheme there is no ALB to use it", d.Shown("certificateArn"))
		}
		return nil
	}
	region := d.Optional("aws:region")
	if parts := strings.Split(certificate, ":"); len(parts) > 3 && region != "" && parts[3] != region {
		d.Problem("certificateArn", "got %s, but an ALB takes only certificates of its own region, aws:region %s",
			d.Shown("certificateArn"), d.Shown("aws:region"))
	}
	return &components.ALB{Scheme: scheme, CertificateARN: certificate}
}

// readinessGate follows from who runs the load balancer: with the wrong label no gate is injected, and nothing says so.
func (d *decoder) readinessGate() components.ReadinessGate {
	controller, scheme := d.Text("albController"), d.Optional("albScheme")
	if (controller == "") != (scheme == "") {
		d.Problem("albController", "got %s, must be set together with albScheme, or neither: "+
			"eksAutoMode or awsLoadBalancerController", d.Shown("albController"))
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
	d.Problem("albController", "got %s, want eksAutoMode or awsLoadBalancerController", d.Shown("albController"))
	return components.NoReadinessGate
}

func (d *decoder) callers() components.Callers {
	c := components.Callers{Namespace: d.Text("ingressNamespace"), CIDRs: d.List("clientCidrs")}
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
