// Package config turns the configuration of a stack into the arguments of the components. It is the only place that
// knows the configuration keys: the components know none. The defaults are in Pulumi.yaml and nowhere else.
package config

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
)

// Config is everything that may differ between two stacks.
type Config struct {
	// Image of the app, pushed to Repository, or to a new ECR repository if ECR is set.
	Image            components.ImageSettings
	Repository       string
	ECR              *components.ECRRepositoryArgs
	RegistryPassword pulumi.StringInput

	// RedisPassword is what every client of Redis must give.
	RedisPassword pulumi.StringInput

	// Kubernetes or Docker: exactly one of them is set.
	Kubernetes *Kubernetes
	Docker     *Docker
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
	c := &Config{}
	d.image(c)
	d.password(c, stack)
	target := d.text("target")
	onDocker, onKubernetes := target == "docker", target == "kind" || target == "eks"
	if !onDocker && !onKubernetes { // what else is wrong depends on it
		d.problem("target", "got %s, want kind, eks or docker", d.shown("target"))
	}
	c.Kubernetes = part(d, onKubernetes, func() *Kubernetes { return d.kubernetes(target) })
	c.Docker = part(d, onDocker, func() *Docker { return d.docker(c) })
	return c, d.finish(stack)
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
		d.problem("registryUsername", "got %s, must be set together with registryPassword, or neither",
			d.shown("registryUsername"))
	} else if password != "" {
		c.RegistryPassword = secretInput(password)
	}

	name, force := d.text("ecrRepository"), d.boolean("ecrForceDelete")
	c.Repository = d.text("imageRepository")
	if (name == "") == (c.Repository == "") {
		d.problem("imageRepository", "got %s, and ecrRepository %s: exactly one of them must be set",
			d.shown("imageRepository"), d.shown("ecrRepository"))
	}
	if c.Repository != "" {
		d.check(components.ValidateRepository("imageRepository", c.Repository), nil)
	}
	if name == "" {
		return
	}
	c.ECR = &components.ECRRepositoryArgs{Name: name, ForceDelete: force}
	d.check(c.ECR.Validate(), map[string]string{"name": "ecrRepository"})
	d.check(components.ValidateRegion("aws:region", d.optional("aws:region")), nil)
}

func (d *decoder) password(c *Config, stack string) {
	password := d.secret("redisPassword")
	switch {
	case password == "":
		d.problem("redisPassword", "is required; run: openssl rand -hex 32 | "+
			"pulumi config set --stack %s --secret redisPassword", stack)
	case len(password) < minPasswordLength:
		d.problem("redisPassword", "must have at least %d characters", minPasswordLength)
	case strings.ContainsFunc(password, unicode.IsControl): // Redis' probe and the app would drop a line end
		d.problem("redisPassword", "must have no line ends and no other control characters")
	}
	c.RedisPassword = secretInput(password)
}

func secretInput(value string) pulumi.StringInput {
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}
