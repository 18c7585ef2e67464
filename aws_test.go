package main

import (
	"fmt"
	"strings"
	"testing"

	"example.com/scaleout/offline"
)

// byName returns a variant and a lookup of its resources' URNs by type and name, e.g. "Ingress web".
func byName(t *testing.T, variant string) (result *offline.Result, urn func(name string) string) {
	t.Helper()
	result = results[variant]
	urns := map[string]string{}
	for _, r := range result.Resources {
		if !r.Custom {
			continue
		}
		urns[r.Type[strings.LastIndex(r.Type, ":")+1:]+" "+r.Name] = r.URN
	}
	return result, func(name string) string {
		t.Helper()
		if urns[name] == "" {
			t.Fatalf("%s has no %s", variant, name)
		}
		return urns[name]
	}
}

// orders lists the dependencies of resources, which must outlive them: the controller removes a load balancer while its
// class, its access to the cluster and its certificate still exist, and after the DNS record is gone.
var orders = map[string]map[string][]string{
	"example": {
		"Ingress web":                 {"Service web", "Namespace namespace", "kubernetes cluster"},
		"Deployment web":              {"Ingress web", "StatefulSet redis"},
		"HorizontalPodAutoscaler web": {"Deployment web"},
	},
	"prod-controller": {
		"Ingress web": {"Service web", "Namespace namespace", "kubernetes cluster"},
	},
	"prod-names": {
		"Ingress web": {
			"IngressClass alb", "IngressClassParams alb-params", "CertificateValidation web", "kubernetes cluster",
		},
		"IngressClass alb":          {"IngressClassParams alb-params"},
		"CertificateValidation web": {"Certificate web", "Record web-validation"},
		"Record web":                {"Ingress web"},
	},
	"prod-cluster-stack": {
		"Record web": {"Ingress web"},
	},
	"prod-elasticache": {
		"Deployment web":         {"ReplicationGroup redis", "Ingress web"},
		"ReplicationGroup redis": {"SecurityGroup redis", "SubnetGroup redis", "UserGroup redis", "User redis"},
	},
	"prod-elasticache-serverless": {
		"Deployment web":        {"ServerlessCache redis"},
		"ServerlessCache redis": {"SecurityGroup redis", "UserGroup redis", "User redis", "User redis-default"},
	},
}

func TestOrderOfDeletion(t *testing.T) {
	for variant, order := range orders {
		result, urn := byName(t, variant)
		for later, earlier := range order {
			for _, name := range earlier {
				if !result.DependsOn(urn(later), urn(name)) {
					t.Errorf("%s: %s may be deleted after %s", variant, later, name)
				}
			}
		}
	}
}

// Pulumi waits until the controller has released an Ingress unless an option or annotation disables that.
func TestNothingLeavesALoadBalancerBehind(t *testing.T) {
	for variant, result := range inClusters() {
		for _, r := range result.Resources {
			if !strings.HasSuffix(r.Type, ":Ingress") || !r.Custom {
				continue
			}
			for _, option := range []string{"deletedWith", "retainOnDelete", "protect"} {
				if r.Options[option] != nil {
					t.Errorf("%s: the Ingress has option %s", variant, option)
				}
			}
			if offline.Lookup(r.Inputs, "metadata", "annotations", "pulumi.com/skipAwait") != nil {
				t.Errorf("%s: Pulumi does not await the Ingress", variant)
			}
		}
	}
}

// The exported totals match the requests in the objects.
func TestRequestsAreThoseOfThePods(t *testing.T) {
	for variant, result := range inClusters() {
		preview := result.Preview()
		for row, output := range map[string]string{"All at min replicas": "atMin", "All at max replicas": "atMax"} {
			_, line, _ := strings.Cut(preview, row)
			line, _, _ = strings.Cut(line, "\n")
			fields := strings.Fields(line) // pods, CPU request, CPU limit, memory request, memory limit
			want := fmt.Sprintf("%s CPU, %s", fields[1], fields[3])
			if got := offline.Lookup(result.Exports, "requests", output); got != want {
				t.Errorf("%s: %s is %v, but the pods request %s", variant, output, got, want)
			}
		}
	}
}

// A TLS listener has a security policy, a certificate and a redirect.
func TestHTTPSIsComplete(t *testing.T) {
	for _, variant := range []string{
		"example", "prod-controller", "prod-names", "prod-cluster-stack", "prod-elasticache",
	} {
		result, _ := byName(t, variant)
		for _, r := range result.Resources {
			if !strings.HasSuffix(r.Type, ":Ingress") || !r.Custom {
				continue
			}
			annotation := func(name string) any {
				return offline.Lookup(r.Inputs, "metadata", "annotations", "alb.ingress.kubernetes.io/"+name)
			}
			if annotation("listen-ports") != `[{"HTTP":80},{"HTTPS":443}]` || annotation("ssl-redirect") != "443" ||
				annotation("ssl-policy") != "ELBSecurityPolicy-TLS13-1-2-2021-06" || annotation("certificate-arn") == nil {
				t.Errorf("%s: got %v", variant, offline.Lookup(r.Inputs, "metadata", "annotations"))
			}
		}
		if got := result.Exports["url"]; got != "https://app.example.com/" {
			t.Errorf("%s: the URL is %v", variant, got)
		}
	}
}

// A pod on a node of another architecture than its image fails with "exec format error".
func TestPodsGoWhereTheirImageRuns(t *testing.T) {
	for variant, want := range map[string]any{"example": "amd64", "prod-controller": "arm64", "dev": nil} {
		result, urn := byName(t, variant)
		for _, r := range result.Resources {
			switch r.URN {
			case urn("Deployment web"):
				selector := offline.Lookup(r.Inputs, "spec", "template", "spec", "nodeSelector")
				if got := offline.Lookup(selector, "kubernetes.io/arch"); got != want {
					t.Errorf("%s: the pods select nodes of %v, want %v", variant, got, want)
				}
			case urn("Image app"):
				platform, _ := offline.Lookup(r.Inputs, "build", "platform").(string)
				if want != nil && platform != fmt.Sprintf("linux/%s", want) {
					t.Errorf("%s: the image is for %s, the nodes are %v", variant, platform, want)
				}
			}
		}
	}
}

// The app connects to a managed Redis with TLS, as a dedicated user; no in-cluster Redis runs.
func TestManagedRedis(t *testing.T) {
	for _, variant := range []string{"prod-elasticache", "prod-elasticache-serverless"} {
		result, urn := byName(t, variant)
		for _, r := range result.Resources {
			if strings.HasSuffix(r.Type, ":StatefulSet") {
				t.Errorf("%s: also runs %s", variant, r.Name)
			}
			if r.URN != urn("Deployment web") {
				continue
			}
			env, _ := offline.Lookup(r.Inputs, "spec", "template", "spec", "containers", 0, "env").([]any)
			got := map[any]any{}
			for _, v := range env {
				got[offline.Lookup(v, "name")] = offline.Lookup(v, "value")
			}
			if got["REDIS_TLS"] != "true" || got["REDIS_USERNAME"] != "scaleout" || got["REDIS_PORT"] != "6379" {
				t.Errorf("%s: got %v", variant, got)
			}
		}
	}
}
