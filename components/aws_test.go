package components

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/internal/offline"
)

var testElastiCache = ElastiCacheSettings{
	Name: "cache", Engine: "valkey", EngineVersion: "8.0", BackupDays: 7,
	Replicas: &ElastiCacheReplicas{NodeType: "cache.t4g.small", Count: 1, MaintenanceWindow: "sun:03:00-sun:04:00"},
}

// everythingOnAWS registers one of each component for AWS, all named after prefix.
func everythingOnAWS(ctx *pulumi.Context, prefix string) error {
	if _, err := NewECRRepository(ctx, prefix+"repository", &ECRRepositoryArgs{Name: prefix + "app", KeepImages: 50}); err != nil {
		return err
	}
	zone := pulumi.String("Z0123456789ABCDEFGHIJ")
	if _, err := NewCertificate(ctx, prefix+"certificate", &CertificateArgs{Domain: "*.example.com", ZoneID: zone}); err != nil {
		return err
	}
	if _, err := NewAlias(ctx, prefix+"alias", &AliasArgs{
		Host: "a.example.com", ZoneID: zone, Target: pulumi.String("x.eu-central-1.elb.amazonaws.com"),
	}); err != nil {
		return err
	}
	if _, err := NewALBClass(ctx, prefix+"alb", &ALBClassArgs{Name: prefix + "alb", Controller: EKSAutoMode}); err != nil {
		return err
	}
	settings := testElastiCache
	settings.Name = prefix + "cache"
	_, err := NewElastiCache(ctx, prefix+"cache", elastiCacheArgs(settings))
	return err
}

func elastiCacheArgs(settings ElastiCacheSettings) *ElastiCacheArgs {
	return &ElastiCacheArgs{
		Namespace: pulumi.String("ns"), Password: pulumi.String(testPassword), Access: AppRedisAccess, VPC: pulumi.String("vpc-0"),
		Subnets: pulumi.ToStringArray([]string{"subnet-1", "subnet-2"}), Clients: pulumi.ToStringArray([]string{"sg-1"}),
		ElastiCacheSettings: settings,
	}
}

func elastiCacheAlone(ctx *pulumi.Context, settings ElastiCacheSettings) error {
	_, err := NewElastiCache(ctx, "redis", elastiCacheArgs(settings))
	return err
}

// The version is that of the SDK, or the security group would have another provider than all else in AWS.
func TestSecurityGroupHasTheProviderOfTheOthers(t *testing.T) {
	module, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/pulumi/pulumi-aws/sdk/v6 v" + awsVersion + "\n"; !strings.Contains(string(module), want) {
		t.Errorf("awsVersion is %s, which go.mod does not require", awsVersion)
	}
}

// The two controllers differ in these, and each wrong combination fails without a word.
func TestALBControllerDecidesWhatDiffers(t *testing.T) {
	tests := map[ALBController]struct {
		gate                  ReadinessGate
		paramsAPI, controller string
		annotation            any
	}{
		EKSAutoMode:               {AutoModeGate, "eks.amazonaws.com/v1", "eks.amazonaws.com/alb", nil},
		AWSLoadBalancerController: {LoadBalancerControllerGate, "elbv2.k8s.aws/v1beta1", "ingress.k8s.aws/alb", "public"},
	}
	for controller, want := range tests {
		alb := *testALB.ALB
		alb.Controller, alb.Group = controller, "public"
		web := testWeb
		web.Route.Class, web.Route.Host, web.Route.ALB = "alb", "a.example.com", &alb
		result := record(t, func(ctx *pulumi.Context) error {
			if _, err := NewALBClass(ctx, "alb", &ALBClassArgs{Name: "alb", Controller: controller, LoadBalancers: &alb}); err != nil {
				return err
			}
			return webAlone(ctx, web)
		})
		if got := controller.ReadinessGate(); got != want.gate {
			t.Errorf("%s: got gate %q, want %q", controller, got, want.gate)
		}
		params := find(t, result, "IngressClassParams", "alb-params").Inputs
		if got := offline.Lookup(params, "apiVersion"); got != want.paramsAPI || offline.Lookup(params, "spec", "group", "name") != "public" {
			t.Errorf("%s: got parameters %v", controller, params)
		}
		class := offline.Lookup(find(t, result, "IngressClass", "alb").Inputs, "spec")
		group, _, _ := strings.Cut(want.paramsAPI, "/")
		if offline.Lookup(class, "controller") != want.controller || offline.Lookup(class, "parameters", "apiGroup") != group {
			t.Errorf("%s: got class %v", controller, class)
		}
		annotations := offline.Lookup(find(t, result, "Ingress", "web").Inputs, "metadata", "annotations")
		if got := offline.Lookup(annotations, "alb.ingress.kubernetes.io/group.name"); got != want.annotation {
			t.Errorf("%s: got annotation group.name %v, want %v", controller, got, want.annotation)
		}
	}
}

// Whichever way the load balancer reads its attributes, it gets the same.
func TestALBAttributesAgree(t *testing.T) {
	alb := *testALB.ALB
	alb.AccessLogsBucket, alb.AccessLogsPrefix = "logs", "web"
	result := record(t, func(ctx *pulumi.Context) error {
		_, err := NewALBClass(ctx, "alb", &ALBClassArgs{Name: "alb", Controller: EKSAutoMode, LoadBalancers: &alb})
		return err
	})
	list, _ := offline.Lookup(find(t, result, "IngressClassParams", "alb-params").Inputs, "spec", "loadBalancerAttributes").([]any)
	var inClass []string
	for _, each := range list {
		inClass = append(inClass, offline.Lookup(each, "key").(string)+"="+offline.Lookup(each, "value").(string))
	}
	annotation := string(alb.annotations("/", Drain{LoadBalancerDelay: 1})["alb.ingress.kubernetes.io/load-balancer-attributes"].(pulumi.String))
	if got := strings.Join(inClass, ","); got != annotation || !strings.Contains(got, "access_logs.s3.prefix=web") {
		t.Errorf("got %q in the class and %q at the Ingress", got, annotation)
	}
}

// A certificate that is not issued yet would be refused by the load balancer.
func TestCertificateIsKnownOnceIssued(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error {
		certificate, err := NewCertificate(ctx, "c", &CertificateArgs{Domain: "a.example.com", ZoneID: pulumi.String("Z0123456789")})
		if err != nil {
			return err
		}
		web := testWeb
		alb := *testALB.ALB
		alb.CertificateARN = certificate.ARN
		web.Route = Route{Class: "alb", Host: "a.example.com", ALB: &alb}
		return webAlone(ctx, web)
	})
	validation := find(t, result, "CertificateValidation", "c")
	if !dependsOn(result, find(t, result, "Ingress", "web"), validation.URN) {
		t.Error("the Ingress does not wait until the certificate is issued")
	}
	if !dependsOn(result, validation, find(t, result, "Record", "c-validation").URN) {
		t.Error("the validation does not wait for its record")
	}
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
var descriptionForm = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

func TestElastiCacheIsClosed(t *testing.T) {
	serverless := testElastiCache
	serverless.Replicas, serverless.Serverless = nil, &ElastiCacheServerless{MaxGigabytes: 1, MaxECPUs: 5000}
	for kind, settings := range map[string]ElastiCacheSettings{"ReplicationGroup": testElastiCache, "ServerlessCache": serverless} {
		result := record(t, func(ctx *pulumi.Context) error { return elastiCacheAlone(ctx, settings) })
		firewall := find(t, result, "SecurityGroup", "redis")
		if text, _ := firewall.Inputs["description"].(string); !descriptionForm.MatchString(text) {
			t.Errorf("%s: AWS takes no description such as %q", kind, text)
		}
		rules, _ := offline.Lookup(firewall.Inputs, "ingress").([]any)
		if len(rules) != 1 || offline.Lookup(rules, 0, "securityGroups", 0) != "sg-1" || offline.Lookup(rules, 0, "cidrBlocks") != nil ||
			offline.Lookup(rules, 0, "fromPort") != int64(6379) || offline.Lookup(rules, 0, "toPort") != int64(6379) {
			t.Errorf("%s: the firewall lets in %v, want the cluster's nodes to one port", kind, rules)
		}
		user := find(t, result, "User", "redis").Inputs
		if access, _ := user["accessString"].(string); !strings.HasPrefix(access, "on ~hits -@all ") || strings.Contains(access, "+@") {
			t.Errorf("%s: the user may %q", kind, access)
		}
		if offline.Lookup(user, "authenticationMode", "type") != "password" {
			t.Errorf("%s: got %v, want a password", kind, user["authenticationMode"])
		}
		cache := find(t, result, kind, "redis")
		for _, part := range []*offline.Resource{firewall, find(t, result, "UserGroup", "redis")} {
			if !dependsOn(result, cache, part.URN) {
				t.Errorf("%s does not depend on its %s, which would go first and be in use", kind, part.Type)
			}
		}
		if kind == "ReplicationGroup" {
			for _, field := range []string{"transitEncryptionEnabled", "atRestEncryptionEnabled", "multiAzEnabled", "automaticFailoverEnabled"} {
				if cache.Inputs[field] != true {
					t.Errorf("%s is %v", field, cache.Inputs[field])
				}
			}
			if cache.Inputs["transitEncryptionMode"] != "required" || cache.Inputs["numCacheClusters"] != int64(2) {
				t.Errorf("got %v", cache.Inputs)
			}
		}
	}
}

// Redis OSS demands a user called default. Without one that is off, it would be open to all who reach it.
func TestDefaultUserOfRedisIsOff(t *testing.T) {
	settings := testElastiCache
	settings.Engine, settings.EngineVersion = "redis", "7.1"
	result := record(t, func(ctx *pulumi.Context) error { return elastiCacheAlone(ctx, settings) })
	user := find(t, result, "User", "redis-default").Inputs
	if access, _ := user["accessString"].(string); user["userName"] != "default" || !strings.HasPrefix(access, "off ") || !strings.HasSuffix(access, " -@all") {
		t.Errorf("got user %v", user)
	}
	members, _ := find(t, result, "UserGroup", "redis").Inputs["userIds"].([]any)
	if len(members) != 2 {
		t.Errorf("got members %v, want both users", members)
	}
}

func TestAliasWantsALoadBalancer(t *testing.T) {
	for host, want := range map[string]bool{
		"k8s-x-1.eu-central-1.elb.amazonaws.com": true, "k8s-x-1.cn-north-1.elb.amazonaws.com.cn": true,
		"localhost": false, "10.0.0.1": false, "elb.amazonaws.com.example.org": false,
	} {
		if _, err := checkLoadBalancer(host); (err == nil) != want {
			t.Errorf("%s: got %v, want accepted: %t", host, err, want)
		}
	}
}

func TestLifecycleKeepsTheNewest(t *testing.T) {
	result := record(t, func(ctx *pulumi.Context) error {
		_, err := NewECRRepository(ctx, "r", &ECRRepositoryArgs{Name: "app", KeepImages: 7})
		return err
	})
	var policy struct {
		Rules []struct {
			Selection struct {
				TagStatus, CountType string
				CountNumber          int
			}
		}
	}
	text, _ := find(t, result, "LifecyclePolicy", "r-lifecycle").Inputs["policy"].(string)
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	if len(policy.Rules) != 2 || policy.Rules[0].Selection.TagStatus != "untagged" ||
		policy.Rules[1].Selection.CountType != "imageCountMoreThan" || policy.Rules[1].Selection.CountNumber != 7 {
		t.Errorf("got %s", text)
	}
	repository := find(t, result, "Repository", "r").Inputs
	if repository["imageTagMutability"] != "IMMUTABLE" || repository["forceDelete"] != false ||
		offline.Lookup(repository, "imageScanningConfiguration", "scanOnPush") != true {
		t.Errorf("got %v", repository)
	}
}

func TestCapacity(t *testing.T) {
	web := testWeb
	web.Scaling.MinReplicas, web.Scaling.MaxReplicas = 3, 10
	redis := testRedis
	redis.Resources.MemoryLimit = "128Mi"
	demand := DemandOf([]Pods{web.Pods(), redis.Pods()})
	// 100m and 64Mi each, Redis 100m and 128Mi; a rollout at 10 pods has three more (a quarter, rounded up).
	for _, test := range []struct{ got, want string }{
		{demand.AtMin.String(), "400m CPU, 320Mi"}, {demand.AtMax.String(), "1100m CPU, 768Mi"}, {demand.AtMaxInRollout.String(), "1400m CPU, 960Mi"},
	} {
		if test.got != test.want {
			t.Errorf("got %s, want %s", test.got, test.want)
		}
	}
	for limits, want := range map[Capacity][]string{
		{"1200m", "832Mi"}: nil, {"1199m", "832Mi"}: {"nodeCpuLimit"}, {"2", "831Mi"}: {"nodeMemoryLimit"},
		{"1", "1Mi"}: {"nodeCpuLimit", "nodeMemoryLimit"},
	} {
		var got []string
		for _, problem := range limits.Fits(demand) {
			got = append(got, problem.Field)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: got %v, want %v", limits, got, want)
		}
	}
}

func TestMaintenanceWindow(t *testing.T) {
	for text, want := range map[string]bool{
		"sun:03:00-sun:04:00": true, "sun:23:30-mon:00:30": true, "mon:00:00-mon:01:00": true,
		"sun:03:00-sun:03:59": false, "sun:03:00-sun:03:00": false, "sun:23:30-mon:00:00": false,
		"Sun:03:00-Sun:04:00": false, "sun:24:00-mon:01:00": false, "03:00-04:00": false, "": false,
	} {
		if got := isWindow(text); got != want {
			t.Errorf("%q: got %t", text, got)
		}
	}
}

// Versions that the provider takes and AWS refuses, or that bring a cache without users.
func TestEngineVersions(t *testing.T) {
	for engine, versions := range map[string]map[string]bool{
		"valkey": {"7.2": true, "8.0": true, "8.1": true, "9.0": true, "7.1": false, "8": false, "10.1": false},
		"redis":  {"7.0": true, "7.1": true, "6.2": false, "8.0": false, "7.2": false},
	} {
		for version, want := range versions {
			settings := testElastiCache
			settings.Engine, settings.EngineVersion = engine, version
			if problems := settings.Validate(); (len(problems) == 0) != want {
				t.Errorf("%s %s: got %v, want accepted: %t", engine, version, problems, want)
			}
		}
	}
}
