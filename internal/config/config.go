// Package config turns the configuration of a stack into the arguments of the components. It is the only place that
// knows the configuration keys: the components know none. The defaults are in Pulumi.yaml and nowhere else.
package config

import (
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/components"
	"scaleout/internal/check"
	"scaleout/internal/decode"
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

// decoder gives the keys their meaning.
type decoder struct{ *decode.Decoder }

func newDecoder(project string, values map[string]string, secrets []string) *decoder {
	return &decoder{decode.New(project, "docs/configuration.md", values, secrets)}
}

// Load reads the configuration of the stack that the program runs for. One error lists everything wrong with it.
func Load(ctx *pulumi.Context) (*Config, error) {
	values, secrets, err := decode.Environment()
	if err != nil {
		return nil, err
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
	target := d.Text("target")
	onDocker, onKubernetes := target == "docker", target == "kind" || target == "eks"
	if !onDocker && !onKubernetes { // what else is wrong depends on it
		d.Problem("target", "got %s, want kind, eks or docker", d.Shown("target"))
	}
	c.Kubernetes = decode.Part(d.Decoder, onKubernetes, func() *Kubernetes { return d.kubernetes(target) })
	c.Docker = decode.Part(d.Decoder, onDocker, func() *Docker { return d.docker(c) })
	return c, d.Finish(stack)
}

func (d *decoder) image(c *Config) {
	c.Image = components.ImageSettings{
		Context:   appContext,
		Platform:  d.Text("imagePlatform"),
		BuildArgs: d.StringMap("imageBuildArgs"),
		Username:  d.Text("registryUsername"),
	}
	d.Check(c.Image.Validate(), map[string]string{"platform": "imagePlatform", "buildArgs": "imageBuildArgs"})
	password := d.Secret("registryPassword")
	if (password == "") != (c.Image.Username == "") {
		d.Problem("registryUsername", "got %s, must be set together with registryPassword, or neither",
			d.Shown("registryUsername"))
	} else if password != "" {
		c.RegistryPassword = secretInput(password)
	}

	name, force := d.Text("ecrRepository"), d.Boolean("ecrForceDelete")
	c.Repository = d.Text("imageRepository")
	if (name == "") == (c.Repository == "") {
		d.Problem("imageRepository", "got %s, and ecrRepository %s: exactly one of them must be set",
			d.Shown("imageRepository"), d.Shown("ecrRepository"))
	}
	if c.Repository != "" {
		d.Check(check.Repository("imageRepository", c.Repository), nil)
	}
	if name == "" {
		return
	}
	c.ECR = &components.ECRRepositoryArgs{Name: name, ForceDelete: force}
	d.Check(c.ECR.Validate(), map[string]string{"name": "ecrRepository"})
	d.Check(check.Region("aws:region", d.Optional("aws:region")), nil)
}

func (d *decoder) password(c *Config, stack string) {
	password := d.Secret("redisPassword")
	switch {
	case password == "":
		d.Problem("redisPassword", "is required; run: openssl rand -hex 32 | "+
			"pulumi config set --stack %s --secret redisPassword", stack)
	case len(password) < minPasswordLength:
		d.Problem("redisPassword", "must have at least %d characters", minPasswordLength)
	case strings.ContainsFunc(password, unicode.IsControl): // Redis' probe and the app would drop a line end
		d.Problem("redisPassword", "must have no line ends and no other control characters")
	}
	c.RedisPassword = secretInput(password)
}

func secretInput(value string) pulumi.StringInput {
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}
