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
	// ECRToken has the program log in to ECR itself.
	ECRToken bool

	// RedisPassword is what every client of Redis must give.
	RedisPassword pulumi.StringInput

	// Kubernetes or Docker: exactly one of them is set.
	Kubernetes *Kubernetes
	Docker     *Docker
}

const (
	// ecrLoginToken is the value of ecrLogin that puts a token into the program.
	ecrLoginToken = "token"
	// appContext is the build context of the app's image.
	appContext = "./app"
	// minPasswordLength keeps a Redis password out of reach of guessing: a Redis answers about 100,000 guesses a
	// second, and 16 letters and digits make 10^28.
	minPasswordLength = 16
)

// redisResources fit a counter: a few hundred bytes of data, 60,000 increments a second and more from a full core.
var redisResources = components.Resources{CPURequest: "100m", MemoryLimit: "128Mi"}

// decoder gives the keys their meaning.
type decoder struct {
	*decode.Decoder
	cluster *clusterStack // nil if the configuration names none
}

func newDecoder(project string, values map[string]string, secrets []string, cluster *clusterStack) *decoder {
	return &decoder{decode.New(project, "docs/configuration.md", values, secrets), cluster}
}

// Load reads the configuration of the stack that the program runs for. One error lists everything wrong with it.
func Load(ctx *pulumi.Context) (*Config, error) {
	values, secrets, err := decode.Environment()
	if err != nil {
		return nil, err
	}
	name := values[ctx.Project()+":clusterStack"]
	if c, err := parse(ctx.Project(), ctx.Stack(), values, secrets, unread(name)); err != nil || name == "" {
		return c, err
	}
	cluster, err := readClusterStack(ctx, name)
	if err != nil {
		return nil, err
	}
	return parse(ctx.Project(), ctx.Stack(), values, secrets, cluster)
}

// parse decodes and checks the configuration of a stack. The keys of values have their namespace in front; secrets are
// those of them that are encrypted in the stack file.
func parse(project, stack string, values map[string]string, secrets []string, cluster *clusterStack) (*Config, error) {
	d := newDecoder(project, values, secrets, cluster)
	c := &Config{}
	target := d.Text("target")
	d.image(c)
	d.password(c, stack)
	d.checkClusterStack(target)
	onDocker, onKubernetes := target == "docker", target == "kind" || target == "eks"
	if !onDocker && !onKubernetes { // what else is wrong depends on it
		d.Problem("target", "got %s, want kind, eks or docker", d.Shown("target"))
	}
	c.Kubernetes = part(d, onKubernetes, func() *Kubernetes { return d.kubernetes(c, target) })
	c.Docker = part(d, onDocker, func() *Docker { return d.docker(c) })
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

	name, login := d.Text("ecrRepository"), d.Text("ecrLogin")
	ecr := &components.ECRRepositoryArgs{
		Name: name, ForceDelete: d.Boolean("ecrForceDelete"), KeepImages: d.Integer("ecrKeepImages"),
		KMSKeyARN: d.Text("ecrKmsKeyArn"),
	}
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
	c.ECR, c.ECRToken = ecr, login == ecrLoginToken
	d.Check(ecr.Validate(), map[string]string{
		"name": "ecrRepository", "keepImages": "ecrKeepImages", "kmsKeyArn": "ecrKmsKeyArn",
	})
	d.Check(check.Region("aws:region", d.Optional("aws:region")), nil)
	d.Check(check.OneOf("ecrLogin", login, "dockerConfig", ecrLoginToken), nil)
	if c.ECRToken && c.Image.Username != "" {
		d.Problem("ecrLogin", "got %s, must be dockerConfig with registryUsername, which is a login too", d.Shown("ecrLogin"))
	}
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
