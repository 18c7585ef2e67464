package config

import (
	"fmt"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/redis"
)

var finished = "registry.example.com/team/shop@sha256:" + strings.Repeat("0a", 32)

// authority is a CA certificate in PEM; it has signed nothing.
const authority = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUcT6/cwzZK+zeoAlJLvT2vAvqaOUwCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjkxNjEzMjlaGA8yMTI2MTEwNTE2MTMy
OVowDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABJJz
yG/chsUL1RqL2tA2/g70v2d2Bymed5uXBbRZWPMvCZnKPH11ggHSt1nfhzFovJUl
PW4yDFFmG+p0Sw79dWqjUzBRMB0GA1UdDgQWBBSDsP9J1SNnpXOqe6keCTH/B6Dg
7DAfBgNVHSMEGDAWgBSDsP9J1SNnpXOqe6keCTH/B6Dg7DAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIQDU84E1vih2cKCke+omb5Gj+i+mdITVM/Ft
hNeaas/xqwIgapa5mtaB7VsREUYT6IsPYbz0dlCy1E0fF1cAitptTws=
-----END CERTIFICATE-----
`

// elsewhere returns a configuration with an external Redis.
func elsewhere(t testing.TB) map[string]string {
	return with(base(t), map[string]string{"redisHost": "redis.example.com", "redisTls": "true"})
}

// hidden returns a configuration of an app without an Ingress, for clients in the cluster.
func hidden(t testing.TB) map[string]string {
	return with(base(t), map[string]string{
		"ingress": "false", "installTraefik": "false", "ingressClass": "", "ingressNamespace": "shop",
	})
}

// alone returns a configuration without Redis.
func alone(t testing.TB) map[string]string {
	return with(base(t), map[string]string{"redis": "false", "redisPassword": ""})
}

// Every key of an app has an accepted value, as do combinations that omit other keys.
func TestAppAccepts(t *testing.T) {
	for name, test := range map[string]struct {
		values func(testing.TB) map[string]string
		set    map[string]string
	}{
		"a finished image":           {base, map[string]string{"image": finished, "imageRepository": ""}},
		"an image and a repository":  {base, map[string]string{"image": finished}},
		"a finished image on Docker": {onDocker, map[string]string{"image": finished}},
		"two finished images": {onDocker,
			map[string]string{"image": finished, "balancerImage": finished, "imageRepository": ""}},
		"an image with a tag": {base,
			map[string]string{"image": strings.Replace(finished, "@", ":v1@", 1), "imageRepository": ""}},
		"another folder": {base,
			map[string]string{"buildContext": "../shop", "buildDockerfile": "build/app.Dockerfile", "imageRevision": "2026-07"}},
		"command": {base,
			map[string]string{"command": `["/shop"]`, "args": `["-v"]`, "user": "1000", "port": "80"}},
		"command on Docker": {onDocker,
			map[string]string{"command": `["/shop"]`, "args": `["-v"]`, "healthCommand": "[]"}},
		"no paths":                    {base, map[string]string{"livePath": "", "readyPath": ""}},
		"no metrics":                  {base, map[string]string{"metricsPort": "0"}},
		"no metrics for a Prometheus": {base, map[string]string{"metricsPort": "0", "installPrometheus": "true"}},
		"no metrics for an operator": {base, map[string]string{
			"metricsPort": "0", "prometheusOperator": "true", "prometheusNamespace": "monitoring",
			"runbookUrl": "https://a.example",
		}},
		"metrics on the port": {base, map[string]string{"metricsPort": "5000", "metricsPath": "/stats"}},
		"no histogram": {base,
			map[string]string{"sloHistogram": "", "installPrometheus": "true", "sloFastMilliseconds": "150"}},
		"another app's histogram": {base, map[string]string{
			"image": finished, "installPrometheus": "true", "sloFastMilliseconds": "150", "sloHistogram": "latency_seconds",
			"sloSelector": `job="shop"`,
		}},
		"environment": {base,
			map[string]string{"environment": `{"LOG_LEVEL":"debug"}`, "secretEnvironment": `{"API_KEY":"hunter2"}`}},
		"environment on Docker": {onDocker,
			map[string]string{"environment": `{"LOG_LEVEL":"debug"}`, "secretEnvironment": `{"API_KEY":"hunter2"}`}},
		"secret files": {base,
			map[string]string{"secretFiles": `{"/etc/app/a.pem":"hunter2","/etc/app/b.pem":"hunter2","/etc/shop/c":"hunter2"}`}},
		"secret files on Docker":       {onDocker, map[string]string{"secretFiles": `{"/etc/app/a.pem":"hunter2"}`}},
		"writable paths":               {base, map[string]string{"writablePaths": `["/tmp","/var/cache/app"]`}},
		"no drain variables":           {base, map[string]string{"drainDelayVariable": "", "drainTimeoutVariable": ""}},
		"no drain variables on Docker": {onDocker, map[string]string{"drainDelayVariable": "", "drainTimeoutVariable": ""}},
		"a slow start":                 {base, map[string]string{"startupSeconds": "600"}},
		"long requests":                {base, map[string]string{"longestRequestSeconds": "3000"}},
		"labels":                       {base, map[string]string{"labels": `{"team":"shop"}`}},
		"sizes": {base,
			map[string]string{"memoryRequest": "32Mi", "ephemeralStorage": "1Gi", "cpuLimit": ""}},
		"nodes": {eks,
			map[string]string{"nodeSelector": `{"karpenter.sh/capacity-type":"spot"}`, "priorityClass": "high"}},
		"identity": {eks, map[string]string{
			"serviceAccountAnnotations": `{"eks.amazonaws.com/role-arn":"arn:aws:iam::111122223333:role/shop"}`,
		}},
		"pull secrets":              {base, map[string]string{"imagePullSecrets": `["registry"]`}},
		"pod security":              {base, map[string]string{"podSecurityVersion": "latest"}},
		"a fixed number of pods":    {base, map[string]string{"autoscale": "false", "replicas": "1", "maxReplicas": "0"}},
		"no Ingress":                {hidden, nil},
		"no Ingress, nobody":        {hidden, map[string]string{"ingressNamespace": ""}},
		"no Ingress beside Traefik": {base, map[string]string{"ingress": "false", "ingressClass": ""}},
		"no Ingress on EKS":         {eks, map[string]string{"ingress": "false", "albScheme": "", "albController": ""}},
		"hosts": {base,
			map[string]string{"host": "a.example.com", "extraHosts": `["b.example.com"]`, "paths": `["/shop","/api"]`}},
		"annotations": {base,
			map[string]string{"ingressAnnotations": `{"traefik.ingress.kubernetes.io/router.entrypoints":"websecure"}`}},
		"egress":                       {base, map[string]string{"egressCidrs": `["0.0.0.0/0","::/0"]`}},
		"no Redis":                     {alone, nil},
		"no Redis on EKS":              {eks, map[string]string{"redis": "false", "redisPassword": ""}},
		"no Redis on Docker":           {onDocker, map[string]string{"redis": "false", "redisPassword": ""}},
		"no Redis, its variables free": {alone, map[string]string{"environment": `{"REDIS_HOST":"r.example.com"}`}},
		"other names": {base,
			map[string]string{"redisEnvironment": `{"host":"CACHE","password":"CACHE_AUTH","tls":""}`}},
		"private authority": {elsewhere, map[string]string{"redisCa": authority, "redisUsername": "shop"}},
		"protected":         {base, map[string]string{"redisProtect": "true"}},
	} {
		c, err := parsed(with(test.values(t), test.set))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for part, problems := range accepted(c) {
			if len(problems) > 0 {
				t.Errorf("%s: accepted, but %s reports %v", name, part, problems)
			}
		}
	}
}

func TestAppRefuses(t *testing.T) {
	for name, test := range map[string]refusal{
		// --- image
		"image and folder": {base, map[string]string{"image": finished, "buildContext": "../shop"},
			[]string{"scaleout:image", finished, "buildContext", "../shop", "remove one"}},
		"image by a tag": {base, map[string]string{"image": "registry.example.com/shop:v1"},
			[]string{"scaleout:image", "shop:v1", "@sha256:", "docker buildx imagetools inspect", "crane digest"}},
		"image without a registry": {base, map[string]string{"image": strings.TrimPrefix(finished, "registry.example.com/")},
			[]string{"scaleout:image", "<registry>/<repository>@sha256:"}},
		"image and repositories": {base, map[string]string{"image": finished, "ecrRepository": "shop"},
			[]string{"scaleout:imageRepository", "localhost:5001/scaleout", "ecrRepository", "exactly one"}},
		"balancer by a tag": {onDocker, map[string]string{"balancerImage": "localhost:5001/nginx:1"},
			[]string{"scaleout:balancerImage", "localhost:5001/nginx:1", "@sha256:"}},
		"image, no place for nginx": {onDocker, map[string]string{"image": finished, "imageRepository": ""},
			[]string{"scaleout:imageRepository", "image of nginx"}},
		"platform of an image": {eks, map[string]string{"image": finished, "imagePlatform": "arm64"},
			[]string{"scaleout:imagePlatform", "arm64", "linux/arm64"}},
		"platform for nginx": {onDocker, map[string]string{"image": finished, "imagePlatform": "linux/z80"},
			[]string{"scaleout:imagePlatform", "linux/z80", "linux/arm64"}},
		"Dockerfile elsewhere": {base, map[string]string{"buildDockerfile": "../Dockerfile"},
			[]string{"scaleout:buildDockerfile", "../Dockerfile", "inside the context"}},
		"registry at IPv6": {base, map[string]string{"imageRepository": "[fd00::1]:5000/shop"},
			[]string{"scaleout:imageRepository", "[fd00::1]:5000/shop", "IPv6", "DNS name"}},

		// --- container
		"a text for a command": {base, map[string]string{"command": "/shop -v"},
			[]string{"scaleout:command", "/shop -v", "list of strings"}},
		"numbers for arguments": {base, map[string]string{"args": "[1]"},
			[]string{"scaleout:args", "[1]", "list of strings"}},
		"no port of the app": {base, map[string]string{"port": "0"}, []string{"scaleout:port", "0", "1 to 65535"}},
		"port too high on Docker": {onDocker, map[string]string{"port": "65536"},
			[]string{"scaleout:port", "65536", "1 to 65535"}},
		"root":           {base, map[string]string{"user": "0"}, []string{"scaleout:user", "0", "1 to 2147483647"}},
		"root on Docker": {onDocker, map[string]string{"user": "0"}, []string{"scaleout:user", "0", "1 to 2147483647"}},
		"name of a user": {base, map[string]string{"user": "nonroot"}, []string{"scaleout:user", "nonroot", "whole number"}},
		"path without a slash": {base, map[string]string{"livePath": "healthz"},
			[]string{"scaleout:livePath", "healthz", "begins with /"}},
		"query in a path": {base, map[string]string{"readyPath": "/ready?full=1"},
			[]string{"scaleout:readyPath", "/ready?full=1", "neither white space nor ?"}},
		"ready path on Docker": {onDocker, map[string]string{"readyPath": "readyz"},
			[]string{"scaleout:readyPath", "readyz", "begins with /"}},
		"no ready path on Docker": {onDocker, map[string]string{"readyPath": ""},
			[]string{"scaleout:readyPath", "required with target docker", "nginx"}},
		"no ready path for an ALB": {eks, map[string]string{"readyPath": ""},
			[]string{"scaleout:readyPath", "answers 200", "ALB"}},
		"metrics port": {base, map[string]string{"metricsPort": "-1"}, []string{"scaleout:metricsPort", "-1", "1 to 65535"}},
		"metrics port of an operator": {base, map[string]string{
			"metricsPort": "70000", "prometheusOperator": "true", "prometheusNamespace": "m", "runbookUrl": "https://a.example",
		}, []string{"scaleout:metricsPort", "70000", "1 to 65535"}},
		"no metrics path": {base, map[string]string{"metricsPath": ""},
			[]string{"scaleout:metricsPath", `""`, "such as /metrics", "metricsPort to 0"}},
		"metrics path": {base, map[string]string{"metricsPath": "metrics"},
			[]string{"scaleout:metricsPath", `"metrics"`, "begins with /"}},
		"a text for a command to ask": {onDocker, map[string]string{"healthCommand": "/app -healthcheck"},
			[]string{"scaleout:healthCommand", "/app -healthcheck", "list of strings"}},

		// --- environment
		"log level as a number": {base, map[string]string{"environment": `{"LOG_LEVEL":5}`},
			[]string{"scaleout:environment", `{"LOG_LEVEL":5}`, "a map of strings", "numbers, true and false in quotes"}},
		"log level as a text": {onDocker, map[string]string{"environment": "LOG_LEVEL=debug"},
			[]string{"scaleout:environment", "LOG_LEVEL=debug", "a map of strings"}},
		"no map of variables": {base, map[string]string{"environment": ""},
			[]string{"scaleout:environment", `""`, "a map of strings"}},
		"hyphen in a variable": {base, map[string]string{"environment": `{"LOG-LEVEL":"info"}`},
			[]string{"scaleout:environment", "LOG-LEVEL", "the name of a variable"}},
		"variable without a name": {onDocker, map[string]string{"environment": `{"":"info"}`},
			[]string{"scaleout:environment", `""`, "the name of a variable"}},
		"hyphen in a secret variable": {base, map[string]string{"secretEnvironment": `{"API-KEY":"hunter2"}`},
			[]string{"scaleout:secretEnvironment", "the name of a variable"}},
		"secret variable on Docker": {onDocker, map[string]string{"secretEnvironment": `{"1A":"hunter2"}`},
			[]string{"scaleout:secretEnvironment", "the name of a variable"}},
		"variable in both": {base,
			map[string]string{"environment": `{"API_KEY":"x"}`, "secretEnvironment": `{"API_KEY":"hunter2"}`},
			[]string{"scaleout:secretEnvironment", "API_KEY", "environment also sets", "remove one"}},
		"variable of Redis": {base, map[string]string{"environment": `{"REDIS_HOST":"x"}`},
			[]string{"scaleout:redisEnvironment", "REDIS_HOST", "environment also sets"}},
		"secret variable of Redis": {onDocker, map[string]string{"secretEnvironment": `{"REDIS_PASSWORD_FILE":"hunter2"}`},
			[]string{"scaleout:redisEnvironment", "REDIS_PASSWORD_FILE", "secretEnvironment also sets"}},
		"variable of the drain": {base, map[string]string{"environment": `{"DRAIN_DELAY":"60s"}`},
			[]string{"scaleout:drainDelayVariable", "DRAIN_DELAY", "environment also sets"}},
		"one variable for both drains": {onDocker, map[string]string{"drainTimeoutVariable": "DRAIN_DELAY"},
			[]string{"scaleout:drainTimeoutVariable", "DRAIN_DELAY", "drainDelayVariable also sets"}},
		"drain delay variable": {base, map[string]string{"drainDelayVariable": "drain delay"},
			[]string{"scaleout:drainDelayVariable", "drain delay", "the name of a variable"}},
		"drain time-out variable": {base, map[string]string{"drainTimeoutVariable": "5s"},
			[]string{"scaleout:drainTimeoutVariable", "5s", "the name of a variable"}},
		"drain variables on Docker": {onDocker, map[string]string{"drainTimeoutVariable": "a=b"},
			[]string{"scaleout:drainTimeoutVariable", "a=b", "the name of a variable"}},
		"a start of no length": {base, map[string]string{"startupSeconds": "0"},
			[]string{"scaleout:startupSeconds", "0", "1 to 3600"}},
		"a start longer than a rollout": {base, map[string]string{"startupSeconds": "601"},
			[]string{"scaleout:rolloutTimeoutSeconds", "600", "601 to 3600"}},
		"requests of no length": {base, map[string]string{"longestRequestSeconds": "0"},
			[]string{"scaleout:longestRequestSeconds", "0", "1 to 3000"}},
		"requests of an hour": {base, map[string]string{"longestRequestSeconds": "3600"},
			[]string{"scaleout:longestRequestSeconds", "3600", "1 to 3000"}},
		"requests of no length, Docker": {onDocker, map[string]string{"longestRequestSeconds": "0"},
			[]string{"scaleout:longestRequestSeconds", "0", "1 to 3000"}},

		// --- files
		"relative secret file": {base, map[string]string{"secretFiles": `{"etc/key.pem":"hunter2"}`},
			[]string{"scaleout:secretFiles", "absolute path", "/etc/app/key.pem"}},
		"secret file, dots": {onDocker, map[string]string{"secretFiles": `{"/etc/app/../key.pem":"hunter2"}`},
			[]string{"scaleout:secretFiles", "absolute path"}},
		"secret file at the root": {base, map[string]string{"secretFiles": `{"/key.pem":"hunter2"}`},
			[]string{"scaleout:secretFiles", "with a folder"}},
		"blank in a secret file": {base, map[string]string{"secretFiles": `{"/etc/app/my key":"hunter2"}`},
			[]string{"scaleout:secretFiles", "letters, digits, -, _ and ."}},
		"two files of one name": {base,
			map[string]string{"secretFiles": `{"/etc/a/key.pem":"hunter2","/etc/b/key.pem":"hunter2"}`},
			[]string{"scaleout:secretFiles", "/etc/a/key.pem", "one Secret"}},
		"file named like a variable": {base,
			map[string]string{"secretFiles": `{"/etc/a/API_KEY":"hunter2"}`, "secretEnvironment": `{"API_KEY":"hunter2"}`},
			[]string{"scaleout:secretFiles", "API_KEY of secretEnvironment", "one Secret"}},
		"file in the folder of Redis": {base, map[string]string{"secretFiles": `{"/etc/redis/key.pem":"hunter2"}`},
			[]string{"scaleout:secretFiles", "/etc/redis"}},
		"file above that folder": {base, map[string]string{"secretFiles": `{"/etc/key.pem":"hunter2"}`},
			[]string{"scaleout:secretFiles", "/etc/redis"}},
		"folder in a folder": {base, map[string]string{"secretFiles": `{"/etc/app/a":"hunter2","/etc/app/sub/b":"hunter2"}`},
			[]string{"scaleout:secretFiles", "/etc/app/sub", "choose another"}},
		"writable folder of secrets": {base,
			map[string]string{"secretFiles": `{"/etc/app/a":"hunter2"}`, "writablePaths": `["/etc/app/cache"]`},
			[]string{"scaleout:writablePaths", "/etc/app/cache", `"/etc/app"`}},
		"writable folder of Redis": {onDocker, map[string]string{"writablePaths": `["/etc/redis"]`},
			[]string{"scaleout:writablePaths", "/etc/redis"}},
		"relative folder": {base, map[string]string{"writablePaths": `["tmp"]`},
			[]string{"scaleout:writablePaths", "tmp", "absolute path"}},
		"all is writable": {base, map[string]string{"writablePaths": `["/"]`},
			[]string{"scaleout:writablePaths", "/", "absolute path"}},
		"relative folder on Docker": {onDocker, map[string]string{"writablePaths": `["tmp"]`},
			[]string{"scaleout:writablePaths", "tmp", "absolute path"}},
		"folder twice": {base, map[string]string{"writablePaths": `["/tmp","/tmp"]`},
			[]string{"scaleout:writablePaths", "/tmp", "Duplicate"}},

		// --- size, place and names
		"label": {base, map[string]string{"labels": `{"team":"my team"}`},
			[]string{"scaleout:labels", "my team", "must be a label"}},
		"label of the pods": {base, map[string]string{"labels": `{"app.kubernetes.io/name":"x"}`},
			[]string{"scaleout:labels", "app.kubernetes.io/name", "pod selector"}},
		"memory request": {base, map[string]string{"memoryRequest": "lots"},
			[]string{"scaleout:memoryRequest", "lots", "such as 64Mi"}},
		"memory request over limit": {base, map[string]string{"memoryRequest": "128Mi"},
			[]string{"scaleout:memoryLimit", "64Mi", "at least the memory request of 128Mi"}},
		"ephemeral storage": {base, map[string]string{"ephemeralStorage": "1"},
			[]string{"scaleout:ephemeralStorage", `"1"`, "such as 1Gi"}},
		"node selector": {eks, map[string]string{"nodeSelector": `{"a b":"c"}`},
			[]string{"scaleout:nodeSelector", "a b", "must be a label"}},
		"priority class": {base, map[string]string{"priorityClass": "High"},
			[]string{"scaleout:priorityClass", "High", "lower case"}},
		"identity": {eks, map[string]string{"serviceAccountAnnotations": `{"role arn":"x"}`},
			[]string{"scaleout:serviceAccountAnnotations", "role arn", "annotation"}},
		"pull secret": {base, map[string]string{"imagePullSecrets": `["My_Login"]`},
			[]string{"scaleout:imagePullSecrets", "My_Login", "lower case"}},
		"pod security version": {base, map[string]string{"podSecurityVersion": "1.34"},
			[]string{"scaleout:podSecurityVersion", "1.34", "such as v1.34"}},
		"no pod security version": {base, map[string]string{"podSecurityVersion": ""},
			[]string{"scaleout:podSecurityVersion", `""`, "such as v1.34"}},
		"yes for an autoscaler": {base, map[string]string{"autoscale": "yes"},
			[]string{"scaleout:autoscale", "yes", "true or false"}},
		"no pods without autoscaler": {base, map[string]string{"autoscale": "false", "replicas": "0"},
			[]string{"scaleout:replicas", "0", "at least 1"}},
		"fewer than none": {base, map[string]string{"autoscale": "false", "replicas": "-1"},
			[]string{"scaleout:replicas", "-1", "at least 1"}},
		"a word for pods": {base, map[string]string{"autoscale": "false", "replicas": "few"},
			[]string{"scaleout:replicas", "few", "whole number"}},

		// --- network
		"host without an Ingress": {hidden, map[string]string{"host": "a.example.com"},
			[]string{"scaleout:host", "a.example.com", "ingress is false"}},
		"paths without an Ingress": {hidden, map[string]string{"paths": `["/shop"]`},
			[]string{"scaleout:paths", "/shop", "ingress is false"}},
		"TLS without an Ingress": {hidden, map[string]string{"tlsSecret": "tls"},
			[]string{"scaleout:tlsSecret", "tls", "ingress is false"}},
		"annotations without an Ingress": {hidden, map[string]string{"ingressAnnotations": `{"a":"b"}`},
			[]string{"scaleout:ingressAnnotations", "ingress is false"}},
		"ALB without an Ingress": {eks, map[string]string{"ingress": "false"},
			[]string{"scaleout:albScheme", "internet-facing", "ingress is false"}},
		"certificate without an Ingress": {https, map[string]string{"ingress": "false"},
			[]string{"scaleout:certificateArn", "ingress is false"}},
		"class without an Ingress": {eks, map[string]string{"ingress": "false", "installAlbIngressClass": "true"},
			[]string{"scaleout:installAlbIngressClass", "ingress is false"}},
		"malformed switch": {eks, map[string]string{"ingress": "no"}, []string{"scaleout:ingress", `"no"`, "true or false"}},
		"hosts without a host": {base, map[string]string{"extraHosts": `["b.example.com"]`},
			[]string{"scaleout:extraHosts", "b.example.com", "host is not set"}},
		"host twice": {base, map[string]string{"host": "a.example.com", "extraHosts": `["a.example.com"]`},
			[]string{"scaleout:extraHosts", "a.example.com", "once"}},
		"further host": {base, map[string]string{"host": "a.example.com", "extraHosts": `["B.example.com"]`},
			[]string{"scaleout:extraHosts", "B.example.com", "lower case"}},
		"further wildcard": {base, map[string]string{"host": "a.example.com", "extraHosts": `["*.example.com"]`},
			[]string{"scaleout:extraHosts", "*.example.com", "no wildcard"}},
		"hosts on Docker": {onDocker, map[string]string{"extraHosts": `["a.example.com"]`},
			[]string{"scaleout:extraHosts", "a.example.com", "leave it empty"}},
		"why a host is refused": {base, map[string]string{"host": "App.Example.com."},
			[]string{"scaleout:host", "lower case", "no wildcard", "no dot at its end"}},
		"path of the ingress": {base, map[string]string{"paths": `["shop"]`},
			[]string{"scaleout:paths", "shop", "begins with /"}},
		"annotation of an Ingress": {base, map[string]string{"ingressAnnotations": `{"a b":"c"}`},
			[]string{"scaleout:ingressAnnotations", "a b", "annotation"}},
		"egress": {base, map[string]string{"egressCidrs": `["api.example.com"]`},
			[]string{"scaleout:egressCidrs", "api.example.com", "such as 10.0.0.0/16"}},

		// --- Redis
		"yes for a Redis": {base, map[string]string{"redis": "yes"}, []string{"scaleout:redis", "yes", "true or false"}},
		"no Redis, but its host": {alone, map[string]string{"redisHost": "r.example.com"},
			[]string{"scaleout:redisHost", "r.example.com", "redis is false"}},
		"no Redis, but its TLS": {alone, map[string]string{"redisTls": "true"},
			[]string{"scaleout:redisTls", "true", "redis is false"}},
		"no Redis, but its user": {alone, map[string]string{"redisUsername": "me"},
			[]string{"scaleout:redisUsername", "me", "redis is false"}},
		"no Redis, but ElastiCache": {managed, map[string]string{"redis": "false"},
			[]string{"scaleout:elasticacheName", "cache", "redis is false"}},
		"no Redis, but its volume": {onDocker, map[string]string{"redis": "false", "redisVolume": "data"},
			[]string{"scaleout:redisVolume", "data", "redis is false"}},
		"no address": {base, map[string]string{"redisEnvironment": `{"port":"REDIS_PORT"}`},
			[]string{"scaleout:redisEnvironment", "host must be", "REDIS_HOST"}},
		"unknown setting": {onDocker, map[string]string{"redisEnvironment": `{"host":"REDIS_HOST","db":"REDIS_DB"}`},
			[]string{"scaleout:redisEnvironment", `"db"`, "caFile, host, password, passwordFile, port, tls, username"}},
		"hyphen for Redis": {base, map[string]string{"redisEnvironment": `{"host":"REDIS-HOST"}`},
			[]string{"scaleout:redisEnvironment", "REDIS-HOST", "the name of a variable"}},
		"one variable for two": {base, map[string]string{"redisEnvironment": `{"host":"REDIS","port":"REDIS"}`},
			[]string{"scaleout:redisEnvironment", "REDIS", "must differ"}},
		"variables as a list": {base, map[string]string{"redisEnvironment": `["REDIS_HOST"]`},
			[]string{"scaleout:redisEnvironment", "REDIS_HOST", "map of strings"}},
		"authority as a path": {elsewhere, map[string]string{"redisCa": "/etc/ca.pem"},
			[]string{"scaleout:redisCa", "certificate in PEM"}},
		"authority cut short": {elsewhere, map[string]string{"redisCa": authority[:80]},
			[]string{"scaleout:redisCa", "certificate in PEM"}},
		"authority without TLS": {elsewhere, map[string]string{"redisCa": authority, "redisTls": "false"},
			[]string{"scaleout:redisCa", "redisTls is false"}},
		"authority for nobody": {elsewhere,
			map[string]string{"redisCa": authority, "redisEnvironment": `{"host":"REDIS_HOST"}`},
			[]string{"scaleout:redisCa", "no caFile"}},
		"user for nobody": {elsewhere, map[string]string{"redisUsername": "me", "redisEnvironment": `{"host":"REDIS_HOST"}`},
			[]string{"scaleout:redisUsername", "me", "no username"}},
		"authority of the own": {base, map[string]string{"redisCa": authority},
			[]string{"scaleout:redisCa", "set redisHost too"}},
		"maybe protected": {base, map[string]string{"redisProtect": "maybe"},
			[]string{"scaleout:redisProtect", "maybe", "true or false"}},
		"version without its zero": {managed, map[string]string{"elasticacheEngineVersion": "8"},
			[]string{"scaleout:elasticacheEngineVersion", `"8"`, "in quotation marks"}},

		// --- objectives
		"histogram": {base, map[string]string{"installPrometheus": "true", "sloHistogram": "http-requests"},
			[]string{"scaleout:sloHistogram", "http-requests", "name of a histogram"}},
		"selector in braces": {base, map[string]string{"installPrometheus": "true", "sloSelector": `{route="/"}`},
			[]string{"scaleout:sloSelector", "route", "label matchers"}},
		"objective of no time": {base,
			map[string]string{"image": finished, "installPrometheus": "true", "sloFastMilliseconds": "0"},
			[]string{"scaleout:sloFastMilliseconds", "0", "1 to 60000"}},
	} {
		t.Run(name, test.run)
	}
}

// A malformed switch causes no problems of the settings that depend on it.
func TestMalformedSwitchIsTheOnlyProblem(t *testing.T) {
	for _, key := range []string{"redis", "ingress", "autoscale"} {
		_, err := parsed(with(https(t), map[string]string{key: "no"}))
		if err == nil || strings.Count(err.Error(), "\n") != 1 || lineOf(err, "scaleout:"+key) == "" {
			t.Errorf("%s: got %v, want one line about it", key, err)
		}
	}
}

// One cause has one line: a problem of a key is not reported again for the arguments that use its value.
func TestOneCauseHasOneLine(t *testing.T) {
	operator := map[string]string{
		"prometheusOperator": "true", "runbookUrl": "https://a.example", "prometheusNamespace": "M_",
	}
	for name, values := range map[string]map[string]string{
		"namespace of an operator": with(base(t), operator),
		"further host":             with(base(t), map[string]string{"host": "a.example.com", "extraHosts": `["B"]`}),
		"no pods":                  with(base(t), map[string]string{"autoscale": "false", "replicas": "0"}),
		"delay on Docker":          with(onDocker(t), map[string]string{"loadBalancerDelaySeconds": "301"}),
		"longest request":          with(base(t), map[string]string{"longestRequestSeconds": "3001"}),
		"start":                    with(base(t), map[string]string{"startupSeconds": "3601"}),
		"longest request, Docker":  with(onDocker(t), map[string]string{"longestRequestSeconds": "-1"}),
		"secret variable, Docker":  with(onDocker(t), map[string]string{"secretEnvironment": `{"1A":"x"}`}),
		"secret file, Docker":      with(onDocker(t), map[string]string{"secretFiles": `{"a:b":"x"}`}),
		"one variable twice":       with(base(t), map[string]string{"redisEnvironment": `{"host":"A","port":"A"}`}),
		"malformed class": with(eks(t), map[string]string{
			"installAlbIngressClass": "true", "ingressClass": "My_ALB",
		}),
	} {
		if _, err := parsed(values); err == nil || strings.Count(err.Error(), "\n") != 1 {
			t.Errorf("%s: got %v, want one line", name, err)
		}
	}
}

// autoscale alone decides between replicas and the autoscaler.
func TestFixedNumberOfPods(t *testing.T) {
	c, err := parsed(with(base(t), map[string]string{"autoscale": "false", "replicas": "4"}))
	if err != nil {
		t.Fatal(err)
	}
	if want := (kube.Scaling{Fixed: 4}); c.Kubernetes.Web.Scaling != want {
		t.Errorf("got %+v, want %+v", c.Kubernetes.Web.Scaling, want)
	}
}

// Parts that switches and empty values disable are nil.
func TestWhatIsLeftOut(t *testing.T) {
	values := with(hidden(t), map[string]string{
		"redis": "false", "redisPassword": "", "metricsPort": "0", "installPrometheus": "true",
	})
	c, err := parsed(values)
	if err != nil {
		t.Fatal(err)
	}
	k := c.Kubernetes
	if k.Web.Ingress != nil || c.UsesRedis || k.Redis != nil || k.External != nil || k.ElastiCache != nil ||
		c.App.Metrics != nil || k.Web.Container.Metrics != nil || k.Monitoring.Prometheus.Alerts.Objectives != nil {
		t.Errorf("got %+v, %+v", c, k)
	}
	if _, err := parsed(with(alone(t), map[string]string{"image": finished})); err != nil {
		t.Error(err)
	}
}

// The operator's Prometheus may reach the metrics port, and all hosts route to the app.
func TestLaterAdditionsArrive(t *testing.T) {
	c, err := parsed(with(base(t), map[string]string{
		"host": "a.example.com", "extraHosts": `["b.example.com"]`, "prometheusOperator": "true",
		"prometheusNamespace": "monitoring", "runbookUrl": "https://a.example",
	}))
	if err != nil {
		t.Fatal(err)
	}
	web := c.Kubernetes.Web
	want := []kube.Peer{{Namespace: "traefik"}, {Namespace: "monitoring", Ports: []int{9090}}}
	if !reflect.DeepEqual(web.AllowFrom, want) {
		t.Errorf("got %+v, want %+v", web.AllowFrom, want)
	}
	if !slices.Equal(web.Ingress.Hosts, []string{"a.example.com", "b.example.com"}) {
		t.Errorf("got the hosts %v", web.Ingress.Hosts)
	}
}

// Secrets reach the containers on Docker although they are checked separately.
func TestSecretsOnDocker(t *testing.T) {
	c, err := parsed(with(onDocker(t), map[string]string{
		"environment": `{"A":"b"}`, "secretEnvironment": `{"API_KEY":"hunter2"}`,
		"secretFiles": `{"/etc/app/key":"hunter2"}`,
	}))
	if err != nil {
		t.Fatal(err)
	}
	web := c.Docker.Web
	if web.Env["A"] != pulumi.String("b") || web.Env["API_KEY"] == nil || web.Files["/etc/app/key"] == nil ||
		len(web.Env) != 2 {
		t.Errorf("got the variables %v and the files %v", web.Env, web.Files)
	}
	if _, plain := web.Env["API_KEY"].(pulumi.String); plain {
		t.Error("the variable is not a secret")
	}
	if len(c.App.Env) != 1 {
		t.Errorf("the app's own variables have changed to %v", c.App.Env)
	}
}

// The defaults match the settings that the hit counter lists.
func TestDefaultsAreTheHitCounters(t *testing.T) {
	c, err := parsed(base(t))
	if err != nil {
		t.Fatal(err)
	}
	none := map[string]pulumi.StringInput{}
	probes := kube.HTTPProbes("/healthz", "/readyz")
	probes.Startup = kube.Probe{FailureThreshold: 30}
	want := App{
		Container: kube.Container{
			Command: []string{}, Args: []string{}, Port: 5000, User: 65532,
			Metrics: &kube.Metrics{Port: 9090, Path: "/metrics"}, Probes: probes, Env: none, WritablePaths: []string{},
			DrainEnv: kube.DrainEnv{Delay: "DRAIN_DELAY", Timeout: "SHUTDOWN_TIMEOUT"},
		},
		SecretEnvironment: none, SecretFiles: none, Shutdown: kube.Shutdown{LoadBalancerDelay: 25, LongestRequest: 10},
	}
	if !reflect.DeepEqual(c.App, want) {
		t.Errorf("got %+v, want %+v", c.App, want)
	}
	ofRedis := redis.Environment{
		Host: "REDIS_HOST", Port: "REDIS_PORT", TLS: "REDIS_TLS", Username: "REDIS_USERNAME",
		PasswordFile: "REDIS_PASSWORD_FILE", CAFile: "REDIS_TLS_CA_FILE",
	}
	if c.RedisEnvironment != ofRedis || c.Build.Context != defaultContext || c.Build.Dockerfile != "" {
		t.Errorf("got %+v and the build %+v", c.RedisEnvironment, c.Build)
	}
	if _, err := os.ReadDir("../../app"); err != nil { // so that a change there invalidates a cached result of this test
		t.Fatal(err)
	}
	run := exec.Command("go", "run", ".", "-help")
	run.Dir = "../../app"
	help, err := run.Output()
	if err != nil {
		t.Fatalf("running the app: %v", err)
	}
	defaults := map[string]string{} // by setting
	setting := regexp.MustCompile(`(?m)^  (\w+) \((?:default )?(.*)\)$`)
	for _, line := range setting.FindAllStringSubmatch(string(help), -1) {
		defaults[line[1]] = line[2]
	}
	for _, name := range []string{
		want.DrainEnv.Delay, want.DrainEnv.Timeout, ofRedis.Host, ofRedis.Port, ofRedis.TLS, ofRedis.Username,
		ofRedis.PasswordFile, ofRedis.CAFile,
	} {
		if _, known := defaults[name]; !known {
			t.Errorf("the hit counter has no setting %s", name)
		}
	}
	public, metrics := fmt.Sprint(":", want.Port), fmt.Sprint(":", want.Metrics.Port)
	if defaults["LISTEN_ADDR"] != public || defaults["METRICS_ADDR"] != metrics {
		t.Errorf("the hit counter has the defaults %v, want the addresses %s and %s", defaults, public, metrics)
	}
}

// A floating tag such as 8.2-alpine moves, so two nodes could run different versions under it.
func TestDefaultImagesAreExact(t *testing.T) {
	exact := regexp.MustCompile(`(:v?[0-9]+\.[0-9]+\.[0-9]+(-[a-z0-9.]+)?|@sha256:[0-9a-f]{64})$`)
	images := 0
	for key, declared := range project(t).Config {
		value, _ := declared.Default.(string)
		if !strings.HasSuffix(key, "Image") || value == "" { // empty: the image is built
			continue
		}
		if images++; !exact.MatchString(value) {
			t.Errorf("%s: the default %q is not an exact version", key, value)
		}
	}
	if images < 7 {
		t.Errorf("got %d images, want those of nginx, Redis, Traefik, metrics-server and monitoring", images)
	}
}
