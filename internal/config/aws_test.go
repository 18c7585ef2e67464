package config

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

const certificate = "arn:aws:acm:eu-central-1:111122223333:certificate/0-0"

// https returns a valid configuration for EKS with a certificate.
func https(t testing.TB) map[string]string {
	return with(eks(t), map[string]string{"host": "a.example.com", "certificateArn": certificate})
}

// managed returns a valid configuration with an ElastiCache.
func managed(t testing.TB) map[string]string {
	return with(eks(t), map[string]string{"elasticacheName": "cache"})
}

func TestAWSRefuses(t *testing.T) {
	kind := map[string]string{"albScheme": "internal", "albController": "eksAutoMode"}
	for name, test := range map[string]refusal{
		"token without ECR repository": {eks, map[string]string{"ecrLogin": "helper"},
			[]string{"scaleout:ecrLogin", "helper", "dockerConfig", "token"}},
		"token and login": {eks,
			map[string]string{"ecrLogin": "token", "registryUsername": "me", "registryPassword": password},
			[]string{"scaleout:ecrLogin", "token", "registryUsername"}},
		"ECR keeps one": {eks, map[string]string{"ecrKeepImages": "1"},
			[]string{"scaleout:ecrKeepImages", "1", "2 to 10000"}},
		"tags that are no texts": {eks, map[string]string{"aws:defaultTags": `{"tags":{"cost":7}}`},
			[]string{"aws:defaultTags", "in quotes"}},
		"tags without the word": {eks, map[string]string{"aws:defaultTags": `{"team":"shop"}`},
			[]string{"aws:defaultTags", `{"tags": {"team": "shop"}}`}},
		"alias of a key": {eks, map[string]string{"ecrKmsKeyArn": "alias/mine"},
			[]string{"scaleout:ecrKmsKeyArn", "alias/mine", "arn:aws:kms"}},
		"ALB on kind": {base, kind, []string{"scaleout:albScheme", "internal", "kind"}},
		"controller without scheme": {eks, map[string]string{"albScheme": ""},
			[]string{"scaleout:albController", "together"}},
		"unknown controller": {eks, map[string]string{"albController": "nginx"},
			[]string{"scaleout:albController", "nginx", "eksAutoMode"}},
		"group on Auto Mode, no class": {eks, map[string]string{"albGroup": "public"},
			[]string{"scaleout:albGroup", "public", "installAlbIngressClass"}},
		"logs on Auto Mode, no class": {eks, map[string]string{"albAccessLogsBucket": "logs"},
			[]string{"scaleout:albAccessLogsBucket", "installAlbIngressClass"}},
		"prefix without bucket": {eks, map[string]string{"albAccessLogsPrefix": "x"},
			[]string{"scaleout:albAccessLogsPrefix", "x", "accessLogsBucket"}},
		"class without ALB": {base, map[string]string{"installAlbIngressClass": "true"},
			[]string{"scaleout:installAlbIngressClass", "albScheme"}},
		"web ACL of CloudFront": {eks,
			map[string]string{"albWebAclArn": "arn:aws:wafv2:eu-central-1:111122223333:global/webacl/a/b"},
			[]string{"scaleout:albWebAclArn", "regional"}},
		"web ACL of another region": {eks,
			map[string]string{"albWebAclArn": "arn:aws:wafv2:us-east-1:111122223333:regional/webacl/a/b"},
			[]string{"scaleout:albWebAclArn", "aws:region", "eu-central-1"}},
		"TLS policy in words": {https, map[string]string{"albTlsPolicy": "modern"},
			[]string{"scaleout:albTlsPolicy", "modern", "ELBSecurityPolicy-"}},
		"TLS policy for what is to come": {eks,
			map[string]string{"host": "a.example.com", "hostedZoneId": "Z0123456789", "albTlsPolicy": "modern"},
			[]string{"scaleout:albTlsPolicy", "modern"}},
		"zone by its name": {https, map[string]string{"hostedZoneId": "example.com"},
			[]string{"scaleout:hostedZoneId", "example.com", "ID"}},
		"zone without a name": {eks, map[string]string{"hostedZoneId": "Z0123456789"},
			[]string{"scaleout:host", "hostedZoneId"}},
		"zone without an ALB": {base, map[string]string{"hostedZoneId": "Z0123456789"},
			[]string{"scaleout:hostedZoneId", "albScheme"}},
		"certificate of no cluster stack": {eks, map[string]string{"host": "a.example.com", "certificateArn": "cluster"},
			[]string{"scaleout:certificateArn", "cluster", "clusterStack"}},
		"ElastiCache on Docker": {onDocker, map[string]string{"elasticacheName": "cache"},
			[]string{"scaleout:elasticacheName", "cache", "docker"}},
		"name on Docker": {onDocker, map[string]string{"hostedZoneId": "Z0123456789"},
			[]string{"scaleout:hostedZoneId", "docker"}},
		"ElastiCache on kind": {base, map[string]string{"elasticacheName": "cache"},
			[]string{"scaleout:elasticacheName", "eks"}},
		"two Redis": {managed, map[string]string{"redisHost": "redis.example.com"},
			[]string{"scaleout:elasticacheName", "redisHost"}},
		"name of a cache": {managed, map[string]string{"elasticacheName": "Cache"},
			[]string{"scaleout:elasticacheName", "Cache", "lower case"}},
		"kind of a cache": {managed, map[string]string{"elasticacheKind": "cluster"},
			[]string{"scaleout:elasticacheKind", "cluster", "replicas, serverless"}},
		"engine": {managed, map[string]string{"elasticacheEngine": "memcached"},
			[]string{"scaleout:elasticacheEngine", "memcached", "valkey"}},
		"engine version": {managed, map[string]string{"elasticacheEngineVersion": "8"},
			[]string{"scaleout:elasticacheEngineVersion", "8.0"}},
		"node type": {managed, map[string]string{"elasticacheNodeType": "t4g.small"},
			[]string{"scaleout:elasticacheNodeType", "cache.t4g.small"}},
		"replicas of a cache": {managed, map[string]string{"elasticacheReplicas": "6"},
			[]string{"scaleout:elasticacheReplicas", "0 to 5"}},
		"window": {managed, map[string]string{"elasticacheMaintenanceWindow": "night"},
			[]string{"scaleout:elasticacheMaintenanceWindow", "night", "sun:03:00"}},
		"units of a serverless cache": {managed,
			map[string]string{"elasticacheKind": "serverless", "elasticacheMaxEcpus": "10"},
			[]string{"scaleout:elasticacheMaxEcpus", "1000"}},
		"subnet by its name": {managed, map[string]string{"elasticacheSubnets": `["private"]`},
			[]string{"scaleout:elasticacheSubnets", "private", "subnet-"}},
		"client by its name": {managed, map[string]string{"elasticacheSecurityGroups": `["sg-1"]`},
			[]string{"scaleout:elasticacheSecurityGroups", "sg-1"}},
		"password longer than AWS takes": {managed, map[string]string{"redisPassword": strings.Repeat("x", 129)},
			[]string{"scaleout:redisPassword", "128"}},
		"password that AWS refuses": {managed, map[string]string{"redisPassword": "hunter2/hunter2/hunter2"},
			[]string{"scaleout:redisPassword", "or @"}},
		"user of ElastiCache": {managed, map[string]string{"redisUsername": "me"},
			[]string{"scaleout:redisUsername", "redisHost"}},
		"CPU that cannot fit": {eks, map[string]string{"nodeCpuLimit": "2", "nodeMemoryLimit": "64Gi", "maxReplicas": "20"},
			[]string{"scaleout:nodeCpuLimit", "2600m", "lower that maximum"}},
		"memory that cannot fit": {eks, map[string]string{"nodeCpuLimit": "20", "nodeMemoryLimit": "256Mi"},
			[]string{"scaleout:nodeMemoryLimit", "960Mi"}},
		"half a capacity": {eks, map[string]string{"nodeCpuLimit": "20"},
			[]string{"scaleout:nodeCpuLimit", "nodeMemoryLimit"}},
		"capacity without a unit": {eks, map[string]string{"nodeCpuLimit": "20", "nodeMemoryLimit": "lots"},
			[]string{"scaleout:nodeMemoryLimit", "lots", "128Gi"}},
		"cluster stack without a project": {eks, map[string]string{"clusterStack": "prod"},
			[]string{"scaleout:clusterStack", "prod", "organization/scaleout-cluster/prod"}},
		"cluster stack on kind": {base, map[string]string{"clusterStack": "organization/scaleout-cluster/prod"},
			[]string{"scaleout:clusterStack", "eks"}},
	} {
		t.Run(name, test.run)
	}
}

// up returns the cluster's stack after its `pulumi up`.
func up() *clusterStack {
	return &clusterStack{name: "organization/scaleout-cluster/prod", known: map[string]any{
		"clusterName": "production", "region": "eu-central-1", "imagePlatform": "linux/amd64", "ingressClass": "alb",
		"domain":            "example.com",
		"clusterArn":        "arn:aws:eks:eu-central-1:111122223333:cluster/production",
		"publicSubnetCidrs": []any{"10.0.0.0/20"}, "privateSubnetCidrs": []any{"10.0.64.0/18"},
		"nodeCpuLimit": "32", "nodeMemoryLimit": "128Gi", "certificateArn": certificate, "hostedZoneId": "Z0123456789",
	}}
}

// fromStack returns a configuration that uses all outputs of the cluster's stack.
func fromStack(t testing.TB, set map[string]string) map[string]string {
	values := with(eks(t), map[string]string{
		"clusterStack": "organization/scaleout-cluster/prod", "eksCluster": "", "loadBalancerCidrs": "[]",
		"host": "a.example.com", "certificateArn": "cluster", "hostedZoneId": "cluster",
		"aws:allowedAccountIds": `["111122223333"]`,
	})
	return with(values, set)
}

func TestClusterStackTakesThePlaceOfConfiguration(t *testing.T) {
	read, used := slices.Sorted(slices.Values(ClusterOutputs)), slices.Sorted(maps.Keys(up().known))
	if !slices.Equal(read, used) {
		t.Errorf("the outputs %q are read, want %q", read, used)
	}
	for scheme, subnets := range map[string]string{"internet-facing": "10.0.0.0/20", "internal": "10.0.64.0/18"} {
		c, err := parse("scaleout", "prod", fromStack(t, map[string]string{"albScheme": scheme}), secrets, up())
		if err != nil {
			t.Fatal(err)
		}
		k := c.Kubernetes
		cidrs, _ := k.Web.AllowFrom[0].CIDRs.(pulumi.StringArray)
		if k.EKS.Name != pulumi.String("production") || len(cidrs) != 1 || cidrs[0] != pulumi.String(subnets) ||
			k.Web.Ingress.ALB.CertificateARN != pulumi.String(certificate) || k.Record.ZoneID != pulumi.String("Z0123456789") ||
			k.Certificate != nil || k.Capacity.CPULimit != pulumi.String("32") {
			t.Errorf("%s: got %+v, %v, %+v", scheme, k.EKS, cidrs, k.Web.Ingress.ALB)
		}
	}
}

// The stack file takes precedence.
func TestConfigurationBeatsTheClusterStack(t *testing.T) {
	own := map[string]string{
		"loadBalancerCidrs": `["10.1.0.0/16"]`, "certificateArn": "", "nodeCpuLimit": "9", "nodeMemoryLimit": "9Gi",
	}
	c, err := parse("scaleout", "prod", fromStack(t, own), secrets, up())
	if err != nil {
		t.Fatal(err)
	}
	k := c.Kubernetes
	cidrs, _ := k.Web.AllowFrom[0].CIDRs.(pulumi.StringArray)
	if len(cidrs) != 1 || cidrs[0] != pulumi.String("10.1.0.0/16") ||
		k.Certificate == nil || k.Capacity.CPULimit != pulumi.String("9") {
		t.Errorf("got %v, certificate %v, capacity %v", cidrs, k.Certificate, k.Capacity)
	}
}

func TestClusterStackRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(map[string]any)
		want   []string
	}{
		"other region": {func(o map[string]any) { o["region"] = "us-east-1" },
			[]string{"aws:region", "eu-central-1", "us-east-1"}},
		"other nodes": {func(o map[string]any) { o["imagePlatform"] = "linux/arm64" },
			[]string{"scaleout:imagePlatform", "linux/amd64", "linux/arm64"}},
		"other account": {func(o map[string]any) { o["clusterArn"] = "arn:aws:eks:eu-central-1:999999999999:cluster/x" },
			[]string{"aws:allowedAccountIds", "111122223333", "999999999999"}},
		"other domain": {func(o map[string]any) { o["domain"] = "b.example.com" },
			[]string{"scaleout:host", "a.example.com", "directly below b.example.com"}},
		"deeper name": {func(o map[string]any) { o["domain"] = "com" }, []string{"scaleout:host", "directly below com"}},
		"other project": {func(o map[string]any) { delete(o, "clusterName") },
			[]string{"scaleout:eksCluster", "clusterName", "project in cluster/"}},
		"not up yet": {func(o map[string]any) { clear(o) }, []string{"scaleout:clusterStack", "no outputs", "pulumi up"}},
		"no certificate": {func(o map[string]any) { delete(o, "certificateArn") },
			[]string{"scaleout:certificateArn", "certificateArn", "set domain and hostedZoneId there"}},
		"no text": {func(o map[string]any) { o["clusterName"] = 7.0 }, []string{"scaleout:eksCluster", "clusterName"}},
		"no list": {func(o map[string]any) { o["publicSubnetCidrs"] = []any{1.0} },
			[]string{"scaleout:loadBalancerCidrs", "publicSubnetCidrs"}},
		"cannot fit": {func(o map[string]any) { o["nodeCpuLimit"] = "1" }, []string{"scaleout:nodeCpuLimit", "1400m"}},
		"malformed subnet": {func(o map[string]any) { o["publicSubnetCidrs"] = []any{"10.0.0.1/8"} },
			[]string{"scaleout:loadBalancerCidrs", "10.0.0.1/8"}},
	} {
		cluster := up()
		test.change(cluster.known)
		cluster.preview = name != "not up yet" // once the cluster exists, a preview refuses it too
		_, err := parse("scaleout", "prod", fromStack(t, nil), secrets, cluster)
		if err == nil {
			t.Errorf("%s: got no error", name)
			continue
		}
		line := lineOf(err, test.want[0])
		for _, part := range test.want[1:] {
			if !strings.Contains(line, part) {
				t.Errorf("%s: got %v, want a line for %s with %q", name, err, test.want[0], part)
			}
		}
	}
}

// Settings that contradict the cluster, or reuse the name of its IngressClass, are refused; one cause has one line.
func TestStackFileAgainstTheCluster(t *testing.T) {
	for name, test := range map[string]struct {
		set  map[string]string
		want []string
	}{
		"another cluster": {map[string]string{"eksCluster": "other"}, []string{"scaleout:eksCluster", "other", "production"}},
		"its class": {map[string]string{"installAlbIngressClass": "true"},
			[]string{"scaleout:ingressClass", "alb", "an unused name"}},
		"account unquoted": {map[string]string{"aws:allowedAccountIds": "[111122223333]"},
			[]string{"aws:allowedAccountIds", "111122223333", "quoted strings"}},
		"account in no list": {map[string]string{"aws:allowedAccountIds": `"111122223333"`},
			[]string{"aws:allowedAccountIds", "111122223333", "quoted strings"}},
	} {
		_, err := parse("scaleout", "prod", fromStack(t, test.set), secrets, up())
		if err == nil {
			t.Errorf("%s: got no error", name)
			continue
		}
		line := lineOf(err, test.want[0])
		if !strings.Contains(line, test.want[1]) || !strings.Contains(line, test.want[len(test.want)-1]) {
			t.Errorf("%s: got %v, want a line for %s with %v", name, err, test.want[0], test.want[1:])
		}
	}
	empty := &clusterStack{name: "organization/scaleout-cluster/prod", known: map[string]any{}}
	_, err := parse("scaleout", "prod", fromStack(t, nil), secrets, empty)
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("a stack without outputs: got %v, want one line", err)
	}
}

func TestClusterTakesAVariantOfItsArchitecture(t *testing.T) {
	cluster := up()
	cluster.known["imagePlatform"] = "linux/arm64"
	values := fromStack(t, map[string]string{"imagePlatform": "linux/arm64/v8"})
	if _, err := parse("scaleout", "prod", values, secrets, cluster); err != nil {
		t.Error(err)
	}
}

// Other problems are reported before the cluster's stack is read.
func TestUnreadClusterHidesNothing(t *testing.T) {
	values := fromStack(t, map[string]string{"maxReplicas": "0"})
	_, err := parse("scaleout", "prod", values, secrets, unread("organization/scaleout-cluster/prod"))
	if err == nil || lineOf(err, "scaleout:maxReplicas") == "" || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v, want only maxReplicas", err)
	}
}

// Before the cluster exists, a preview shows the known values and does not refuse unknown ones.
func TestPreviewBeforeTheClusterIsUp(t *testing.T) {
	cluster := &clusterStack{name: "organization/scaleout-cluster/prod", preview: true, known: map[string]any{},
		unknown: func(string) pulumi.AnyOutput { return pulumi.Any("later") }}
	c, err := parse("scaleout", "prod", fromStack(t, nil), secrets, cluster)
	if err != nil {
		t.Fatal(err)
	}
	if _, plain := c.Kubernetes.EKS.Name.(pulumi.String); plain {
		t.Errorf("got the name %v, want an unknown one", c.Kubernetes.EKS.Name)
	}
}

func TestArchitectureFollowsFromThePlatform(t *testing.T) {
	for platform, want := range map[string]string{"linux/amd64": "amd64", "linux/arm64/v8": "arm64"} {
		c, err := parsed(with(eks(t), map[string]string{"imagePlatform": platform}))
		if err != nil || c.Kubernetes.Web.Placement.Architecture != want {
			t.Errorf("%s: got %v, %v, want %s", platform, c.Kubernetes.Web.Placement.Architecture, err, want)
		}
		// Docker on a laptop emulates other architectures, and the only node has its own.
		c, err = parsed(with(base(t), map[string]string{"imagePlatform": platform}))
		if err != nil || c.Kubernetes.Web.Placement.Architecture != "" {
			t.Errorf("kind, %s: got %v, %v, want any node", platform, c.Kubernetes.Web.Placement.Architecture, err)
		}
	}
}

// The total requests include every workload that the stack creates.
func TestRequestsCountEveryWorkload(t *testing.T) {
	values := with(base(t), map[string]string{
		"installMetricsServer": "true", "installPrometheus": "true", "installGrafana": "true",
	})
	c, err := parsed(values)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(c.Kubernetes.pods()); got != 7 {
		t.Errorf("got %d workloads, want the app, Redis, Traefik, metrics-server, Prometheus, kube-state-metrics and "+
			"Grafana", got)
	}
	c, err = parsed(managed(t))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := c.Kubernetes.Capacity.Requests.AtMax.String(), "1 CPU, 640Mi"; got != want {
		t.Errorf("with ElastiCache: got %s, want the %s of the app alone", got, want)
	}
}
