// Package config converts the configuration of a stack into the arguments of the components. It is the only package
// that uses the configuration keys. All defaults are in Pulumi.yaml.
package config

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/image"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/decode"
)

// Config holds everything that may differ between two stacks.
type Config struct {
	Image            string                 // a finished image by digest; empty if one is built
	Build            *image.Args            // of the app's image; nil for a finished one
	Repository       string                 // where a built image is pushed to, unless ECR is set
	ECR              *aws.ECRRepositoryArgs // the same, created by the program
	RegistryPassword pulumi.StringInput
	ECRToken         bool // the program logs in to ECR with a token that it requests

	App              App
	UsesRedis        bool               // whether the app has a Redis
	RedisPassword    pulumi.StringInput // of the app
	RedisEnvironment redis.Environment  // the variables that pass the connection to the app

	// Exactly one of Kubernetes and Docker is set.
	Kubernetes *Kubernetes
	Docker     *Docker
}

const (
	// defaultContext is the build context of the hit counter's image.
	defaultContext = "./app"
	// minPasswordLength makes guessing infeasible: 10^28 passwords, of which a Redis answers about 100,000 a second.
	minPasswordLength = 16
)

// decoder interprets the configuration keys.
type decoder struct {
	*decode.Decoder
	cluster *clusterStack // nil without clusterStack
}

func newDecoder(project string, values map[string]string, secrets []string, cluster *clusterStack) *decoder {
	d := decode.New(project, "docs/configuration.md", values, secrets, keys)
	d.Renamed = renamed
	return &decoder{d, cluster}
}

// Load reads the configuration of the stack that the program runs for. One error lists everything wrong with it.
func Load(ctx *pulumi.Context) (*Config, error) {
	values, secrets, err := decode.Environment()
	if err != nil {
		return nil, err
	}
	name := values[ctx.Project()+":clusterStack"]
	c, err := parse(ctx.Project(), ctx.Stack(), values, secrets, unread(name))
	if err == nil && c.Kubernetes != nil && c.Kubernetes.EKS == nil && !ctx.DryRun() { // a preview may have no cluster yet
		err = inKubeconfig(ctx.Stack(), c.Kubernetes.Kind.Context)
	}
	if err != nil || name == "" {
		return c, err
	}
	cluster, err := readClusterStack(ctx, name)
	if err != nil {
		return nil, err
	}
	return parse(ctx.Project(), ctx.Stack(), values, secrets, cluster)
}

// inKubeconfig returns an error if the kubeconfig that pulumi-kubernetes uses does not have the context. The provider
// would treat the cluster as unreachable, and after such an `up` the next correct one failed as well (4.32.0).
func inKubeconfig(stack, context string) error {
	file := os.Getenv("KUBECONFIG") // the provider accepts a path or the content, but no list (its parseKubeconfigString)
	if file == "" {
		home, _ := os.UserHomeDir()
		file = filepath.Join(home, ".kube", "config")
	}
	content, err := os.ReadFile(file)
	if err != nil {
		content = []byte(file)
	}
	var config struct{ Contexts []struct{ Name string } }
	_ = yaml.Unmarshal(content, &config) // an invalid kubeconfig has no contexts
	for _, c := range config.Contexts {
		if c.Name == context {
			return nil
		}
	}
	return decode.Refusal(stack, fmt.Sprintf("scaleout:kubeContext %q: must be a context of the kubeconfig: "+
		"the one file that KUBECONFIG names, or else ~/.kube/config", context))
}

// parse decodes and checks the configuration of a stack. values has full keys; secrets lists the encrypted ones.
func parse(project, stack string, values map[string]string, secrets []string, cluster *clusterStack) (*Config, error) {
	d := newDecoder(project, values, secrets, cluster)
	c := &Config{}
	target := d.Text("target")
	d.image(c)
	c.App = d.app()
	d.redisSettings(c, stack)
	d.checkVariables(c)
	d.checkFolders(c)
	d.checkClusterStack(target)
	onDocker, onKubernetes := target == "docker", target == "kind" || target == "eks"
	d.RefuseIf(!onDocker && !onKubernetes, "target", "want kind, eks or docker") // further problems depend on it
	c.Kubernetes = decode.Part(d.Decoder, onKubernetes, func() *Kubernetes { return d.kubernetes(c, target) })
	c.Docker = decode.Part(d.Decoder, onDocker, func() *Docker { return d.docker(c) })
	return c, d.Finish(stack)
}

// image sets the finished image or the build.
func (d *decoder) image(c *Config) {
	c.Image = d.Text("image")
	build := &image.Args{}
	d.Fill("build", build)
	d.RefuseIf(c.Image != "" && build.Context != "",
		"image", "and buildContext %s: a finished image is not built; remove one of them", d.Display("buildContext"))
	build.Context = cmp.Or(build.Context, defaultContext)
	d.registry(c, build.Username)
	d.Check("build", build.Validate()) // also for a finished image: the platform determines which nodes can run it
	if c.Image == "" {
		c.Build = build
	} else {
		d.Check("image", image.CheckReference("image", c.Image))
	}
}

// registry sets the repository of a built image and the login of the push.
func (d *decoder) registry(c *Config, username string) {
	password := d.Secret("registryPassword")
	d.RefuseIf((password == "") != (username == ""),
		"registryUsername", "must be set together with registryPassword, or neither")
	if password != "" {
		c.RegistryPassword = secretInput(password)
	}
	ecr, login := &aws.ECRRepositoryArgs{}, d.Text("ecrLogin")
	d.Fill("ecr", ecr)
	c.Repository = d.Text("imageRepository")
	d.RefuseIf(ecr.Name != "" && c.Repository != "" || ecr.Name == "" && c.Repository == "" && c.Image == "",
		"imageRepository", "and ecrRepository %s: exactly one of them must be set", d.Display("ecrRepository"))
	d.Check("imageRepository", check.Optional(check.Repository, "imageRepository", c.Repository))
	if ecr.Name == "" {
		return
	}
	c.ECR, c.ECRToken = ecr, login == "token"
	d.Check("ecr", ecr.Validate())
	d.Check("aws:region", check.Region("aws:region", d.Optional("aws:region")))
	d.Check("ecrLogin", check.OneOf("ecrLogin", login, "dockerConfig", "token"))
	d.RefuseIf(c.ECRToken && username != "",
		"ecrLogin", "must be dockerConfig with registryUsername: only one login can be used")
}

// redisSettings sets the password of the app's Redis and the app's variables for the connection.
func (d *decoder) redisSettings(c *Config, stack string) {
	c.UsesRedis = d.on("redis")
	const key = "redisEnvironment"
	var problems field.ErrorList
	for name := range d.StringMap(key) {
		problems = append(problems,
			check.OneOf(key, name, "caFile", "host", "password", "passwordFile", "port", "tls", "username")...)
	}
	_ = json.Unmarshal([]byte(d.Text(key)), &c.RedisEnvironment) // what it refuses was reported by StringMap
	d.Check(key, append(problems, c.RedisEnvironment.Validate()...))
	password := d.Secret("redisPassword")
	if !c.UsesRedis {
		return
	}
	switch {
	case password == "":
		d.Problem("redisPassword", "is required; run: openssl rand -hex 32 | "+
			"pulumi config set --stack %s --secret redisPassword", stack)
	case len(password) < minPasswordLength:
		d.Problem("redisPassword", "must have at least %d characters", minPasswordLength)
	case strings.ContainsFunc(password, unicode.IsControl): // the probe of Redis and the app would drop a line end
		d.Problem("redisPassword", "must have no line ends and no other control characters")
	}
	c.RedisPassword = secretInput(password)
}

// on returns the value of a switch. A malformed one counts as on, so that the settings that depend on it are not
// refused too.
func (d *decoder) on(name string) bool { return d.Boolean(name) || d.Text(name) != "false" }

// without refuses settings that would have no effect.
func (d *decoder) without(reason string, names ...string) {
	for _, name := range names {
		if value := d.Text(name); !slices.Contains([]string{"", "false", "[]", "{}"}, value) {
			d.Refuse(name, "but %s", reason)
		}
	}
}

func secretInput(value string) pulumi.StringInput {
	return pulumi.ToSecret(pulumi.String(value)).(pulumi.StringOutput)
}
