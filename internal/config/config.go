// Package config turns the configuration of a stack into the arguments of the components. It is the only place that
// knows the configuration keys: the components know none. The defaults are in Pulumi.yaml and nowhere else.
package config

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/nodeport"
)

// Config is everything that may differ between two stacks.
type Config struct {
	// Cluster to deploy to.
	Cluster components.Cluster
	// Namespace of the app.
	Namespace components.NamespaceArgs

	// Image of the app, pushed to Repository, or to a new ECR repository if ECR is set.
	Image            components.ImageSettings
	Repository       string
	ECR              *components.ECRRepositoryArgs
	RegistryPassword pulumi.StringInput

	// Traefik and MetricsServer are nil where the cluster has its own.
	Traefik       *components.TraefikArgs
	MetricsServer *components.MetricsServerArgs

	// Redis runs in the cluster unless ExternalRedis is set.
	Redis         components.RedisSettings
	ExternalRedis *components.ExternalRedisSettings
	RedisPassword pulumi.StringInput

	// Web is the app itself.
	Web components.WebAppSettings
}

const (
	// appContext is the build context of the app's image.
	appContext = "./app"
	// minPasswordLength keeps a Redis password out of reach of guessing: a Redis answers about 100,000 guesses a
	// second, and 16 letters and digits make 10^28.
	minPasswordLength = 16
)

// redisResources fit a counter: a few hundred bytes of data, 60,000 increments a second and more from a full core.
var redisResources = components.Resources{CPURequest: "100m", MemoryLimit: "128Mi"}

// Load reads the configuration of the stack that the program runs for. One error lists everything wrong with it.
//
// The SDK can look up keys but not list them, and a misspelt key must not pass unnoticed, so this reads the variables
// that the SDK itself reads.
func Load(ctx *pulumi.Context) (*Config, error) {
	values, secrets := map[string]string{}, []string{}
	for name, into := range map[string]any{pulumi.EnvConfig: &values, pulumi.EnvConfigSecretKeys: &secrets} {
		if text := os.Getenv(name); text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return nil, fmt.Errorf("decoding %s: %w", name, err)
			}
		}
	}
	return Parse(ctx.Project(), ctx.Stack(), values, secrets)
}

// Parse decodes and checks the configuration of a stack. The keys of values have their namespace in front; secrets are
// those of them that are encrypted in the stack file.
func Parse(project, stack string, values map[string]string, secrets []string) (*Config, error) {
	d := newDecoder(project, values, secrets)
	c := &Config{
		Cluster:       d.cluster(),
		Namespace:     components.NamespaceArgs{Name: d.text("namespace"), ReadinessGate: d.readinessGate()},
		Traefik:       d.traefik(),
		MetricsServer: d.metricsServer(),
		Web:           d.webApp(),
	}
	d.image(c)
	d.redis(c, stack)
	d.check(c.Namespace.Validate(), map[string]string{"name": "namespace"})
	return c, d.finish(stack)
}

func (d *decoder) cluster() components.Cluster {
	var c components.Cluster
	context, name, role := d.text("kubeContext"), d.text("eksCluster"), d.text("eksRoleArn")
	switch target := d.text("target"); target {
	case "kind":
		c.Kind = &components.KindCluster{Context: context}
	case "eks":
		c.EKS = &components.EKSCluster{Name: name, Region: d.optional("aws:region"), RoleARN: role}
	default:
		d.problem("target", "got %q, want kind or eks", target)
		return c
	}
	d.check(c.Validate(), map[string]string{"region": "aws:region"})
	return c
}

func (d *decoder) image(c *Config) {
	c.Image = components.ImageSettings{
		Context:   appContext,
		Platform:  d.text("imagePlatform"),
		BuildArgs: d.stringMap("imageBuildArgs"),
		Username:  d.text("registryUsername"),
	}
	d.check(c.Image.Validate(), map[string]string{"platform": "imagePlatform", "buildArgs": "imageBuildArgs"})
	password := d.secret("registryPassword")
	if (password == "") != (c.Image.Username == "") {
		d.problem("registryUsername", "must be set together with registryPassword, or neither")
	} else if password != "" {
		c.RegistryPassword = secretInput(password)
	}

	name, force := d.text("ecrRepository"), d.boolean("ecrForceDelete")
	c.Repository = d.text("imageRepository")
	if (name == "") == (c.Repository == "") {
		d.problem("imageRepository", "got %q, and ecrRepository %q: exactly one of them must be set", c.Repository, name)
	}
	if name == "" {
		return
	}
	c.ECR = &components.ECRRepositoryArgs{Name: name, ForceDelete: force}
	d.check(c.ECR.Validate(), map[string]string{"name": "ecrRepository"})
	if d.optional("aws:region") == "" {
		d.problem("aws:region", "is required with ecrRepository; run: pulumi config set aws:region <region>")
	}
}

func (d *decoder) traefik() *components.TraefikArgs {
	t := &components.TraefikArgs{
		Image: d.text("traefikImage"), HTTPNodePort: nodeport.HTTP, HTTPSNodePort: nodeport.HTTPS,
		PublishedHost: "localhost",
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

func (d *decoder) redis(c *Config, stack string) {
	host, port, tls, user := d.text("redisHost"), d.integer("redisPort"), d.boolean("redisTls"), d.text("redisUsername")
	c.Redis = components.RedisSettings{
		Image:        d.text("redisImage"),
		Resources:    redisResources,
		Ephemeral:    !d.boolean("redisPersistent"),
		StorageSize:  d.text("redisStorageSize"),
		StorageClass: d.text("redisStorageClass"),
	}
	if host != "" {
		c.ExternalRedis = &components.ExternalRedisSettings{Host: host, Port: port, TLS: tls, Username: user}
		d.check(c.ExternalRedis.Validate(), map[string]string{"host": "redisHost", "port": "redisPort"})
	} else {
		d.check(c.Redis.Validate(), map[string]string{
			"image": "redisImage", "storageSize": "redisStorageSize", "storageClass": "redisStorageClass",
		})
	}
	password := d.secret("redisPassword")
	switch {
	case password == "":
		d.problem("redisPassword", "is required; run: openssl rand -hex 32 | "+
			"pulumi config set --stack %s --secret redisPassword", stack)
	case len(password) < minPasswordLength:
		d.problem("redisPassword", "must have at least %d characters", minPasswordLength)
	}
	c.RedisPassword = secretInput(password)
}

func secretInput(value string) pulumi.StringInput {
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
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
		Drain:                 components.Drain{LoadBalancerDelay: d.integer("loadBalancerDelaySeconds")},
		RolloutTimeoutSeconds: d.integer("rolloutTimeoutSeconds"),
		LogLevel:              d.text("logLevel"),
	}
	d.check(s.Validate(), nil)
	return s
}

func (d *decoder) alb() *components.ALB {
	scheme, certificate := d.text("albScheme"), d.text("certificateArn")
	if scheme == "" {
		if certificate != "" {
			d.problem("certificateArn", "got %q, but without albScheme there is no ALB to use it", certificate)
		}
		return nil
	}
	return &components.ALB{Scheme: scheme, CertificateARN: certificate}
}

// readinessGate follows from who runs the load balancer: with the wrong label no gate is injected, and nothing says so.
func (d *decoder) readinessGate() components.ReadinessGate {
	controller, scheme := d.text("albController"), d.values[d.key("albScheme")]
	if (controller == "") != (scheme == "") {
		d.problem("albController", "got %q, must be set together with albScheme, or neither", controller)
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
	d.problem("albController", "got %q, want eksAutoMode or awsLoadBalancerController", controller)
	return components.NoReadinessGate
}

func (d *decoder) callers() components.Callers {
	c := components.Callers{Namespace: d.text("ingressNamespace"), CIDRs: d.list("clientCidrs")}
	if d.values[d.key("installTraefik")] != "true" {
		return c
	}
	if class := d.values[d.key("ingressClass")]; class != TraefikName {
		d.problem("ingressClass", "got %q, must be %s with installTraefik", class, TraefikName)
	}
	c.Namespace = TraefikName
	return c
}

// TraefikName is the name of the Traefik component, and so of its namespace and its IngressClass.
const TraefikName = "traefik"
