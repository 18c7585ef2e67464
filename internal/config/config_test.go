package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"scaleout/components"
)

const password = "correct-horse-battery-staple"

// base is a configuration that is accepted: the defaults of Pulumi.yaml and what a kind stack adds.
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

// eks is a configuration for EKS that is accepted.
func eks(t testing.TB) map[string]string {
	t.Helper()
	values := base(t)
	maps.Copy(values, map[string]string{
		"aws:region":               "eu-central-1",
		"scaleout:target":          "eks",
		"scaleout:eksCluster":      "production",
		"scaleout:imageRepository": "",
		"scaleout:ecrRepository":   "scaleout",
		"scaleout:installTraefik":  "false",
		"scaleout:ingressClass":    "alb",
		"scaleout:albScheme":       "internet-facing",
		"scaleout:albController":   "eksAutoMode",
		"scaleout:clientCidrs":     `["10.0.0.0/16"]`,
	})
	return values
}

// onDocker is a configuration for a Docker host that is accepted.
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

// defaults are those of Pulumi.yaml, as the engine hands them over.
func defaults(t testing.TB) map[string]string {
	t.Helper()
	project, err := workspace.LoadProject("../../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for name, declared := range project.Config {
		switch value := declared.Default.(type) {
		case nil:
		case string, bool, int:
			values["scaleout:"+name] = fmt.Sprint(value)
		default:
			text, err := json.Marshal(value)
			if err != nil {
				t.Fatal(err)
			}
			values["scaleout:"+name] = string(text)
		}
	}
	return values
}

var secrets = []string{"scaleout:redisPassword", "scaleout:registryPassword"}

func parse(values map[string]string) (*Config, error) {
	return Parse("scaleout", "dev", values, secrets)
}

func TestParseAccepts(t *testing.T) {
	for name, values := range map[string]map[string]string{"kind": base(t), "eks": eks(t), "docker": onDocker(t)} {
		if _, err := parse(values); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Every key that Pulumi.yaml declares is read, and every key that is read is declared; so none is dead, and none lacks
// its description, default or type check.
func TestEveryKeyIsDeclaredAndRead(t *testing.T) {
	project, err := workspace.LoadProject("../../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d := newDecoder("scaleout", map[string]string{}, nil)
	c := &Config{}
	d.text("target")
	d.image(c)
	d.password(c, "dev")
	d.kubernetes("eks")
	d.alb()
	d.docker(c)
	for name, declared := range project.Config {
		if !d.read["scaleout:"+name] {
			t.Errorf("%s is declared in Pulumi.yaml, but nothing reads it", name)
		}
		if declared.Description == "" {
			t.Errorf("%s has no description in Pulumi.yaml", name)
		}
	}
	for key := range d.read {
		name := strings.TrimPrefix(key, "scaleout:")
		if _, declared := project.Config[name]; !declared {
			t.Errorf("%s is read, but not declared in Pulumi.yaml", name)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	tests := map[string]struct {
		values func(testing.TB) map[string]string
		set    map[string]string // without the prefix scaleout: where there is no colon
		want   []string          // parts of the message: the key, the value, the accepted form
	}{
		"unknown key":        {base, map[string]string{"minReplica": "2"}, []string{"scaleout:minReplica", "no such key"}},
		"unknown namespace":  {base, map[string]string{"scalout:minReplicas": "2"}, []string{"scalout:minReplicas", "no such namespace", "scaleout:"}},
		"secret on an ALB":   {eks, map[string]string{"tlsSecret": "tls", "host": "a.example.com"}, []string{"scaleout:tlsSecret", "tls", "certificateArn"}},
		"not a tolerance":    {base, map[string]string{"scaleTolerance": "NaN"}, []string{"scaleout:scaleTolerance", "NaN", "0.05"}},
		"ECR name":           {eks, map[string]string{"ecrRepository": "Team App"}, []string{"scaleout:ecrRepository", "Team App", "team/scaleout"}},
		"no target":          {base, map[string]string{"target": ""}, []string{"scaleout:target", `""`, "kind, eks or docker"}},
		"other context":      {base, map[string]string{"kubeContext": "prod"}, []string{"scaleout:kubeContext", `"prod"`, "kind-<name>"}},
		"not a number":       {base, map[string]string{"minReplicas": "two"}, []string{"scaleout:minReplicas", `"two"`, "whole number"}},
		"a fraction":         {base, map[string]string{"maxReplicas": "2.5"}, []string{"scaleout:maxReplicas", `"2.5"`, "whole number"}},
		"not a boolean":      {base, map[string]string{"redisPersistent": "yes"}, []string{"scaleout:redisPersistent", `"yes"`, "true or false"}},
		"not a list":         {base, map[string]string{"clientCidrs": "10.0.0.0/8"}, []string{"scaleout:clientCidrs", "10.0.0.0/8", "list of strings"}},
		"not a map":          {base, map[string]string{"imageBuildArgs": `{"A":1}`}, []string{"scaleout:imageBuildArgs", `{"A":1}`, "map of strings"}},
		"zero pods":          {base, map[string]string{"minReplicas": "0"}, []string{"scaleout:minReplicas", "0", "at least 1"}},
		"min over max":       {base, map[string]string{"minReplicas": "11"}, []string{"scaleout:maxReplicas", "10", "at least minReplicas, which is 11"}},
		"target over 100":    {base, map[string]string{"targetCpuUtilization": "101"}, []string{"scaleout:targetCpuUtilization", "101", "1 to 100"}},
		"window too long":    {base, map[string]string{"scaleDownWindowSeconds": "3601"}, []string{"scaleout:scaleDownWindowSeconds", "3601", "0 to 3600"}},
		"bad quantity":       {base, map[string]string{"cpuRequest": "100 m"}, []string{"scaleout:cpuRequest", "100 m", "quantity"}},
		"no CPU request":     {base, map[string]string{"cpuRequest": ""}, []string{"scaleout:cpuRequest", "quantity"}},
		"request > limit":    {base, map[string]string{"cpuRequest": "1"}, []string{"scaleout:cpuLimit", "500m", "request of 1"}},
		"tolerance":          {base, map[string]string{"scaleTolerance": "5%"}, []string{"scaleout:scaleTolerance", "5%", "0.05"}},
		"no drain":           {base, map[string]string{"loadBalancerDelaySeconds": "0"}, []string{"scaleout:loadBalancerDelaySeconds", "0", "1 to 300"}},
		"bad host":           {base, map[string]string{"host": "https://x"}, []string{"scaleout:host", "https://x", "app.example.com"}},
		"bad port":           {base, map[string]string{"publicPort": "65536"}, []string{"scaleout:publicPort", "65536", "0 to 65535"}},
		"bad log level":      {base, map[string]string{"logLevel": "verbose"}, []string{"scaleout:logLevel", "verbose", "debug, info, warn, error"}},
		"latest":             {base, map[string]string{"redisImage": "redis:latest"}, []string{"scaleout:redisImage", "redis:latest", "tag other than latest"}},
		"no tag":             {base, map[string]string{"redisImage": "localhost:5001/redis"}, []string{"scaleout:redisImage", "tag other than latest"}},
		"two repositories":   {base, map[string]string{"ecrRepository": "x"}, []string{"scaleout:imageRepository", "ecrRepository", "exactly one"}},
		"no repository":      {base, map[string]string{"imageRepository": ""}, []string{"scaleout:imageRepository", "exactly one"}},
		"half a login":       {base, map[string]string{"registryUsername": "me"}, []string{"scaleout:registryUsername", "together with registryPassword"}},
		"platform":           {base, map[string]string{"imagePlatform": "arm64"}, []string{"scaleout:imagePlatform", "arm64", "linux/amd64"}},
		"no password":        {base, map[string]string{"redisPassword": ""}, []string{"scaleout:redisPassword", "pulumi config set --stack dev --secret redisPassword"}},
		"weak password":      {base, map[string]string{"redisPassword": "hunter2"}, []string{"scaleout:redisPassword", "at least 16"}},
		"redis host":         {base, map[string]string{"redisHost": "redis://x"}, []string{"scaleout:redisHost", "redis://x", "DNS name"}},
		"redis port":         {base, map[string]string{"redisHost": "r.example.com", "redisPort": "0"}, []string{"scaleout:redisPort", "0", "1 to 65535"}},
		"storage":            {base, map[string]string{"redisStorageSize": "big"}, []string{"scaleout:redisStorageSize", "big", "quantity"}},
		"namespace":          {base, map[string]string{"namespace": "My_App"}, []string{"scaleout:namespace", "My_App", "lower case"}},
		"class and Traefik":  {base, map[string]string{"ingressClass": "nginx"}, []string{"scaleout:ingressClass", "nginx", "traefik"}},
		"nobody may call":    {base, map[string]string{"installTraefik": "false"}, []string{"scaleout:clientCidrs", "nobody may reach the pods", "installTraefik"}},
		"eks without name":   {eks, map[string]string{"eksCluster": ""}, []string{"scaleout:eksCluster"}},
		"eks without region": {eks, map[string]string{"aws:region": ""}, []string{"aws:region"}},
		"role":               {eks, map[string]string{"eksRoleArn": "admin"}, []string{"scaleout:eksRoleArn", "admin", "arn:aws:iam"}},
		"scheme":             {eks, map[string]string{"albScheme": "public"}, []string{"scaleout:albScheme", "public", "internet-facing, internal"}},
		"certificate":        {eks, map[string]string{"host": "a.example.com", "certificateArn": "x"}, []string{"scaleout:certificateArn", "arn:aws:acm"}},
		"certificate alone":  {base, map[string]string{"certificateArn": "x"}, []string{"scaleout:certificateArn", "albScheme"}},
		"controller":         {eks, map[string]string{"albController": "nginx"}, []string{"scaleout:albController", "nginx", "eksAutoMode"}},
		"no controller":      {eks, map[string]string{"albController": ""}, []string{"scaleout:albController", "together with albScheme"}},
		"no class":           {base, map[string]string{"ingressClass": "", "installTraefik": "false", "ingressNamespace": "x"}, []string{"scaleout:ingressClass", "lower case"}},
		"no containers":      {onDocker, map[string]string{"replicas": "0"}, []string{"scaleout:replicas", "0", "1 to 100"}},
		"TLS on Docker":      {onDocker, map[string]string{"tlsSecret": "tls", "host": "a.example.com"}, []string{"scaleout:tlsSecret", "scaleout:host", "does not offer", "leave it empty"}},
		"tagged repository":  {onDocker, map[string]string{"imageRepository": "localhost:5001/app:v1"}, []string{"scaleout:imageRepository", "app:v1", "no tag"}},
		"no port":            {onDocker, map[string]string{"publicPort": "0"}, []string{"scaleout:publicPort", "0", "1 to 65535"}},
		"balancing":          {onDocker, map[string]string{"nginxBalancing": "random"}, []string{"scaleout:nginxBalancing", "random", "roundRobin, leastConnections"}},
		"nginx latest":       {onDocker, map[string]string{"nginxImage": "nginx"}, []string{"scaleout:nginxImage", "nginx", "tag other than latest"}},
		"volume":             {onDocker, map[string]string{"redisVolume": "/data"}, []string{"scaleout:redisVolume", "/data", "lower case"}},
		"short delay":        {onDocker, map[string]string{"loadBalancerDelaySeconds": "2"}, []string{"scaleout:loadBalancerDelaySeconds", "2", "3 to 300"}},
		"little CPU":         {onDocker, map[string]string{"cpuLimit": "9m"}, []string{"scaleout:cpuLimit", "9m", "at least 10m"}},
		"little memory":      {onDocker, map[string]string{"memoryLimit": "4Mi"}, []string{"scaleout:memoryLimit", "4Mi", "at least 6Mi"}},
		"Redis elsewhere":    {onDocker, map[string]string{"redisHost": "r.example.com"}, []string{"scaleout:redisHost", "r.example.com", "leave it empty"}},
		"ECR and Docker":     {onDocker, map[string]string{"imageRepository": "", "ecrRepository": "x", "aws:region": "eu-central-1"}, []string{"scaleout:imageRepository", "target docker"}},
		"CIDR":               {eks, map[string]string{"clientCidrs": `["10.0.0.0"]`}, []string{"scaleout:clientCidrs", "10.0.0.0", "10.0.0.0/16"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			values := test.values(t)
			for key, value := range test.set {
				if !strings.Contains(key, ":") {
					key = "scaleout:" + key
				}
				values[key] = value
			}
			_, err := parse(values)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, part := range append(test.want, "nothing was touched") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q, want it to contain %q", err, part)
				}
			}
			if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the message shows a password: %v", err)
			}
		})
	}
}

func TestParseListsAllProblemsAtOnce(t *testing.T) {
	values := base(t)
	maps.Copy(values, map[string]string{
		"scaleout:minReplicas": "x", "scaleout:cpuRequest": "y", "scaleout:hots": "z", "scaleout:kubeContext": "moon",
	})
	_, err := parse(values)
	if err == nil {
		t.Fatal("got no error")
	}
	for _, key := range []string{"minReplicas", "cpuRequest", "hots", "kubeContext"} {
		if !strings.Contains(err.Error(), "\n  scaleout:"+key+": ") {
			t.Errorf("got %q, want a line for %s", err, key)
		}
	}
}

func TestSecretsMustBeEncrypted(t *testing.T) {
	_, err := Parse("scaleout", "dev", base(t), nil)
	if err == nil || !strings.Contains(err.Error(), "scaleout:redisPassword: is in plain text") {
		t.Errorf("got %v, want a refusal of the plain password", err)
	}
}

func TestReadinessGateFollowsTheController(t *testing.T) {
	for controller, want := range map[string]components.ReadinessGate{
		"eksAutoMode": components.AutoModeGate, "awsLoadBalancerController": components.LoadBalancerControllerGate,
	} {
		values := eks(t)
		values["scaleout:albController"] = controller
		c, err := parse(values)
		if err != nil {
			t.Fatal(err)
		}
		if c.Kubernetes.Namespace.ReadinessGate != want {
			t.Errorf("%s: got gate %q, want %q", controller, c.Kubernetes.Namespace.ReadinessGate, want)
		}
	}
}

// What only another target uses is not looked at, and the parts of just one target come out.
func TestOnlyTheTargetCounts(t *testing.T) {
	values := onDocker(t)
	values["scaleout:minReplicas"] = "0"
	c, err := parse(values)
	if err != nil || c.Docker == nil || c.Kubernetes != nil {
		t.Errorf("docker with a setting for clusters: got %+v, %v", c, err)
	}
	values = base(t)
	values["scaleout:replicas"] = "0"
	if c, err := parse(values); err != nil || c.Docker != nil || c.Kubernetes == nil {
		t.Errorf("kind with a setting for Docker: got %+v, %v", c, err)
	}
}

// Another app image must not mean another nginx, whose port is closed while it is replaced.
func TestBalancerTakesOnlyItsOwnBuildArguments(t *testing.T) {
	values := onDocker(t)
	values["scaleout:imageBuildArgs"] = `{"GOPROXY": "https://proxy.example.com", "GO_IMAGE": "mirror/golang:1.26"}`
	c, err := parse(values)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"GO_IMAGE": "mirror/golang:1.26", "NGINX_IMAGE": values["scaleout:nginxImage"]}
	if !maps.Equal(c.Docker.Balancer.BuildArgs, want) || len(c.Image.BuildArgs) != 2 {
		t.Errorf("got %v for the balancer and %v for the app", c.Docker.Balancer.BuildArgs, c.Image.BuildArgs)
	}
}

// Whatever the values are, Parse returns either settings that the components accept or an error that names a key.
func FuzzParse(f *testing.F) {
	keys := slices.Sorted(maps.Keys(defaults(f)))
	for i, value := range []string{"", "0", "-1", "true", "[]", `["10.0.0.0/8"]`, "{}", "100m", "\x00", "99999999999999999999"} {
		f.Add(i, value, i+1, value)
	}
	f.Fuzz(func(t *testing.T, i int, a string, j int, b string) {
		values := base(t)
		pick := func(n int) string { return keys[((n%len(keys))+len(keys))%len(keys)] }
		values[pick(i)], values[pick(j)] = a, b
		c, err := parse(values)
		if err != nil {
			if !strings.Contains(err.Error(), "scaleout:") && !strings.Contains(err.Error(), "aws:region") {
				t.Errorf("the message names no key: %v", err)
			}
			return
		}
		if c.Kubernetes == nil { // the other target
			return
		}
		if problems := c.Kubernetes.Web.Validate(); len(problems) > 0 {
			t.Errorf("accepted %q and %q, but the component says %v", a, b, problems)
		}
	})
}
