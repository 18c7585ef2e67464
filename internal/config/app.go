package config

import (
	"maps"
	"math"
	"path"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
)

// App describes the app, on any target. The defaults are those of the hit counter in app/.
type App struct {
	kube.Container    // without the image and the resources; its readiness probe has a path or is TCP
	Shutdown          kube.Shutdown
	SecretEnvironment map[string]pulumi.StringInput // by variable
	SecretFiles       map[string]pulumi.StringInput // by absolute path
}

func (d *decoder) app() App {
	a := App{SecretEnvironment: d.secretMap("secretEnvironment"), SecretFiles: d.secretMap("secretFiles")}
	a.Env, a.Metrics = pulumi.ToStringMap(d.StringMap("environment")), &kube.Metrics{}
	a.Probes = kube.HTTPProbes(d.Text("livePath"), d.Text("readyPath"))
	a.Probes.Startup.FailureThreshold = d.Integer("startupSeconds") // once a second
	d.Fill("web.container", &a.Container)
	d.Fill("web.container.drainEnv", &a.DrainEnv)
	d.Fill("web.container.metrics", a.Metrics)
	d.Fill("web.shutdown", &a.Shutdown)
	if a.Metrics.Port == 0 {
		a.Metrics = nil
	}
	d.checkApp(&a)
	return a
}

// checkApp refuses zero values that the components would replace with defaults. It also refuses invalid names in the
// secrets, which the components receive only after other resources have changed.
func (d *decoder) checkApp(a *App) {
	d.Check("user", check.Range("user", a.User, 1, math.MaxInt32))
	start := check.Range("startupSeconds", a.Probes.Startup.FailureThreshold, 1, 3600)
	d.Check("startupSeconds", start)
	if len(start) > 0 {
		a.Probes.Startup = kube.Probe{} // the default, so that rolloutTimeoutSeconds is not refused for it too
	}
	d.Check("longestRequestSeconds", check.Range("longestRequestSeconds", a.Shutdown.LongestRequest, 1, 3000))
	d.Check("metricsPath", check.That(a.Metrics == nil || a.Metrics.Path != "", "metricsPath", "",
		"must be a path such as /metrics; without metrics set metricsPort to 0"))
	var variables field.ErrorList
	for _, variable := range slices.Sorted(maps.Keys(a.SecretEnvironment)) {
		variables = append(variables, check.Variable("secretEnvironment", variable)...)
	}
	d.Check("secretEnvironment", variables)
	d.Check("secretFiles", checkSecretFiles(a))
}

// checkSecretFiles requires paths that can be mounted, with different file names: files and variables share one Secret.
func checkSecretFiles(a *App) (problems field.ErrorList) {
	entries := map[string]string{}
	for variable := range a.SecretEnvironment {
		entries[variable] = variable + " of secretEnvironment"
	}
	for _, file := range slices.Sorted(maps.Keys(a.SecretFiles)) {
		base := path.Base(file)
		if len(check.Path("", file)) > 0 || path.Dir(file) == "/" || len(validation.IsConfigMapKey(base)) > 0 {
			problems = append(problems, check.Invalid("secretFiles", file, "must be an absolute path with a folder, without :, "+
				"whose last part has letters, digits, -, _ and . only, such as /etc/app/key.pem")...)
			continue
		}
		if other, taken := entries[base]; taken {
			problems = append(problems, check.Invalid("secretFiles", file, "must have another last part than "+other+
				": both are stored under that name in one Secret")...)
		}
		entries[base] = file
	}
	return problems
}

// checkVariables requires that each variable of the app is set by one key only: of two values one would silently win.
func (d *decoder) checkVariables(c *Config) {
	from := map[string]string{}
	set := func(key string, variables ...string) {
		for _, name := range variables {
			if other, taken := from[name]; taken && name != "" && other != key {
				d.Problem(key, "sets %q, which %s also sets; remove one of them", name, other)
			}
			from[name] = key
		}
	}
	set("environment", slices.Collect(maps.Keys(c.App.Env))...)
	set("secretEnvironment", slices.Collect(maps.Keys(c.App.SecretEnvironment))...)
	set("drainDelayVariable", c.App.DrainEnv.Delay)
	set("drainTimeoutVariable", c.App.DrainEnv.Timeout)
	if e := c.RedisEnvironment; c.UsesRedis {
		set("redisEnvironment", e.Host, e.Port, e.TLS, e.Username, e.Password, e.PasswordFile, e.CAFile)
	}
}

// checkFolders refuses folders of the app inside a read-only mount: the container would not start.
func (d *decoder) checkFolders(c *Config) {
	var mounts []string // read-only
	refuse := func(key, dir string, overlap func(mount string) bool) {
		for _, mount := range mounts {
			if overlap(mount) {
				d.Problem(key, "has the folder %q, which overlaps the mount %q; choose another", dir, mount)
			}
		}
	}
	if c.UsesRedis && c.RedisEnvironment.PasswordFile+c.RedisEnvironment.CAFile != "" {
		mounts = []string{redis.ClientDir}
	}
	folders := map[string]bool{}
	for file := range c.App.SecretFiles {
		folders[path.Dir(file)] = true
	}
	for _, dir := range slices.Sorted(maps.Keys(folders)) {
		refuse("secretFiles", dir, func(mount string) bool { return within(dir, mount) || within(mount, dir) })
		mounts = append(mounts, dir)
	}
	for _, dir := range c.App.WritablePaths {
		refuse("writablePaths", dir, func(mount string) bool { return within(dir, mount) })
	}
}

func within(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

// secretMap returns a map whose values must be encrypted. Messages never contain them.
func (d *decoder) secretMap(name string) map[string]pulumi.StringInput {
	secrets := map[string]pulumi.StringInput{}
	for key, value := range d.StringMap(name) {
		secrets[key] = secretInput(value)
	}
	if len(secrets) > 0 && !d.Encrypted(name) {
		d.Problem(name, "is in plain text; encrypt it: pulumi config set --secret --path '%s[\"<name>\"]'", name)
	}
	return secrets
}
