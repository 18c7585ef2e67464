package config

import (
	"errors"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/image"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/decode"
	"example.com/scaleout/internal/decode/decodetest"
)

const password = "correct-horse-battery-staple"

// base returns a valid configuration: the defaults of Pulumi.yaml and the settings of a kind stack.
func base(t testing.TB) map[string]string {
	t.Helper()
	values := defaults(t)
	maps.Copy(values, map[string]string{
		"scaleout:target":          "kind",
		"scaleout:imageRepository": "localhost:5001/scaleout",
		"scaleout:ingressClass":    "traefik",
		"scaleout:installTraefik":  "true",
		"scaleout:redisPassword":   password,
	})
	return values
}

// eks returns a valid configuration for EKS.
func eks(t testing.TB) map[string]string {
	t.Helper()
	values := base(t)
	maps.Copy(values, map[string]string{
		"aws:region":                 "eu-central-1",
		"scaleout:target":            "eks",
		"scaleout:eksCluster":        "production",
		"scaleout:imageRepository":   "",
		"scaleout:ecrRepository":     "scaleout",
		"scaleout:installTraefik":    "false",
		"scaleout:ingressClass":      "alb",
		"scaleout:albScheme":         "internet-facing",
		"scaleout:albController":     "eksAutoMode",
		"scaleout:loadBalancerCidrs": `["10.0.0.0/16"]`,
	})
	return values
}

// onDocker returns a valid configuration for a Docker host.
func onDocker(t testing.TB) map[string]string {
	t.Helper()
	values := defaults(t)
	maps.Copy(values, map[string]string{
		"scaleout:target":          "docker",
		"scaleout:imageRepository": "localhost:5001/scaleout",
		"scaleout:publicPort":      "8090",
		"scaleout:redisPassword":   password,
	})
	return values
}

// pulumiYAML is read once: hundreds of configurations start from its defaults.
var pulumiYAML = sync.OnceValues(func() (*workspace.Project, error) {
	return workspace.LoadProject("../../Pulumi.yaml")
})

func project(t testing.TB) *workspace.Project {
	t.Helper()
	project, err := pulumiYAML()
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// defaults returns the defaults of Pulumi.yaml in the form in which the engine passes them.
func defaults(t testing.TB) map[string]string { return decodetest.Defaults(t, project(t)) }

var secrets = []string{
	"scaleout:redisPassword", "scaleout:registryPassword", "scaleout:secretEnvironment", "scaleout:secretFiles",
}

func parsed(values map[string]string) (*Config, error) {
	return parse("scaleout", "dev", values, secrets, nil)
}

func TestParseAccepts(t *testing.T) {
	for name, values := range map[string]map[string]string{"kind": base(t), "eks": eks(t), "docker": onDocker(t)} {
		if _, err := parsed(values); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every key that Pulumi.yaml declares is read, and every key that is read is declared. So no key is unused, and none
// lacks a description, default or type check.
func TestEveryKeyIsDeclaredAndRead(t *testing.T) {
	declared := project(t).Config
	d := newDecoder("scaleout", map[string]string{}, nil, nil)
	c := &Config{}
	d.Text("target")
	d.image(c)
	c.App = d.app()
	d.redisSettings(c, "dev")
	d.checkClusterStack("eks")
	d.kubernetes(c, "eks")
	d.docker(c)
	var read []string // a key that is read has no value here, which is a problem
	for line := range strings.Lines(d.Finish("dev").Error()) {
		if key, _, missing := strings.Cut(line, ": is required; run: pulumi config set scaleout:"); missing {
			read = append(read, strings.TrimPrefix(key, "  scaleout:"))
		}
	}
	for name, key := range declared {
		if !slices.Contains(read, name) {
			t.Errorf("%s is declared in Pulumi.yaml but nothing reads it", name)
		}
		if key.Description == "" {
			t.Errorf("%s has no description in Pulumi.yaml", name)
		}
	}
	for _, name := range read {
		if _, known := declared[name]; !known {
			t.Errorf("%s is read but not declared in Pulumi.yaml", name)
		}
	}
}

// refusals returns configurations with one problem each.
func refusals() map[string]refusal {
	return map[string]refusal{
		// --- keys
		"unknown key": {base, map[string]string{"minReplica": "2"},
			[]string{"scaleout:minReplica", "no such key", "docs/configuration.md"}},
		"key in another case": {base, map[string]string{"MinReplicas": "2"},
			[]string{"scaleout:MinReplicas", "no such key", "docs/configuration.md"}},
		"key of an old version": {onDocker, map[string]string{"redisSave": "60"},
			[]string{"scaleout:redisSave", "no such key", "docs/configuration.md"}},
		"unknown namespace": {base, map[string]string{"scalout:minReplicas": "2"},
			[]string{"scalout:minReplicas", "no such namespace", "scaleout:"}},
		"namespace of another provider": {eks, map[string]string{"gcp:region": "europe-west3"},
			[]string{"gcp:region", "no such namespace", "scaleout:"}},

		// --- target
		"no target": {base, map[string]string{"target": ""}, []string{"scaleout:target", `""`, "kind, eks or docker"}},
		"target in another case": {base, map[string]string{"target": "Kind"},
			[]string{"scaleout:target", "Kind", "kind, eks or docker"}},
		"unknown target": {base, map[string]string{"target": "gke"},
			[]string{"scaleout:target", "gke", "kind, eks or docker"}},

		// --- types
		"a word for a number": {base, map[string]string{"minReplicas": "two"},
			[]string{"scaleout:minReplicas", `"two"`, "whole number"}},
		"nothing for a number": {base, map[string]string{"maxReplicas": ""},
			[]string{"scaleout:maxReplicas", `""`, "whole number"}},
		"a unit after a number": {onDocker, map[string]string{"loadBalancerDelaySeconds": "3s"},
			[]string{"scaleout:loadBalancerDelaySeconds", "3s", "whole number"}},
		"yes for a boolean": {base, map[string]string{"redisPersistent": "yes"},
			[]string{"scaleout:redisPersistent", `"yes"`, "true or false"}},
		"a boolean in capitals": {base, map[string]string{"installTraefik": "TRUE"},
			[]string{"scaleout:installTraefik", "TRUE", "true or false"}},
		"a number for a boolean": {base, map[string]string{"redisTls": "1"},
			[]string{"scaleout:redisTls", "1", "true or false"}},
		"a boolean of ECR": {eks, map[string]string{"ecrForceDelete": "maybe"},
			[]string{"scaleout:ecrForceDelete", "maybe", "true or false"}},
		"a boolean of metrics-server": {base, map[string]string{"installMetricsServer": "on"},
			[]string{"scaleout:installMetricsServer", "on", "true or false"}},
		"nothing for a boolean": {base, map[string]string{"kubeletInsecureTls": ""},
			[]string{"scaleout:kubeletInsecureTls", `""`, "true or false"}},
		"a word for a list": {base, map[string]string{"loadBalancerCidrs": "10.0.0.0/8"},
			[]string{"scaleout:loadBalancerCidrs", "10.0.0.0/8", "list of strings"}},
		"a list for a map": {base, map[string]string{"imageBuildArgs": `["A=1"]`},
			[]string{"scaleout:imageBuildArgs", `["A=1"]`, "map of strings"}},

		// --- number of pods
		"no pods": {base, map[string]string{"minReplicas": "0"}, []string{"scaleout:minReplicas", "0", "1 to 150000"}},
		"fewer than no pods": {base, map[string]string{"minReplicas": "-1"},
			[]string{"scaleout:minReplicas", "-1", "1 to 150000"}},
		"more pods than a cluster takes": {base, map[string]string{"minReplicas": "150001", "maxReplicas": "150000"},
			[]string{"scaleout:minReplicas", "150001", "1 to 150000"}},
		"at most no pods": {base, map[string]string{"maxReplicas": "0"},
			[]string{"scaleout:maxReplicas", "0", "1 to 150000"}},
		"at most too many pods": {base, map[string]string{"maxReplicas": "150001"},
			[]string{"scaleout:maxReplicas", "150001", "1 to 150000"}},
		"min over max": {base, map[string]string{"minReplicas": "11"},
			[]string{"scaleout:maxReplicas", "10", "at least 11, the fewest pods"}},
		"max under min": {eks, map[string]string{"maxReplicas": "1"},
			[]string{"scaleout:maxReplicas", "1", "at least 2, the fewest pods"}},

		// --- scaling
		"targetCpuUtilization too low": {base, map[string]string{"targetCpuUtilization": "0"},
			[]string{"scaleout:targetCpuUtilization", "0", "1 to 100"}},
		"targetCpuUtilization too high": {base, map[string]string{"targetCpuUtilization": "101"},
			[]string{"scaleout:targetCpuUtilization", "101", "1 to 100"}},
		"scaleUpWindowSeconds too low": {base, map[string]string{"scaleUpWindowSeconds": "-1"},
			[]string{"scaleout:scaleUpWindowSeconds", "-1", "0 to 3600"}},
		"scaleUpWindowSeconds too high": {base, map[string]string{"scaleUpWindowSeconds": "3601"},
			[]string{"scaleout:scaleUpWindowSeconds", "3601", "0 to 3600"}},
		"scaleUpPercent too low": {base, map[string]string{"scaleUpPercent": "0"},
			[]string{"scaleout:scaleUpPercent", "0", "1 to 10000"}},
		"scaleUpPercent too high": {base, map[string]string{"scaleUpPercent": "10001"},
			[]string{"scaleout:scaleUpPercent", "10001", "1 to 10000"}},
		"scaleDownWindowSeconds too low": {base, map[string]string{"scaleDownWindowSeconds": "-1"},
			[]string{"scaleout:scaleDownWindowSeconds", "-1", "0 to 3600"}},
		"scaleDownWindowSeconds too high": {base, map[string]string{"scaleDownWindowSeconds": "3601"},
			[]string{"scaleout:scaleDownWindowSeconds", "3601", "0 to 3600"}},
		"scaleDownPercent too low": {base, map[string]string{"scaleDownPercent": "0"},
			[]string{"scaleout:scaleDownPercent", "0", "1 to 100"}},
		"scaleDownPercent too high": {base, map[string]string{"scaleDownPercent": "101"},
			[]string{"scaleout:scaleDownPercent", "101", "1 to 100"}},
		"scaleDownPeriodSeconds too low": {base, map[string]string{"scaleDownPeriodSeconds": "0"},
			[]string{"scaleout:scaleDownPeriodSeconds", "0", "1 to 1800"}},
		"scaleDownPeriodSeconds too high": {base, map[string]string{"scaleDownPeriodSeconds": "1801"},
			[]string{"scaleout:scaleDownPeriodSeconds", "1801", "1 to 1800"}},
		"no number for a tolerance": {base, map[string]string{"scaleTolerance": "NaN"},
			[]string{"scaleout:scaleTolerance", "NaN", "0.05"}},
		"percent for a tolerance": {base, map[string]string{"scaleTolerance": "5%"},
			[]string{"scaleout:scaleTolerance", "5%", "0.05"}},
		"all is tolerated": {base, map[string]string{"scaleTolerance": "1"},
			[]string{"scaleout:scaleTolerance", "1", "0.05"}},
		"less than nothing is tolerated": {base, map[string]string{"scaleTolerance": "-0.1"},
			[]string{"scaleout:scaleTolerance", "-0.1", "0.05"}},

		// --- quantities
		"no CPU request": {base, map[string]string{"cpuRequest": ""},
			[]string{"scaleout:cpuRequest", `""`, "from 1m to 1000, such as 250m"}},
		"memory for a CPU": {base, map[string]string{"cpuLimit": "64Mi"},
			[]string{"scaleout:cpuLimit", "64Mi", "from 1m to 1000, such as 250m"}},
		"request over limit": {base, map[string]string{"cpuRequest": "1"},
			[]string{"scaleout:cpuLimit", "500m", "at least the CPU request of 1"}},
		"limit under request": {eks, map[string]string{"cpuLimit": "99m"},
			[]string{"scaleout:cpuLimit", "99m", "at least the CPU request of 100m"}},
		"no memory": {base, map[string]string{"memoryLimit": ""},
			[]string{"scaleout:memoryLimit", `""`, "from 6Mi to 32Ti, such as 64Mi"}},
		"memory without a unit": {base, map[string]string{"memoryLimit": "64"},
			[]string{"scaleout:memoryLimit", "64", "from 6Mi to 32Ti, such as 64Mi"}},
		"word for a size": {base, map[string]string{"redisStorageSize": "big"},
			[]string{"scaleout:redisStorageSize", "big", "from 1Mi to 64Ti, such as 1Gi"}},

		// --- times
		"loadBalancerDelaySeconds too low": {base, map[string]string{"loadBalancerDelaySeconds": "0"},
			[]string{"scaleout:loadBalancerDelaySeconds", "0", "1 to 300"}},
		"loadBalancerDelaySeconds too high": {base, map[string]string{"loadBalancerDelaySeconds": "301"},
			[]string{"scaleout:loadBalancerDelaySeconds", "301", "1 to 300"}},
		"rolloutTimeoutSeconds too low": {base, map[string]string{"rolloutTimeoutSeconds": "29"},
			[]string{"scaleout:rolloutTimeoutSeconds", "29", "30 to 3600"}},
		"rolloutTimeoutSeconds too high": {base, map[string]string{"rolloutTimeoutSeconds": "3601"},
			[]string{"scaleout:rolloutTimeoutSeconds", "3601", "30 to 3600"}},

		// --- host and port
		"scheme in a host": {base, map[string]string{"host": "https://x"},
			[]string{"scaleout:host", "https://x", "app.example.com"}},
		"IP address with a scheme": {base, map[string]string{"host": "http://192.0.2.1"},
			[]string{"scaleout:host", "http://192.0.2.1", "app.example.com"}},
		"IP address for a host": {base, map[string]string{"host": "192.0.2.1"},
			[]string{"scaleout:host", "192.0.2.1", "app.example.com"}},
		"port in a host": {base, map[string]string{"host": "app.example.org:8080"},
			[]string{"scaleout:host", "app.example.org:8080", "app.example.com"}},
		"wildcard": {base, map[string]string{"host": "*.example.org"},
			[]string{"scaleout:host", "*.example.org", "app.example.com"}},
		"port too high": {base, map[string]string{"publicPort": "65536"},
			[]string{"scaleout:publicPort", "65536", "0 to 65535"}},
		"port too low": {base, map[string]string{"publicPort": "-1"}, []string{"scaleout:publicPort", "-1", "0 to 65535"}},

		// --- words
		"log level as a key": {base, map[string]string{"logLevel": "debug"},
			[]string{"scaleout:logLevel", "no such key", "docs/configuration.md"}},
		"fsync that loses more": {base, map[string]string{"redisFsync": "no"},
			[]string{"scaleout:redisFsync", "no", "everysec, always"}},
		"fsync in another case": {onDocker, map[string]string{"redisFsync": "Always"},
			[]string{"scaleout:redisFsync", "Always", "everysec, always"}},
		"no fsync": {base, map[string]string{"redisFsync": ""}, []string{"scaleout:redisFsync", `""`, "everysec, always"}},

		// --- images
		"latest": {base, map[string]string{"redisImage": "redis:latest"},
			[]string{"scaleout:redisImage", "redis:latest", "tag other than latest, or in a digest"}},
		"no image": {base, map[string]string{"redisImage": ""},
			[]string{"scaleout:redisImage", `""`, "tag other than latest, or in a digest"}},
		"latest Traefik": {base, map[string]string{"traefikImage": "traefik:latest"},
			[]string{"scaleout:traefikImage", "traefik:latest", "tag other than latest, or in a digest"}},
		"metrics-server without a tag": {base,
			map[string]string{"metricsServerImage": "registry.k8s.io/metrics-server", "installMetricsServer": "true"},
			[]string{"scaleout:metricsServerImage", "registry.k8s.io/metrics-server", "tag other than latest, or in a digest"}},
		"tag of a repository": {base, map[string]string{"imageRepository": "localhost:5001/app:v1"}, []string{
			"scaleout:imageRepository", "localhost:5001/app:v1",
			"<registry>/<name> in lower case, with no scheme, no tag and no digest",
		}},
		"repository without a registry": {base, map[string]string{"imageRepository": "team/app"}, []string{
			"scaleout:imageRepository", "team/app", "<registry>/<name> in lower case, with no scheme, no tag and no digest",
		}},
		"two repositories": {base, map[string]string{"ecrRepository": "app"},
			[]string{"scaleout:imageRepository", "localhost:5001/scaleout", `ecrRepository "app"`, "exactly one"}},
		"no repository": {base, map[string]string{"imageRepository": ""},
			[]string{"scaleout:imageRepository", `""`, `ecrRepository ""`, "exactly one"}},
		"architecture alone": {base, map[string]string{"imagePlatform": "arm64"},
			[]string{"scaleout:imagePlatform", "arm64", "linux/amd64 or linux/arm64"}},
		"another system": {base, map[string]string{"imagePlatform": "windows/amd64"},
			[]string{"scaleout:imagePlatform", "windows/amd64", "linux/amd64 or linux/arm64"}},
		"no architecture": {base, map[string]string{"imagePlatform": "linux"},
			[]string{"scaleout:imagePlatform", "linux", "linux/amd64 or linux/arm64"}},
		"slip in the architecture": {base, map[string]string{"imagePlatform": "linux/amd46"},
			[]string{"scaleout:imagePlatform", "linux/amd46", "linux/amd64 or linux/arm64"}},
		"platforms": {base, map[string]string{"imagePlatform": "linux/amd64,linux/arm64"},
			[]string{"scaleout:imagePlatform", "linux/amd64,linux/arm64", "linux/amd64 or linux/arm64"}},
		"platform in capitals": {base, map[string]string{"imagePlatform": "Linux/amd64"},
			[]string{"scaleout:imagePlatform", "Linux/amd64", "linux/amd64 or linux/arm64"}},
		"reserved build argument": {base, map[string]string{"imageBuildArgs": `{"VERSION":"1"}`},
			[]string{"scaleout:imageBuildArgs", "VERSION", "must not set VERSION"}},
		"hyphen in a build argument": {base, map[string]string{"imageBuildArgs": `{"GO-IMAGE":"x"}`},
			[]string{"scaleout:imageBuildArgs", "GO-IMAGE", "letters, digits and _"}},

		// --- monitoring
		"two Prometheuses": {base, map[string]string{
			"installPrometheus": "true", "prometheusOperator": "true", "runbookUrl": "https://a.example",
			"prometheusNamespace": "monitoring",
		}, []string{"scaleout:prometheusOperator", "installPrometheus", "at most one"}},
		"Grafana of nothing": {base, map[string]string{"installGrafana": "true"},
			[]string{"scaleout:installGrafana", "installPrometheus", "set that too"}},
		"Grafana beside an operator": {base, map[string]string{
			"installGrafana": "true", "prometheusOperator": "true", "runbookUrl": "https://a.example",
			"prometheusNamespace": "monitoring",
		}, []string{"scaleout:installGrafana", "set that too"}},
		"operator without a namespace": {base,
			map[string]string{"prometheusOperator": "true", "runbookUrl": "https://a.example"},
			[]string{"scaleout:prometheusNamespace", `""`, "together with prometheusOperator"}},
		"namespace without an operator": {base, map[string]string{"prometheusNamespace": "monitoring"},
			[]string{"scaleout:prometheusNamespace", "monitoring", "together with prometheusOperator"}},
		"namespace of an operator": {base, map[string]string{
			"prometheusOperator": "true", "runbookUrl": "https://a.example", "prometheusNamespace": "Monitoring",
		}, []string{"scaleout:prometheusNamespace", "Monitoring", "lower case"}},
		"label of an operator": {base, map[string]string{
			"prometheusOperator": "true", "runbookUrl": "https://a.example", "prometheusNamespace": "m",
			"prometheusLabels": `{"re lease": "x"}`,
		}, []string{"scaleout:prometheusLabels", "re lease", "must be a label"}},
		"value of a label": {base, map[string]string{
			"prometheusOperator": "true", "runbookUrl": "https://a.example", "prometheusNamespace": "m",
			"prometheusLabels": `{"release": "a b"}`,
		}, []string{"scaleout:prometheusLabels", "a b", "must be a label"}},
		"list of labels": {base, map[string]string{"prometheusLabels": `["release"]`},
			[]string{"scaleout:prometheusLabels", "release", "a map of strings"}},
		"Prometheus of any version": {base,
			map[string]string{"installPrometheus": "true", "prometheusImage": "prom/prometheus"},
			[]string{"scaleout:prometheusImage", "prom/prometheus", "tag other than latest"}},
		"kube-state-metrics of any": {base,
			map[string]string{"installPrometheus": "true", "kubeStateMetricsImage": "ksm:latest"},
			[]string{"scaleout:kubeStateMetricsImage", "ksm:latest", "tag other than latest"}},
		"Grafana of any version": {base,
			map[string]string{"installPrometheus": "true", "installGrafana": "true", "grafanaImage": "grafana"},
			[]string{"scaleout:grafanaImage", `"grafana"`, "tag other than latest"}},
		"retention of two days": {base, map[string]string{"installPrometheus": "true", "prometheusRetentionDays": "2"},
			[]string{"scaleout:prometheusRetentionDays", "2", "from 3 to 365"}},
		"retention with a unit": {base, map[string]string{"prometheusRetentionDays": "15d"},
			[]string{"scaleout:prometheusRetentionDays", "15d", "whole number"}},
		"measurements on a small claim": {base,
			map[string]string{"installPrometheus": "true", "prometheusStorageSize": "1Mi"},
			[]string{"scaleout:prometheusStorageSize", "1Mi", "from 100Mi to 64Ti"}},
		"class of that claim": {base, map[string]string{"installPrometheus": "true", "prometheusStorageClass": "GP3"},
			[]string{"scaleout:prometheusStorageClass", "GP3", "lower case"}},
		"objective of all": {base, map[string]string{"installPrometheus": "true", "sloAvailabilityPercent": "100"},
			[]string{"scaleout:sloAvailabilityPercent", "100", "from 50 to 99.99"}},
		"objective as a part": {base, map[string]string{"installPrometheus": "true", "sloFastPercent": "0.99"},
			[]string{"scaleout:sloFastPercent", "0.99", "from 50 to 99.99"}},
		"objective in words": {base, map[string]string{"sloFastPercent": "99%"},
			[]string{"scaleout:sloFastPercent", "99%", "a number such as 99.9"}},
		"objective that is no number": {base, map[string]string{"sloAvailabilityPercent": "NaN"},
			[]string{"scaleout:sloAvailabilityPercent", "NaN", "a number such as 99.9"}},
		"objective with an exponent": {base, map[string]string{"sloAvailabilityPercent": "9e1"},
			[]string{"scaleout:sloAvailabilityPercent", "9e1", "a number such as 99.9"}},
		"between two bounds": {base, map[string]string{"installPrometheus": "true", "sloFastMilliseconds": "150"},
			[]string{"scaleout:sloFastMilliseconds", "150", "5, 10, 25, 50, 100, 250, 500"}},
		"runbook without a host": {base, map[string]string{"prometheusOperator": "true", "prometheusNamespace": "m"},
			[]string{"scaleout:runbookUrl", "docs/runbook.md", "http or https URL"}},
		"no runbook": {base, map[string]string{"installPrometheus": "true", "runbookUrl": ""},
			[]string{"scaleout:runbookUrl", "must be set"}},

		// --- secrets
		"no password": {base, map[string]string{"redisPassword": ""},
			[]string{"scaleout:redisPassword", "is required", "pulumi config set --stack dev --secret redisPassword"}},
		"no password on Docker": {onDocker, map[string]string{"redisPassword": ""},
			[]string{"scaleout:redisPassword", "is required", "pulumi config set --stack dev --secret redisPassword"}},
		"weak password": {base, map[string]string{"redisPassword": "hunter2"},
			[]string{"scaleout:redisPassword", "at least 16"}},
		"line end after a password": {base, map[string]string{"redisPassword": password + "\n"},
			[]string{"scaleout:redisPassword", "no line ends"}},
		"zero in a password": {base, map[string]string{"redisPassword": password + "\x00"},
			[]string{"scaleout:redisPassword", "no other control characters"}},
		"user without a password": {base, map[string]string{"registryUsername": "me"},
			[]string{"scaleout:registryUsername", `"me"`, "together with registryPassword"}},
		"password without a user": {base, map[string]string{"registryPassword": password},
			[]string{"scaleout:registryUsername", `""`, "together with registryPassword"}},

		// --- Redis elsewhere
		"scheme of Redis": {base, map[string]string{"redisHost": "redis://x"},
			[]string{"scaleout:redisHost", "redis://x", "DNS name or an IP address"}},
		"port of Redis": {base, map[string]string{"redisHost": "redis.example.com:6379"},
			[]string{"scaleout:redisHost", "redis.example.com:6379", "DNS name or an IP address"}},
		"underscore of Redis": {base, map[string]string{"redisHost": "my_redis"},
			[]string{"scaleout:redisHost", "my_redis", "DNS name or an IP address"}},
		"IP address out of range": {base, map[string]string{"redisHost": "999.1.1.1"},
			[]string{"scaleout:redisHost", "999.1.1.1", "DNS name or an IP address"}},
		"address in brackets": {base, map[string]string{"redisHost": "[2001:db8::1]"},
			[]string{"scaleout:redisHost", "[2001:db8::1]", "DNS name or an IP address"}},
		"dot after Redis": {base, map[string]string{"redisHost": "redis.example.com."},
			[]string{"scaleout:redisHost", "redis.example.com.", "DNS name or an IP address"}},
		"the pod itself": {base, map[string]string{"redisHost": "localhost"},
			[]string{"scaleout:redisHost", "localhost", "DNS name or an IP address"}},
		"the loopback address": {base, map[string]string{"redisHost": "127.0.0.1"},
			[]string{"scaleout:redisHost", "127.0.0.1", "DNS name or an IP address"}},
		"any address": {base, map[string]string{"redisHost": "0.0.0.0"},
			[]string{"scaleout:redisHost", "0.0.0.0", "DNS name or an IP address"}},
		"long label of Redis": {base, map[string]string{"redisHost": strings.Repeat("r", 64)},
			[]string{"scaleout:redisHost", strings.Repeat("r", 64), "DNS name or an IP address"}},
		"port of Redis too low": {base, map[string]string{"redisPort": "0", "redisHost": "r.example.com"},
			[]string{"scaleout:redisPort", "0", "1 to 65535"}},
		"port of Redis too high": {base, map[string]string{"redisPort": "65536", "redisHost": "r.example.com"},
			[]string{"scaleout:redisPort", "65536", "1 to 65535"}},
		"blank in a user of Redis": {base, map[string]string{"redisUsername": "my app", "redisHost": "r.example.com"},
			[]string{"scaleout:redisUsername", "my app", "no white space"}},
		"TLS to the own Redis": {base, map[string]string{"redisTls": "true"},
			[]string{"scaleout:redisTls", "true", "set redisHost too"}},
		"user of the own Redis": {base, map[string]string{"redisUsername": "app"},
			[]string{"scaleout:redisUsername", "app", "set redisHost too"}},

		// --- names of Kubernetes
		"namespace": {base, map[string]string{"namespace": "My_App"}, []string{"scaleout:namespace", "My_App", "lower case"}},
		"dot in a namespace": {base, map[string]string{"namespace": "my.app"},
			[]string{"scaleout:namespace", "my.app", "lower case"}},
		"hyphen before a namespace": {base, map[string]string{"namespace": "-app"},
			[]string{"scaleout:namespace", "-app", "lower case"}},
		"no namespace": {base, map[string]string{"namespace": ""}, []string{"scaleout:namespace", `""`, "lower case"}},
		"long namespace": {base, map[string]string{"namespace": strings.Repeat("a", 64)},
			[]string{"scaleout:namespace", strings.Repeat("a", 64), "up to 63"}},
		"namespace that exists": {base, map[string]string{"namespace": "default"},
			[]string{"scaleout:namespace", "default", "new namespace"}},
		"namespace of Kubernetes": {base, map[string]string{"namespace": "kube-system"},
			[]string{"scaleout:namespace", "kube-system", "new namespace"}},
		"namespace of Traefik": {base, map[string]string{"namespace": "traefik"},
			[]string{"scaleout:namespace", "traefik", "choose another"}},
		"class that Traefik is not": {base, map[string]string{"ingressClass": "nginx"},
			[]string{"scaleout:ingressClass", "nginx", `must be "traefik" with installTraefik`}},
		"controller that Traefik is not": {base, map[string]string{"ingressNamespace": "nginx"},
			[]string{"scaleout:ingressNamespace", "nginx", `must be "traefik" with installTraefik`}},
		"no class": {base, map[string]string{"ingressClass": "", "installTraefik": "false", "ingressNamespace": "x"},
			[]string{"scaleout:ingressClass", `""`, "lower case"}},
		"class in capitals": {eks, map[string]string{"ingressClass": "ALB"},
			[]string{"scaleout:ingressClass", "ALB", "lower case"}},
		"namespace of a controller": {base, map[string]string{"ingressNamespace": "Ingress", "installTraefik": "false"},
			[]string{"scaleout:ingressNamespace", "Ingress", "lower case"}},
		"nobody may call": {base, map[string]string{"installTraefik": "false"},
			[]string{"scaleout:loadBalancerCidrs", "no peer may reach the pods", "ingressNamespace", "installTraefik"}},
		"storage class": {base, map[string]string{"redisStorageClass": "GP3"},
			[]string{"scaleout:redisStorageClass", "GP3", "lower case"}},
		"TLS secret": {base, map[string]string{"tlsSecret": "My_TLS", "host": "a.example.com"},
			[]string{"scaleout:tlsSecret", "My_TLS", "lower case"}},
		"TLS without a host": {base, map[string]string{"tlsSecret": "tls"},
			[]string{"scaleout:host", `""`, "must be set: a certificate is for a name"}},

		// --- cluster
		"context of production": {base, map[string]string{"kubeContext": "prod"},
			[]string{"scaleout:kubeContext", "prod", "kind-<name>"}},
		"context of EKS": {base, map[string]string{"kubeContext": "arn:aws:eks:eu-central-1:111122223333:cluster/production"},
			[]string{"scaleout:kubeContext", "arn:aws:eks:eu-central-1:111122223333:cluster/production", "kind-<name>"}},
		"no context": {base, map[string]string{"kubeContext": ""}, []string{"scaleout:kubeContext", `""`, "kind-<name>"}},
		"no EKS cluster": {eks, map[string]string{"eksCluster": ""},
			[]string{"scaleout:eksCluster", `""`, "name of an EKS cluster"}},
		"no region": {eks, map[string]string{"aws:region": ""}, []string{"aws:region", `""`, "such as eu-central-1"}},
		"region of a repository": {base,
			map[string]string{"aws:region": "europe", "imageRepository": "", "ecrRepository": "app"},
			[]string{"aws:region", "europe", "such as eu-central-1"}},
		"name of a role": {eks, map[string]string{"eksRoleArn": "admin"},
			[]string{"scaleout:eksRoleArn", "admin", "arn:aws:iam::<account>:role/<name>"}},
		"ECR name": {eks, map[string]string{"ecrRepository": "Team App"},
			[]string{"scaleout:ecrRepository", "Team App", "2 to 256 characters in lower case"}},
		"ECR name of one letter": {eks, map[string]string{"ecrRepository": "a"},
			[]string{"scaleout:ecrRepository", "a", "2 to 256 characters in lower case"}},
		"ECR name after a slash": {eks, map[string]string{"ecrRepository": "/app"},
			[]string{"scaleout:ecrRepository", "/app", "2 to 256 characters in lower case"}},
		"URL for an ECR name": {eks,
			map[string]string{"ecrRepository": "111122223333.dkr.ecr.eu-central-1.amazonaws.com:443/app"}, []string{
				"scaleout:ecrRepository", "111122223333.dkr.ecr.eu-central-1.amazonaws.com:443/app",
				"2 to 256 characters in lower case",
			}},
		"long ECR name": {eks, map[string]string{"ecrRepository": strings.Repeat("e", 257)},
			[]string{"scaleout:ecrRepository", strings.Repeat("e", 257), "2 to 256 characters in lower case"}},

		// --- load balancer
		"scheme": {eks, map[string]string{"albScheme": "public"},
			[]string{"scaleout:albScheme", "public", "internet-facing, internal"}},
		"ALB on kind": {base, map[string]string{"albScheme": "internal", "albController": "eksAutoMode"},
			[]string{"scaleout:albScheme", "internal", "leave it empty"}},
		"ALB and Traefik": {eks,
			map[string]string{"albScheme": "internal", "installTraefik": "true", "ingressClass": "traefik"},
			[]string{"scaleout:albScheme", "internal", `must be "" with installTraefik`}},
		"controller": {eks, map[string]string{"albController": "nginx"},
			[]string{"scaleout:albController", "nginx", "eksAutoMode, awsLoadBalancerController"}},
		"no controller": {eks, map[string]string{"albController": ""},
			[]string{"scaleout:albController", `""`, "together with albScheme", "eksAutoMode or awsLoadBalancerController"}},
		"controller without an ALB": {base, map[string]string{"albController": "eksAutoMode"},
			[]string{"scaleout:albController", "eksAutoMode", "together with albScheme"}},
		"certificate": {eks, map[string]string{"certificateArn": "x", "host": "a.example.com"},
			[]string{"scaleout:certificateArn", "x", "arn:aws:acm:<region>:<account>:certificate/<id>"}},
		"certificate of IAM": {eks,
			map[string]string{"certificateArn": "arn:aws:iam::111122223333:server-certificate/a", "host": "a.example.com"},
			[]string{
				"scaleout:certificateArn", "arn:aws:iam::111122223333:server-certificate/a",
				"arn:aws:acm:<region>:<account>:certificate/<id>",
			}},
		"certificate of a short account": {eks,
			map[string]string{"certificateArn": "arn:aws:acm:eu-central-1:1111:certificate/0-0", "host": "a.example.com"},
			[]string{
				"scaleout:certificateArn", "arn:aws:acm:eu-central-1:1111:certificate/0-0",
				"arn:aws:acm:<region>:<account>:certificate/<id>",
			}},
		"certificate of another region": {eks,
			map[string]string{"certificateArn": "arn:aws:acm:us-east-1:111122223333:certificate/0-0", "host": "a.example.com"},
			[]string{
				"scaleout:certificateArn", "arn:aws:acm:us-east-1:111122223333:certificate/0-0", "its own region", "eu-central-1",
			}},
		"certificate without a host": {eks,
			map[string]string{"certificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/0-0"},
			[]string{"scaleout:host", `""`, "must be set: a certificate is for a name"}},
		"certificate without an ALB": {base, map[string]string{"certificateArn": "x"},
			[]string{"scaleout:certificateArn", "x", "albScheme"}},
		"secret on an ALB": {eks, map[string]string{"tlsSecret": "tls", "host": "a.example.com"},
			[]string{"scaleout:tlsSecret", "tls", "must be empty: an ALB takes a certificate of ACM"}},

		// --- addresses
		"no mask": {eks, map[string]string{"loadBalancerCidrs": `["10.0.0.0"]`},
			[]string{"scaleout:loadBalancerCidrs", "10.0.0.0", "such as 10.0.0.0/16"}},
		"bits beyond the mask": {eks, map[string]string{"loadBalancerCidrs": `["10.0.0.1/16"]`},
			[]string{"scaleout:loadBalancerCidrs", "10.0.0.1/16", "such as 10.0.0.0/16"}},
		"second of two": {eks, map[string]string{"loadBalancerCidrs": `["10.0.0.0/16","10.1.0.0"]`},
			[]string{"scaleout:loadBalancerCidrs", `"10.1.0.0"`, "such as 10.0.0.0/16"}},
		"nothing in a list": {eks, map[string]string{"loadBalancerCidrs": `[""]`},
			[]string{"scaleout:loadBalancerCidrs", `""`, "such as 10.0.0.0/16"}},

		// --- Docker
		"no containers": {onDocker, map[string]string{"replicas": "0"}, []string{"scaleout:replicas", "0", "1 to 100"}},
		"too many containers": {onDocker, map[string]string{"replicas": "101"},
			[]string{"scaleout:replicas", "101", "1 to 100"}},
		"no port": {onDocker, map[string]string{"publicPort": "0"}, []string{"scaleout:publicPort", "0", "1 to 65535"}},
		"port of nginx too high": {onDocker, map[string]string{"publicPort": "65536"},
			[]string{"scaleout:publicPort", "65536", "1 to 65535"}},
		"balancing": {onDocker, map[string]string{"nginxBalancing": "random"},
			[]string{"scaleout:nginxBalancing", "random", "roundRobin, leastConnections"}},
		"balancing in the words of nginx": {onDocker, map[string]string{"nginxBalancing": "least_conn"},
			[]string{"scaleout:nginxBalancing", "least_conn", "roundRobin, leastConnections"}},
		"nginx without a tag": {onDocker, map[string]string{"nginxImage": "nginx"},
			[]string{"scaleout:nginxImage", "nginx", "tag other than latest, or in a digest"}},
		"latest nginx": {onDocker, map[string]string{"nginxImage": "docker.io/library/nginx:latest"},
			[]string{"scaleout:nginxImage", "docker.io/library/nginx:latest", "tag other than latest, or in a digest"}},
		"latest Redis on Docker": {onDocker, map[string]string{"redisImage": "redis:latest"},
			[]string{"scaleout:redisImage", "redis:latest", "tag other than latest, or in a digest"}},
		"path for a volume": {onDocker, map[string]string{"redisVolume": "/data"},
			[]string{"scaleout:redisVolume", "/data", "lower case"}},
		"volume in capitals": {onDocker, map[string]string{"redisVolume": "Redis"},
			[]string{"scaleout:redisVolume", "Redis", "lower case"}},
		"long volume": {onDocker, map[string]string{"redisVolume": strings.Repeat("v", 64)},
			[]string{"scaleout:redisVolume", strings.Repeat("v", 64), "up to 63"}},
		"short delay": {onDocker, map[string]string{"loadBalancerDelaySeconds": "2"},
			[]string{"scaleout:loadBalancerDelaySeconds", "2", "3 to 300"}},
		"long delay": {onDocker, map[string]string{"loadBalancerDelaySeconds": "301"},
			[]string{"scaleout:loadBalancerDelaySeconds", "301", "3 to 300"}},
		"less CPU than Docker takes": {onDocker, map[string]string{"cpuLimit": "9m"},
			[]string{"scaleout:cpuLimit", "9m", "from 10m"}},
		"less memory than Docker takes": {onDocker, map[string]string{"memoryLimit": "5Mi"},
			[]string{"scaleout:memoryLimit", "5Mi", "from 6Mi to 32Ti, such as 64Mi"}},
		"memory beside the unit of Docker": {onDocker, map[string]string{"memoryLimit": "64M"},
			[]string{"scaleout:memoryLimit", "64M", "whole number of Mi"}},
		"network of Docker": {onDocker, map[string]string{"namespace": "bridge"},
			[]string{"scaleout:namespace", "bridge", "Docker's own networks"}},
		"network in capitals": {onDocker, map[string]string{"namespace": "Net"},
			[]string{"scaleout:namespace", "Net", "lower case"}},
		"Redis elsewhere on Docker": {onDocker, map[string]string{"redisHost": "r.example.com"},
			[]string{"scaleout:redisHost", "r.example.com", "leave it empty"}},
		"host on Docker": {onDocker, map[string]string{"host": "a.example.com"},
			[]string{"scaleout:host", "a.example.com", "leave it empty"}},
		"TLS on Docker": {onDocker, map[string]string{"tlsSecret": "tls"},
			[]string{"scaleout:tlsSecret", "tls", "leave it empty"}},
		"certificate on Docker": {onDocker,
			map[string]string{"certificateArn": "arn:aws:acm:eu-central-1:111122223333:certificate/0-0"},
			[]string{"scaleout:certificateArn", "arn:aws:acm:eu-central-1:111122223333:certificate/0-0", "leave it empty"}},
		"ALB on Docker": {onDocker, map[string]string{"albScheme": "internal"},
			[]string{"scaleout:albScheme", "internal", "leave it empty"}},
		"ECR and Docker": {onDocker,
			map[string]string{"imageRepository": "", "ecrRepository": "app", "aws:region": "eu-central-1"},
			[]string{"scaleout:imageRepository", "required with target docker"}},
	}
}

// refusal is a change that makes a valid configuration invalid, and the expected parts of the message.
type refusal struct {
	values func(testing.TB) map[string]string
	set    map[string]string // keys without a colon lack the prefix scaleout:
	want   []string          // the key, then parts of its line: the value, the accepted form
}

func TestParseRefuses(t *testing.T) {
	for name, test := range refusals() {
		t.Run(name, test.run)
	}
}

func (test refusal) run(t *testing.T) {
	_, err := parsed(with(test.values(t), test.set))
	if err == nil {
		t.Fatal("got no error")
	}
	line := lineOf(err, test.want[0])
	for _, part := range test.want[1:] {
		if !strings.Contains(line, part) {
			t.Errorf("got %q, want a line for %s that contains %q", err, test.want[0], part)
		}
	}
	if !strings.Contains(err.Error(), "nothing was touched") {
		t.Errorf("got %q, want it to say that nothing was touched", err)
	}
	if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the message shows a password: %v", err)
	}
}

// with sets keys of a configuration; those without a colon lack the prefix scaleout:.
func with(values, set map[string]string) map[string]string {
	for key, value := range set {
		if !strings.Contains(key, ":") {
			key = "scaleout:" + key
		}
		values[key] = value
	}
	return values
}

// lineOf returns the lines of a message about a key.
func lineOf(err error, key string) string {
	var about []string
	for line := range strings.Lines(err.Error()) {
		if strings.HasPrefix(line, "  "+key+": ") {
			about = append(about, line)
		}
	}
	return strings.Join(about, "")
}

// pulumi-kubernetes accepts one file or the content; it treats a list of files as content without contexts.
func TestContextIsInTheKubeconfig(t *testing.T) {
	dir := t.TempDir()
	a, b, home := filepath.Join(dir, "a"), filepath.Join(dir, "b"), filepath.Join(dir, ".kube", "config")
	const content = "contexts: [{name: kind-a, context: {cluster: kind-a}}]"
	err := errors.Join(os.Mkdir(filepath.Dir(home), 0o700), os.WriteFile(a, []byte(content), 0o600),
		os.WriteFile(b, []byte("\t{"), 0o600), os.WriteFile(home, []byte(`{"contexts": [{"name": "kind-home"}]}`), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", dir)
	for _, c := range []struct {
		kubeconfig, context string
		found               bool
	}{
		{a, "kind-a", true}, {content, "kind-a", true}, {"", "kind-home", true},
		{a, "kind-home", false}, {b, "kind-a", false}, {a + ":" + home, "kind-a", false}, {"", "kind-a", false},
	} {
		t.Setenv("KUBECONFIG", c.kubeconfig)
		switch err := inKubeconfig("dev", c.context); {
		case c.found && err != nil:
			t.Errorf("%s in %q: %v", c.context, c.kubeconfig, err)
		case !c.found && (err == nil || !strings.Contains(err.Error(), "scaleout:kubeContext \""+c.context+"\": ") ||
			c.kubeconfig != "" && strings.Contains(err.Error(), c.kubeconfig)): // whose content may be secret
			t.Errorf("%s in %q: got %v, want a refusal that names the key", c.context, c.kubeconfig, err)
		}
	}
}

// One message lists all problems, sorted by key.
func TestParseListsAllProblemsAtOnce(t *testing.T) {
	wrong := map[string]string{
		"scaleout:loadBalancerCidrs": `["10.0.0.1/8"]`, "scaleout:cpuRequest": "y", "scaleout:host": "a_b",
		"scaleout:hots": "z", "scaleout:kubeContext": "moon", "scaleout:minReplicas": "x", "scaleout:redisImage": "redis",
		"scaleout:redisPassword": "", "scaleout:targetCpuUtilization": "0", "scalout:target": "kind",
	}
	_, err := parsed(with(base(t), wrong))
	if err == nil {
		t.Fatal("got no error")
	}
	lines := strings.Split(err.Error(), "\n")[1:]
	if !slices.IsSorted(lines) || len(lines) != len(wrong) {
		t.Errorf("got %d lines, want %d in order: %v", len(lines), len(wrong), err)
	}
	for key := range wrong {
		if lineOf(err, key) == "" {
			t.Errorf("got %q, want a line for %s", err, key)
		}
	}
}

// Any key may be encrypted, and its value may be invalid in any way.
func TestNoMessageShowsASecret(t *testing.T) {
	for _, canary := range []string{
		`Canary "of" a secret`, `["Canary of a secret"]`, `{"a key":"Canary of a secret"}`, `{"Canary of a secret":"x"}`,
		`{"/Canary of a secret":"x"}`, `{"/a/../Canary":"x"}`, `{"host":"Canary of a secret"}`, "/Canary of a secret",
	} {
		all := everything(t)
		for _, name := range []string{"kind", "eks", "docker", "Redis elsewhere"} {
			values := all[name]
			for key, good := range values {
				values[key] = canary
				_, err := parse("scaleout", "dev", values, append(slices.Clip(secrets), key), nil)
				if err != nil && strings.Contains(err.Error(), "Canary") {
					t.Errorf("%s: the message shows an encrypted value: %v", key, err)
				}
				values[key] = good
			}
		}
	}
}

func TestSecretsMustBeEncrypted(t *testing.T) {
	values := with(base(t), map[string]string{
		"secretEnvironment": `{"API_KEY":"hunter2"}`, "secretFiles": `{"/etc/app/key":"hunter2"}`,
		"registryPassword": "hunter2", "registryUsername": "me",
	})
	_, err := parse("scaleout", "dev", values, nil, nil)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, key := range secrets {
		if line := lineOf(err, key); !strings.Contains(line, "is in plain text; encrypt it: pulumi config set --secret") {
			t.Errorf("%s: got %v, want a refusal of plain text", key, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), password) {
		t.Errorf("the message shows a secret: %v", err)
	}
}

func TestReadinessGateFollowsTheController(t *testing.T) {
	for _, controller := range []string{"eksAutoMode", "awsLoadBalancerController"} {
		values := eks(t)
		values["scaleout:albController"] = controller
		c, err := parsed(values)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(c.Kubernetes.Namespace.ALBController); got != controller {
			t.Errorf("%s: got the gate of %q", controller, got)
		}
	}
}

// Keys that only another target uses are ignored, and only the parts of the target are set.
func TestOnlyTheTargetCounts(t *testing.T) {
	values := onDocker(t)
	values["scaleout:minReplicas"] = "0"
	c, err := parsed(values)
	if err != nil || c.Docker == nil || c.Kubernetes != nil {
		t.Errorf("docker with a setting for clusters: got %+v, %v", c, err)
	}
	values = base(t)
	values["scaleout:replicas"] = "0"
	if c, err := parsed(values); err != nil || c.Docker != nil || c.Kubernetes == nil {
		t.Errorf("kind with a setting for Docker: got %+v, %v", c, err)
	}
}

// A new app image must not replace nginx, whose port is closed meanwhile.
func TestBalancerTakesOnlyItsOwnBuildArguments(t *testing.T) {
	values := onDocker(t)
	values["scaleout:imageBuildArgs"] = `{"GOPROXY": "https://proxy.example.com", "GO_IMAGE": "mirror/golang:1.26"}`
	c, err := parsed(values)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"GO_IMAGE": "mirror/golang:1.26", "NGINX_IMAGE": values["scaleout:nginxImage"]}
	if !maps.Equal(c.Docker.Balancer.BuildArgs, want) || len(c.Build.BuildArgs) != 2 {
		t.Errorf("got %v for the balancer and %v for the app", c.Docker.Balancer.BuildArgs, c.Build.BuildArgs)
	}
}

// For any target, keys and values, parse returns either settings that the components accept, or an error in which each
// line names a key.
func FuzzParse(f *testing.F) {
	targets := []func(testing.TB) map[string]string{base, eks, onDocker}
	keys := slices.Sorted(maps.Keys(eks(f))) // the defaults and aws:region
	for i, value := range []string{
		`{"A":"b"}`, `{"/etc/app/key":"b"}`, `{"host":"A"}`, `["/tmp"]`, "a.example.com", "false",
		"", "0", "-1", "true", "[]", `["10.0.0.0/8"]`, "{}", `[null]`, "100m", "1e9", "1e999999999",
		"99999999999999999999", "\x00", "a\nb", "redis@sha256:0",
	} {
		f.Add(uint8(i), i, value, i+1, value, "")
		f.Add(uint8(i), i, value, 2*i, value, value)
	}
	f.Fuzz(func(t *testing.T, target uint8, i int, a string, j int, b, unknown string) {
		values := targets[int(target)%len(targets)](t)
		pick := func(n int) string { return keys[((n%len(keys))+len(keys))%len(keys)] }
		values[pick(i)], values[pick(j)] = a, b
		if unknown != "" {
			values["scaleout:"+unknown] = b
		}
		c, err := parsed(values)
		if err != nil {
			namesAKey(t, err, values)
			return
		}
		for part, problems := range accepted(c) {
			if len(problems) > 0 {
				t.Errorf("accepted %q, %q and the key %q, but %s reports %v", a, b, unknown, part, problems)
			}
		}
	})
}

// namesAKey requires a configuration key at the beginning of each line of a message.
func namesAKey(t *testing.T, err error, values map[string]string) {
	t.Helper()
	for _, line := range strings.Split(err.Error(), "\n")[1:] {
		named := func(key string) bool { return strings.HasPrefix(line, "  "+decode.Plain(key)+": ") }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(values)), named) && !named("aws:region") {
			t.Errorf("the line %q names no key: %v", line, err)
		}
	}
}

// accepted returns the problems that the components find in an accepted configuration, by part, with stand-ins for the
// outputs of other resources.
func accepted(c *Config) map[string]field.ErrorList {
	later := pulumi.String("later").ToStringOutput()
	problems := map[string]field.ErrorList{}
	if c.Build != nil {
		build := *c.Build
		build.Repository, build.Password = later, c.RegistryPassword
		problems["build"] = build.Validate()
	} else {
		problems["image"] = image.CheckReference("image", c.Image)
	}
	if c.ECR != nil {
		problems["ECR"] = c.ECR.Validate()
	}
	if c.Kubernetes != nil {
		maps.Copy(problems, acceptedInCluster(c, c.Kubernetes, later))
	}
	if d := c.Docker; d != nil {
		problems["network"] = d.Network.Validate()
		problems["containers"], problems["nginx"] = d.Web.Validate(), d.Nginx.Validate()
		if d.Balancer != nil {
			problems["balancer"] = d.Balancer.Validate()
			problems["repository"] = check.Repository("repository", string(d.Balancer.Repository.(pulumi.String)))
		} else {
			problems["balancer"] = image.CheckReference("image", d.BalancerImage)
		}
		if d.Redis != nil {
			problems["Redis"] = d.Redis.Validate()
		}
	}
	return problems
}

func acceptedInCluster(c *Config, k *Kubernetes, later pulumi.StringOutput) map[string]field.ErrorList {
	web := k.Web
	web.Namespace, web.Container.Image = later, later
	web.Bindings = bindings(c, later)
	problems := map[string]field.ErrorList{"namespace": k.Namespace.Validate(), "web": web.Validate()}
	if k.EKS != nil {
		problems["cluster"] = k.EKS.Validate()
	} else {
		problems["cluster"] = kube.CheckKindContext(k.Kind.Context)
	}
	switch {
	case k.External != nil:
		problems["external Redis"] = k.External.Validate()
	case k.ElastiCache != nil:
		problems["ElastiCache"] = k.ElastiCache.Validate()
	case k.Redis != nil:
		problems["Redis"] = k.Redis.Validate()
	}
	if k.ALBClass != nil {
		problems["ALB class"] = k.ALBClass.Validate()
	}
	if k.Certificate != nil {
		problems["certificate"] = k.Certificate.Validate()
	}
	if k.Monitoring.Prometheus != nil {
		problems["Prometheus"] = k.Monitoring.Prometheus.Validate()
	}
	return problems
}

// bindings returns the bindings that the program creates for the secrets and the Redis connection.
func bindings(c *Config, later pulumi.StringOutput) []kube.Binding {
	b := kube.Binding{SecretEnv: map[string]kube.SecretKey{}}
	secret := kube.SecretRef{Name: later}
	for name := range c.App.SecretEnvironment {
		b.SecretEnv[name] = kube.SecretKey{Secret: secret, Key: name}
	}
	dirs := map[string][]string{}
	for file := range c.App.SecretFiles {
		dirs[path.Dir(file)] = append(dirs[path.Dir(file)], path.Base(file))
	}
	for dir, keys := range dirs {
		b.Files = append(b.Files, kube.SecretFiles{Dir: dir, Secret: secret, Keys: keys})
	}
	if !c.UsesRedis {
		return []kube.Binding{b}
	}
	connection := redis.Connection{Host: later, Port: redis.Port}
	ofRedis := kube.Binding{Env: c.RedisEnvironment.Variables(connection)}
	if c.RedisEnvironment.PasswordFile != "" {
		ofRedis.Files = []kube.SecretFiles{{Dir: redis.ClientDir, Secret: secret}}
	}
	return []kube.Binding{b, ofRedis}
}
