// Package config turns the configuration of a stack into the arguments of the components. It is the only place that
// knows the configuration keys: the components know none. The defaults are in Pulumi.yaml and nowhere else.
package config

import (
	"cmp"
	"fmt"
	"maps"
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

// Config is everything that may differ between two stacks.
type Config struct {
	// Image is a finished image by its digest. Empty if one is built.
	Image string
	// Build of the app's image, pushed to Repository, or to a new ECR repository if ECR is set. Nil for a finished image.
	Build            *image.Args
	Repository       string
	ECR              *aws.ECRRepositoryArgs
	RegistryPassword pulumi.StringInput
	// ECRToken has the program log in to ECR itself.
	ECRToken bool

	App App
	// UsesRedis tells whether the app gets a Redis, and RedisPassword is what every client of it must give.
	UsesRedis     bool
	RedisPassword pulumi.StringInput
	// RedisEnvironment are the variables by which the app is told about it.
	RedisEnvironment redis.Environment

	// Kubernetes or Docker: exactly one of them is set.
	Kubernetes *Kubernetes
	Docker     *Docker
}

const (
	// ecrLoginToken is the value of ecrLogin that puts a token into the program.
	ecrLoginToken = "token"
	// defaultContext is the build context of the hit counter's image.
	defaultContext = "./app"
	// minPasswordLength: 16 letters and digits make 10^28 passwords, and a Redis answers about 100,000 guesses a second.
	minPasswordLength = 16
)

// decoder gives the keys their meaning.
type decoder struct {
	*decode.Decoder
	cluster *clusterStack // nil if the configuration names none
}

func newDecoder(project string, values map[string]string, secrets []string, cluster *clusterStack) *decoder {
	return &decoder{decode.New(project, "docs/configuration.md", values, secrets, keys), cluster}
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

// inKubeconfig fails if the kubeconfig, as pulumi-kubernetes finds it, has no such context. The provider would take the
// cluster for one that does not answer at the moment, and after an `up` with it the next good one failed as well (4.32.0).
func inKubeconfig(stack, context string) error {
	file := os.Getenv("KUBECONFIG") // to the provider a path or a content, and no list (its parseKubeconfigString)
	if file == "" {
		home, _ := os.UserHomeDir()
		file = filepath.Join(home, ".kube", "config")
	}
	content, err := os.ReadFile(file)
	if err != nil {
		content = []byte(file)
	}
	var config struct{ Contexts []struct{ Name string } }
	_ = yaml.Unmarshal(content, &config) // what is no kubeconfig has no context
	for _, c := range config.Contexts {
		if c.Name == context {
			return nil
		}
	}
	return decode.Refusal(stack, fmt.Sprintf("scaleout:kubeContext %q: must be a context of the kubeconfig: "+
		"the one file that KUBECONFIG names, or else ~/.kube/config", context))
}

// parse decodes and checks the configuration of a stack, by keys with their namespace; secrets are the encrypted ones.
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
	if !onDocker && !onKubernetes { // what else is wrong depends on it
		d.Refuse("target", "want kind, eks or docker")
	}
	c.Kubernetes = decode.Part(d.Decoder, onKubernetes, func() *Kubernetes { return d.kubernetes(c, target) })
	c.Docker = decode.Part(d.Decoder, onDocker, func() *Docker { return d.docker(c) })
	return c, d.Finish(stack)
}

// image is a finished one, or what to build one of.
func (d *decoder) image(c *Config) {
	c.Image = d.Text("image")
	build := &image.Args{}
	d.Fill("build", build)
	context := build.Context
	build.Context = cmp.Or(context, defaultContext)
	d.registry(c, build)
	d.Check("build", build.Validate()) // of a finished image too: the platform says which nodes can run it
	if c.Image == "" {
		c.Build = build
		return
	}
	d.Check("image", image.CheckReference("", c.Image))
	d.RefuseIf(context != "",
		"image", "and buildContext %s: a finished image is not built; remove one of them", d.Shown("buildContext"))
}

// registry is where a built image goes, and how the push logs in.
func (d *decoder) registry(c *Config, build *image.Args) {
	password := d.Secret("registryPassword")
	if (password == "") != (build.Username == "") {
		d.Refuse("registryUsername", "must be set together with registryPassword, or neither")
	} else if password != "" {
		c.RegistryPassword = secretInput(password)
	}
	ecr, login := &aws.ECRRepositoryArgs{}, d.Text("ecrLogin")
	d.Fill("ecr", ecr)
	c.Repository = d.Text("imageRepository")
	d.RefuseIf(ecr.Name != "" && c.Repository != "" || ecr.Name == "" && c.Repository == "" && c.Image == "",
		"imageRepository", "and ecrRepository %s: exactly one of them must be set", d.Shown("ecrRepository"))
	if c.Repository != "" {
		d.CheckKey("imageRepository", check.Repository("imageRepository", c.Repository))
	}
	if ecr.Name == "" {
		return
	}
	c.ECR, c.ECRToken = ecr, login == ecrLoginToken
	d.Check("ecr", ecr.Validate())
	d.CheckKey("aws:region", check.Region("aws:region", d.Optional("aws:region")))
	d.CheckKey("ecrLogin", check.OneOf("ecrLogin", login, "dockerConfig", ecrLoginToken))
	d.RefuseIf(c.ECRToken && build.Username != "",
		"ecrLogin", "must be dockerConfig with registryUsername, which is a login too")
}

// redisSettings are what the app is told of its Redis, wherever that is.
func (d *decoder) redisSettings(c *Config, stack string) {
	c.UsesRedis = d.on("redis")
	c.RedisEnvironment = d.redisEnvironment()
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
	case strings.ContainsFunc(password, unicode.IsControl): // Redis' probe and the app would drop a line end
		d.Problem("redisPassword", "must have no line ends and no other control characters")
	}
	c.RedisPassword = secretInput(password)
}

// redisEnvironment are the names of variables, by what they hold.
func (d *decoder) redisEnvironment() (e redis.Environment) {
	const key = "redisEnvironment"
	names := d.StringMap(key)
	fields := map[string]*string{
		"host": &e.Host, "port": &e.Port, "tls": &e.TLS, "username": &e.Username, "password": &e.Password,
		"passwordFile": &e.PasswordFile, "caFile": &e.CAFile,
	}
	var problems field.ErrorList
	for _, what := range slices.Sorted(maps.Keys(names)) {
		if name, known := fields[what]; known {
			*name = names[what]
		} else {
			problems = append(problems, check.OneOf(key, what, slices.Sorted(maps.Keys(fields))...)...)
		}
	}
	d.CheckKey(key, append(problems, e.Validate()...))
	return e
}

// on is the value of a switch. A malformed one counts as on: what it switches is not refused for it as well.
func (d *decoder) on(name string) bool { return d.Boolean(name) || d.Text(name) != "false" }

// without refuses settings that nothing would use: who makes them counts on them.
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
