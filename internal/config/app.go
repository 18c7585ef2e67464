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
	Command, Args []string
	Port, User    int
	// Metrics is nil for an app without metrics.
	Metrics *kube.Metrics
	// LivePath and ReadyPath are empty for a TCP probe of the port.
	LivePath, ReadyPath string
	StartupSeconds      int
	Environment         map[string]string
	// SecretEnvironment is keyed by variable, SecretFiles by absolute path.
	SecretEnvironment, SecretFiles map[string]string
	WritablePaths                  []string
	Drain                          kube.Drain
	DrainEnv                       kube.DrainEnv
}

func (d *decoder) app() App {
	a := App{
		LivePath: d.Text("livePath"), ReadyPath: d.Text("readyPath"), StartupSeconds: d.Integer("startupSeconds"),
		Environment: d.StringMap("environment"), SecretEnvironment: d.secretMap("secretEnvironment"),
		SecretFiles: d.secretMap("secretFiles"),
	}
	metrics := &kube.Metrics{}
	d.Fill("web.container", &a)
	d.Fill("web.container.drainEnv", &a.DrainEnv)
	d.Fill("web.container.metrics", metrics)
	d.Fill("web.drain", &a.Drain)
	if metrics.Port != 0 {
		a.Metrics = metrics
	}
	d.checkApp(&a)
	return a
}

// checkApp refuses zero values that the components would replace with defaults. It also refuses invalid names in the
// secrets, which the components receive only after other resources have changed.
func (d *decoder) checkApp(a *App) {
	d.CheckKey("user", check.Range("user", a.User, 1, math.MaxInt32))
	if problems := check.Range("startupSeconds", a.StartupSeconds, 1, 3600); len(problems) > 0 {
		d.CheckKey("startupSeconds", problems)
		a.StartupSeconds = 0 // the default, so that rolloutTimeoutSeconds is not refused for it too
	}
	d.CheckKey("longestRequestSeconds", check.Range("longestRequestSeconds", a.Drain.LongestRequest, 1, 3000))
	d.CheckKey("metricsPath", check.That(a.Metrics == nil || a.Metrics.Path != "", "metricsPath", "",
		"must be a path such as /metrics; without metrics set metricsPort to 0"))
	var problems field.ErrorList
	for _, variable := range slices.Sorted(maps.Keys(a.SecretEnvironment)) {
		problems = append(problems, check.Variable("secretEnvironment", variable)...)
	}
	d.CheckKey("secretEnvironment", problems)
	d.CheckKey("secretFiles", checkSecretFiles(a))
}

// checkSecretFiles requires paths that can be mounted, with different file names: files and variables share one Secret.
func checkSecretFiles(a *App) (problems field.ErrorList) {
	entries := map[string]string{}
	for variable := range a.SecretEnvironment {
		entries[variable] = variable + " of secretEnvironment"
	}
	for _, file := range slices.Sorted(maps.Keys(a.SecretFiles)) {
		base := path.Base(file)
		if !path.IsAbs(file) || path.Clean(file) != file || path.Dir(file) == "/" || strings.Contains(file, ":") ||
			len(validation.IsConfigMapKey(base)) > 0 {
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
	type source struct {
		key   string
		names []string
	}
	sources := []source{
		{"environment", slices.Sorted(maps.Keys(c.App.Environment))},
		{"secretEnvironment", slices.Sorted(maps.Keys(c.App.SecretEnvironment))},
		{"drainDelayVariable", []string{c.App.DrainEnv.Delay}}, {"drainTimeoutVariable", []string{c.App.DrainEnv.Timeout}},
	}
	if e := c.RedisEnvironment; c.UsesRedis {
		names := []string{e.Host, e.Port, e.TLS, e.Username, e.Password, e.PasswordFile, e.CAFile}
		sources = append(sources, source{"redisEnvironment", names})
	}
	from := map[string]string{}
	for _, s := range sources {
		for _, name := range s.names {
			if other, taken := from[name]; taken && name != "" && other != s.key {
				d.Problem(s.key, "sets %q, which %s also sets; remove one of them", name, other)
			}
			from[name] = s.key
		}
	}
}

// checkFolders refuses folders of the app inside a read-only mount: the container would not start.
func (d *decoder) checkFolders(c *Config) {
	var readOnly []string
	if c.UsesRedis && c.RedisEnvironment.PasswordFile+c.RedisEnvironment.CAFile != "" {
		readOnly = []string{redis.ClientDir}
	}
	refuse := func(key, dir, other string) {
		d.Problem(key, "has the folder %q, which overlaps the mount %q; choose another", dir, other)
	}
	for _, file := range slices.Sorted(maps.Keys(c.App.SecretFiles)) {
		dir := path.Dir(file)
		for _, other := range readOnly {
			if within(dir, other) && (dir != other || other == redis.ClientDir) || dir != other && within(other, dir) {
				refuse("secretFiles", dir, other)
			}
		}
		readOnly = append(readOnly, dir)
	}
	for _, dir := range c.App.WritablePaths {
		for _, other := range readOnly {
			if within(dir, other) {
				refuse("writablePaths", dir, other)
			}
		}
	}
}

func within(dir, parent string) bool { return dir == parent || strings.HasPrefix(dir, parent+"/") }

// secretMap returns a map whose values must be encrypted. Messages never contain them.
func (d *decoder) secretMap(name string) map[string]string {
	values := d.StringMap(name)
	if len(values) > 0 && !d.Encrypted(name) {
		d.Problem(name, "is in plain text; encrypt it: pulumi config set --secret --path '%s[\"<name>\"]'", name)
	}
	return values
}

// container returns the app as a Kubernetes container, without its image and resources.
func (a *App) container() kube.Container {
	c := kube.Container{
		Command: a.Command, Args: a.Args, Port: a.Port, User: a.User, Metrics: a.Metrics,
		Env: pulumi.ToStringMap(a.Environment), WritablePaths: a.WritablePaths, DrainEnv: a.DrainEnv,
	}
	c.Probes.Startup = &kube.Probe{FailureThreshold: a.StartupSeconds} // once a second
	if a.LivePath != "" {
		c.Probes.Liveness = &kube.Probe{HTTP: a.LivePath}
	}
	if a.ReadyPath != "" {
		c.Probes.Readiness = &kube.Probe{HTTP: a.ReadyPath}
	}
	return c
}

// secretInputs converts values to secret inputs.
func secretInputs(values map[string]string) map[string]pulumi.StringInput {
	all := map[string]pulumi.StringInput{}
	for name, value := range values {
		all[name] = secretInput(value)
	}
	return all
}
