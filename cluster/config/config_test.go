package config

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/cluster/platform"
	"example.com/scaleout/components/aws"
	"example.com/scaleout/internal/decode/decodetest"
)

func project(t *testing.T) *workspace.Project {
	t.Helper()
	project, err := workspace.LoadProject("../Pulumi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// base returns a valid configuration: the defaults of Pulumi.yaml, values for the required keys, and set.
func base(t *testing.T, set map[string]string) map[string]string {
	t.Helper()
	values := decodetest.Defaults(t, project(t))
	maps.Copy(values, map[string]string{
		"aws:region": "eu-central-1", "aws:allowedAccountIds": `["111122223333"]`, "scaleout-cluster:name": "production",
		"scaleout-cluster:apiCidrs":  `["203.0.113.7/32"]`,
		"scaleout-cluster:zones":     `["eu-central-1a","eu-central-1b","eu-central-1c"]`,
		"scaleout-cluster:adminArns": `["arn:aws:iam::111122223333:role/teams/platform"]`,
	})
	for key, value := range set {
		if !strings.Contains(key, ":") {
			key = "scaleout-cluster:" + key
		}
		values[key] = value
	}
	return values
}

func parse(values map[string]string) (*Config, error) {
	return Parse("scaleout-cluster", "prod", values, nil)
}

func TestParseAccepts(t *testing.T) {
	for name, set := range map[string]map[string]string{
		"the defaults": nil,
		"a user":       {"adminArns": `["arn:aws:iam::111122223333:user/me"]`},
		"a domain":     {"domain": "example.com", "hostedZoneId": "Z0123456789ABCDEFGHIJ"},
		"flow logs":    {"flowLogDays": "30"},
		"GovCloud": {
			"aws:region": "us-gov-west-1", "zones": `["us-gov-west-1a","us-gov-west-1b","us-gov-west-1c"]`,
			"adminArns": `["arn:aws-us-gov:iam::111122223333:role/x"]`,
		},
		"no public endpoint": {"apiCidrs": "[]"},
	} {
		if _, err := parse(base(t, set)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for key, test := range map[string]struct{ value, want string }{
		"aws:allowedAccountIds": {`[111122223333]`, "one quoted string"},
		"aws:region":            {"Frankfurt", "eu-central-1"},
		"name":                  {"my_cluster", "letters, digits"},
		"vpcCidr":               {"10.0.0.0/8", "from /16 to /23"},
		"zones": {`["eu-central-1a","eu-central-1a","us-east-1a"]`,
			"three different zones of region eu-central-1"},
		"interfaceEndpoints":   {`["com.amazonaws.eu-central-1.ecr.api/"]`, "ecr.api"},
		"metricsServerVersion": {"latest", "v0.8.0-eksbuild.1"},
		"flowLogDays":          {"31", "CloudWatch"},
		"kubernetesVersion":    {"1.29", "1.30"},
		"apiCidrs":             {`["0.0.0.0/0"]`, "no more than a /8"},
		"adminArns": {`["arn:aws:sts::111122223333:assumed-role/ci/me"]`,
			"for a session (assumed-role), its role"},
		"viewerArns":       {`["arn:aws:iam::111122223333:role/teams/platform"]`, "once"},
		"logTypes":         {`["all"]`, "authenticator"},
		"logDays":          {"0", "CloudWatch"},
		"supportType":      {"LONG", "EXTENDED"},
		"nodeCpuLimit":     {"many", "32"},
		"nodeMemoryLimit":  {"128", "128Gi"},
		"nodeArchitecture": {"x86_64", "arm64"},
		"nodeCapacity":     {"cheap", "spot"},
		"nodeMaxAgeHours":  {"500", "24 to 480"},
		"domain":           {"example.com", "together with hostedZoneId"},
		"vpcCIDR":          {"10.0.0.0/16", "no such key; docs/cluster-configuration.md"},
	} {
		_, err := parse(base(t, map[string]string{key: test.value}))
		full := key
		if !strings.Contains(key, ":") {
			full = "scaleout-cluster:" + key
		}
		if err == nil || !strings.Contains(err.Error(), "\n  "+full+": ") || !strings.Contains(err.Error(), test.want) ||
			!strings.Contains(err.Error(), "nothing was touched") {
			t.Errorf("%s: %s: got %v, want a line for the key that contains %q", key, test.value, err, test.want)
		}
	}
}

// Further values of the same keys.
func TestParseRefusesToo(t *testing.T) {
	for name, test := range map[string]struct {
		set  map[string]string
		want string
	}{
		"half of everyone":  {map[string]string{"apiCidrs": `["128.0.0.0/1"]`}, "scaleout-cluster:apiCidrs: "},
		"private addresses": {map[string]string{"apiCidrs": `["10.0.0.0/16"]`}, "scaleout-cluster:apiCidrs: "},
		"IPv6":              {map[string]string{"apiCidrs": `["2001:db8::/32"]`}, "scaleout-cluster:apiCidrs: "},
		"two accounts": {map[string]string{"aws:allowedAccountIds": `["111122223333","444455556666"]`},
			"aws:allowedAccountIds: got"},
		"no account":         {map[string]string{"aws:allowedAccountIds": ""}, "aws:allowedAccountIds: is required"},
		"S3 as an interface": {map[string]string{"interfaceEndpoints": `["s3"]`}, "s3 always has an endpoint"},
		"zones in disorder": {map[string]string{"zones": `["eu-central-1b","eu-central-1a","eu-central-1c"]`},
			"in alphabetical order"},
		"another partition": {
			map[string]string{"aws:region": "cn-north-1", "zones": `["cn-north-1a","cn-north-1b","cn-north-1c"]`},
			"aws or aws-us-gov"},
		"ARN of another": {map[string]string{"adminArns": `["arn:aws-cn:iam::111122223333:role/x"]`},
			"must be arn:aws:iam"},
		"EU Sovereign Cloud": {map[string]string{"aws:region": "eusc-de-east-1"}, "aws or aws-us-gov"},
	} {
		_, err := parse(base(t, test.set))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", name, err, test.want)
		}
	}
}

func TestNobodyIsNoAdmin(t *testing.T) {
	_, err := parse(base(t, map[string]string{"adminArns": "[]"}))
	if err == nil || !strings.Contains(err.Error(), "scaleout-cluster:adminArns: ") ||
		!strings.Contains(err.Error(), "your own role") {
		t.Errorf("got %v, want a refusal that suggests the caller's role", err)
	}
}

// Every field that a check reports has a key, and every entry of the table is for a field that a check reports.
func TestEveryFieldHasAKey(t *testing.T) {
	cluster := platform.Cluster{Region: "cn-x"}
	named := map[string]bool{}
	for of, problems := range map[string]field.ErrorList{
		"cluster":     cluster.Validate(),
		"network":     (&platform.NetworkArgs{InterfaceEndpoints: []string{"s3"}}).Validate(),
		"nodes":       (&platform.NodePoolArgs{}).Validate(),
		"certificate": (&aws.CertificateArgs{}).Validate(),
		"controlPlane": (&platform.ControlPlaneArgs{
			Cluster: cluster, PublicCIDRs: []string{"x"}, LogTypes: []string{"x"}, Viewers: []string{"x"},
		}).Validate(),
	} {
		for _, problem := range problems {
			path := of + "." + problem.Field
			key, known := keys[path]
			if named[path] = true; !known {
				t.Errorf("%s has no key: %v", path, problem)
			}
			if _, declared := project(t).Config[key]; !declared && !strings.HasPrefix(key, "aws:") {
				t.Errorf("%s has the key %s, which Pulumi.yaml does not declare", path, key)
			}
		}
	}
	for path := range keys {
		if !named[path] {
			t.Errorf("no check reported %s, so its key is untested", path)
		}
	}
}

// Every key that Pulumi.yaml declares is read and described, and every key that is read is declared.
func TestEveryKeyIsDeclaredAndRead(t *testing.T) {
	declared := project(t).Config
	for name, key := range declared {
		if key.Description == "" {
			t.Errorf("%s has no description", name)
		}
		values := base(t, nil)
		delete(values, "scaleout-cluster:"+name)
		if _, err := parse(values); err == nil || !strings.Contains(err.Error(), "scaleout-cluster:"+name+": is required") {
			t.Errorf("%s is declared but nothing reads it: %v", name, err)
		}
	}
	_, err := parse(map[string]string{})
	if err == nil {
		t.Fatal("an empty configuration is accepted")
	}
	for line := range strings.Lines(err.Error()) {
		name, found := strings.CutPrefix(line, "  scaleout-cluster:")
		name, _, _ = strings.Cut(name, ":")
		if _, known := declared[name]; found && !known {
			t.Errorf("%s is read but not declared", name)
		}
	}
}

func TestAllProblemsComeAtOnce(t *testing.T) {
	wrong := map[string]string{
		"name": "a b", "vpcCidr": "x", "nodeCapacity": "y", "logTypes": `["z"]`, "apiCidrs": `["q"]`,
	}
	_, err := parse(base(t, wrong))
	if err == nil {
		t.Fatal("got no error")
	}
	lines := strings.Split(err.Error(), "\n")[1:]
	if len(lines) != len(wrong) || !slices.IsSorted(lines) {
		t.Errorf("got %d lines, want %d in order: %v", len(lines), len(wrong), err)
	}
}
