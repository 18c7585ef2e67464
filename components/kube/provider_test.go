package kube

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

const testRole = "arn:aws:iam::111122223333:role/deploy"

func eksProgram(cluster EKSCluster) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := NewEKSProvider(ctx, "cluster", cluster)
		return err
	}
}

func testEKS() EKSCluster {
	return EKSCluster{
		Name: pulumi.String("production"), Region: "eu-central-1", Endpoint: pulumi.String("https://x.eks.amazonaws.com"),
		CertificateAuthority: pulumi.String("Q0E="),
		ARN:                  pulumi.String("arn:aws:eks:eu-central-1:111122223333:cluster/production"),
	}
}

func TestKubeconfigOfEKS(t *testing.T) {
	for _, role := range []string{"", testRole} {
		cluster := testEKS()
		cluster.RoleARN = role
		provider := componenttest.Find(t, componenttest.Record(t, eksProgram(cluster)), "kubernetes", "cluster").Inputs
		if provider["clusterIdentifier"] != string(cluster.ARN.(pulumi.String)) {
			t.Errorf("clusterIdentifier is %v: a new endpoint would replace all resources", provider["clusterIdentifier"])
		}
		text, _ := provider["kubeconfig"].(string)
		var config map[string]any
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		for _, c := range []struct {
			want string
			path []any
		}{
			{"production", []any{"current-context"}},
			{"production", []any{"contexts", 0, "name"}},
			{"production", []any{"contexts", 0, "context", "cluster"}},
			{"production", []any{"contexts", 0, "context", "user"}},
			{"production", []any{"clusters", 0, "name"}},
			{"https://x.eks.amazonaws.com", []any{"clusters", 0, "cluster", "server"}},
			{"Q0E=", []any{"clusters", 0, "cluster", "certificate-authority-data"}},
			{"production", []any{"users", 0, "name"}},
			{"aws", []any{"users", 0, "user", "exec", "command"}},
			{"Never", []any{"users", 0, "user", "exec", "interactiveMode"}},
			{"client.authentication.k8s.io/v1beta1", []any{"users", 0, "user", "exec", "apiVersion"}},
		} {
			if got := offline.Lookup(config, c.path...); got != c.want {
				t.Errorf("%v: got %v, want %s", c.path, got, c.want)
			}
		}
		want := []any{"eks", "get-token", "--cluster-name", "production", "--region", "eu-central-1", "--output", "json"}
		if role != "" {
			want = append(want, "--role-arn", role)
		}
		if got, _ := offline.Lookup(config, "users", 0, "user", "exec", "args").([]any); !slices.Equal(got, want) {
			t.Errorf("got token command %v, want %v", got, want)
		}
		if strings.Contains(text, "profile") || strings.Contains(text, "AWS_") {
			t.Errorf("the kubeconfig depends on the machine: %s", text)
		}
	}
}

// AWS reports no endpoint while it creates the cluster. Without one, the provider would use the default context.
func TestEKSWithoutEndpointIsRefused(t *testing.T) {
	for name, change := range map[string]func(*EKSCluster){
		"endpoint":  func(c *EKSCluster) { c.Endpoint = pulumi.String("") },
		"authority": func(c *EKSCluster) { c.CertificateAuthority = pulumi.String("").ToStringOutput() },
	} {
		cluster := testEKS()
		change(&cluster)
		if _, err := offline.Record(eksProgram(cluster)); err == nil || !strings.Contains(err.Error(), "no endpoint") {
			t.Errorf("%s: got %v, want an error about the endpoint", name, err)
		}
	}
}

func TestProvidersRefuse(t *testing.T) {
	componenttest.Refuses(t, eksProgram(EKSCluster{Name: pulumi.String("-"), Region: "Frankfurt", RoleARN: "admin"}),
		"name", "region", "roleArn", "endpoint", "certificateAuthority", "arn")
	for _, context := range []string{"", "production", "kind-", "Kind-a", "kind-a b"} {
		componenttest.Refuses(t, func(ctx *pulumi.Context) error {
			_, err := NewKindProvider(ctx, "cluster", KindCluster{Context: context})
			return err
		}, "context")
	}
}

func TestEKSClusterValidate(t *testing.T) {
	valid := EKSCluster{Name: pulumi.String("production"), Region: "eu-central-1"}
	for field, values := range map[string]struct {
		set       func(c *EKSCluster, value string)
		good, bad []string
	}{
		"name": {func(c *EKSCluster, value string) { c.Name = pulumi.String(value) },
			[]string{"0", "A_b-c", strings.Repeat("c", 100)},
			[]string{"", "-a", "a.b", "a b", strings.Repeat("c", 101), "arn:aws:eks:eu-central-1:111122223333:cluster/a"}},
		"region": {func(c *EKSCluster, value string) { c.Region = value },
			[]string{"us-gov-west-1"}, []string{"", "Frankfurt"}},
		"roleArn": {func(c *EKSCluster, value string) { c.RoleARN = value },
			[]string{"", testRole, "arn:aws-us-gov:iam::111122223333:role/teams/a+b"},
			[]string{"admin", "arn:aws:iam::1111:role/a", "arn:aws:iam::111122223333:user/a", testRole + "\n",
				"arn:aws:sts::111122223333:assumed-role/a/me"}},
	} {
		for i, value := range append(values.good, values.bad...) {
			c := valid
			values.set(&c, value)
			problems, accepted := c.Validate(), i < len(values.good)
			if accepted && len(problems) > 0 || !accepted && (len(problems) != 1 || problems[0].Field != field) {
				t.Errorf("%s %q: got %v, want it accepted: %t", field, value, problems, accepted)
			}
		}
	}
}

// Existing objects are adopted only on request.
func TestAdoptExisting(t *testing.T) {
	for _, adopt := range []bool{true, false} {
		inputs := componenttest.Find(t, componenttest.Record(t, func(ctx *pulumi.Context) error {
			_, err := NewKindProvider(ctx, "cluster", KindCluster{Context: "kind-a", AdoptExisting: adopt})
			return err
		}), "kubernetes", "cluster").Inputs
		if got, set := inputs["upsertExistingObjects"]; set != adopt {
			t.Errorf("AdoptExisting %t: got %v, set %t", adopt, got, set)
		}
	}
}
