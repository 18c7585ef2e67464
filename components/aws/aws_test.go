package aws

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

const (
	testPassword = "correct-horse-battery-staple"
	testAccess   = "on ~hits -@all +incr"
	testZone     = pulumi.String("Z0123456789ABCDEFGHIJ")
)

// testElastiCache returns valid arguments.
func testElastiCache() *ElastiCacheArgs {
	return &ElastiCacheArgs{
		Password: pulumi.String(testPassword), Access: testAccess, VPC: pulumi.String("vpc-0"),
		Subnets: pulumi.ToStringArray([]string{"subnet-1", "subnet-2"}), Clients: pulumi.ToStringArray([]string{"sg-1"}),
		Name: "cache", Engine: "valkey", EngineVersion: "8.0", BackupDays: 7,
		Replicas: &ElastiCacheReplicas{
			NodeType: "cache.t4g.small", Count: 1, MaintenanceWindow: "sun:03:00-sun:04:00",
		},
	}
}

// everything registers one of each component, all named after prefix.
func everything(ctx *pulumi.Context, prefix string, opts ...pulumi.ResourceOption) error {
	repository := &ECRRepositoryArgs{Name: prefix + "app", KeepImages: 50}
	if _, err := NewECRRepository(ctx, prefix+"repository", repository, opts...); err != nil {
		return err
	}
	certificate := &CertificateArgs{Domain: "*.example.com", ZoneID: testZone}
	if _, err := NewCertificate(ctx, prefix+"certificate", certificate, opts...); err != nil {
		return err
	}
	record := &LoadBalancerRecordArgs{
		Host: "a.example.com", ZoneID: testZone, Target: pulumi.String("x.eu-central-1.elb.amazonaws.com"),
	}
	if _, err := NewLoadBalancerRecord(ctx, prefix+"record", record, opts...); err != nil {
		return err
	}
	cache := testElastiCache()
	cache.Name = prefix + "cache"
	_, err := NewElastiCache(ctx, prefix+"cache", cache, opts...)
	return err
}

func elastiCacheAlone(t *testing.T, args *ElastiCacheArgs) *offline.Result {
	t.Helper()
	return componenttest.Record(t, func(ctx *pulumi.Context) error {
		_, err := NewElastiCache(ctx, "redis", args)
		return err
	})
}

func TestTwoInstancesOfEachComponentCoexist(t *testing.T) {
	componenttest.Coexist(t, 14, func(ctx *pulumi.Context, prefix string) error { return everything(ctx, prefix) })
	result := componenttest.Record(t, func(ctx *pulumi.Context) error { return everything(ctx, "") })
	componenttest.BelowComponents(t, result)
}

func TestNoSecretIsVisible(t *testing.T) {
	for _, engine := range []string{"valkey", "redis"} {
		args := testElastiCache()
		args.Engine, args.EngineVersion = engine, "7.1"
		if engine == "valkey" {
			args.EngineVersion = "8.0"
		}
		componenttest.Hides(t, elastiCacheAlone(t, args), 1, testPassword)
	}
}

// Resources and look-ups use the account and region of the given provider.
func TestOneProviderForAll(t *testing.T) {
	program := func(explicit bool) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			var components []pulumi.ResourceOption
			var lookups []pulumi.InvokeOption
			if explicit {
				other, err := aws.NewProvider(ctx, "other", &aws.ProviderArgs{Region: pulumi.String("eu-west-1")})
				if err != nil {
					return err
				}
				components, lookups = append(components, pulumi.Provider(other)), append(lookups, pulumi.Provider(other))
			}
			ctx.Export("cluster", LookupCluster(ctx, pulumi.String("production"), lookups...).ARN)
			ctx.Export("token", ECRToken(ctx, lookups...))
			return everything(ctx, "", components...)
		}
	}
	result, err := offline.Record(program(true), "aws") // without a default provider for aws
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range result.Resources {
		if strings.HasPrefix(r.Type, "aws:") && !strings.HasSuffix(r.Provider, "pulumi:providers:aws::other") {
			t.Errorf("%s %s has provider %q, want the one that was given", r.Type, r.Name, r.Provider)
		}
	}
	if _, secret := result.Exports["token"].(offline.Secret); !secret {
		t.Errorf("the token is %v, want a secret", result.Exports["token"])
	}
	// Without the explicit provider, the same program must fail.
	_, err = offline.Record(program(false), "aws")
	for _, call := range []string{
		"aws:eks/getCluster:getCluster", "aws:ecr/getAuthorizationToken:getAuthorizationToken",
		"aws:lb/getHostedZoneId:getHostedZoneId",
	} {
		if err == nil || !strings.Contains(err.Error(), call) {
			t.Errorf("got %v, want an error that %s has no provider", err, call)
		}
	}
}

// answers is a mock of the engine that returns the same result for each call, and records the aliases of resources.
type answers struct {
	call    resource.PropertyMap
	aliases map[string][]string
}

func (a *answers) Call(pulumi.MockCallArgs) (resource.PropertyMap, error) { return a.call, nil }

func (a *answers) NewResource(args pulumi.MockResourceArgs) (string, resource.PropertyMap, error) {
	for _, alias := range args.RegisterRPC.GetAliases() {
		a.aliases[args.TypeToken] = append(a.aliases[args.TypeToken], alias.GetSpec().GetType())
	}
	return args.Name + "-id", args.Inputs, nil
}

// clusterAnswer returns the result of a cluster look-up.
func clusterAnswer(version string, authorities ...any) resource.PropertyMap {
	return resource.NewPropertyMapFromMap(map[string]any{
		"arn": "arn:x", "endpoint": "https://x", "version": version, "certificateAuthorities": authorities,
		"vpcConfig": map[string]any{
			"vpcId": "vpc-0", "subnetIds": []any{"subnet-1"}, "clusterSecurityGroupId": "sg-1",
		},
	})
}

// An unsupported or incomplete cluster stops the program before anything is created in it.
func TestLookupCluster(t *testing.T) {
	authority := map[string]any{"data": "Q0E="}
	for name, test := range map[string]struct {
		answer resource.PropertyMap
		want   string // part of the error; empty for none
	}{
		"current":             {clusterAnswer("1.35", authority), ""},
		"the oldest":          {clusterAnswer("1.30", authority), ""},
		"too old":             {clusterAnswer("1.29", authority), "has Kubernetes 1.29; 1.30 or later"},
		"no version":          {clusterAnswer("unknown", authority), `invalid Kubernetes version "unknown"`},
		"not yet created":     {clusterAnswer("1.35"), "ACTIVE"},
		"an empty authority":  {clusterAnswer("1.35", map[string]any{"data": ""}), "ACTIVE"},
		"a later major":       {clusterAnswer("2.0", authority), ""},
		"with something more": {clusterAnswer("1.31+", authority), ""},
	} {
		got := ""
		err := pulumi.RunErr(func(ctx *pulumi.Context) error {
			c := LookupCluster(ctx, pulumi.String("production"))
			all := pulumi.All(c.Endpoint, c.CertificateAuthority, c.VPC, c.Subnets, c.SecurityGroup, c.ARN)
			ctx.Export("all", all.ApplyT(func(values []any) string { // makes the program wait for the outputs
				got = fmt.Sprint(values)
				return ""
			}))
			return nil
		}, pulumi.WithMocks("scaleout", "test", &answers{call: test.answer}))
		switch {
		case test.want == "":
			if err != nil || got != "[https://x Q0E= vpc-0 [subnet-1] sg-1 arn:x]" {
				t.Errorf("%s: got %s, %v", name, got, err)
			}
		case err == nil || !strings.Contains(err.Error(), test.want):
			t.Errorf("%s: got %v, want an error with %q", name, err, test.want)
		}
	}
}

// Existing stacks contain the component under its earlier type. Replacing the record would be an outage of the name.
func TestLoadBalancerRecordTakesOverTheOldType(t *testing.T) {
	mocks := &answers{call: resource.PropertyMap{}, aliases: map[string][]string{}}
	err := pulumi.RunErr(func(ctx *pulumi.Context) error {
		_, err := NewLoadBalancerRecord(ctx, "web", &LoadBalancerRecordArgs{
			Host: "a.example.com", ZoneID: testZone, Target: pulumi.String("x.eu-central-1.elb.amazonaws.com"),
		})
		return err
	}, pulumi.WithMocks("scaleout", "test", mocks))
	if err != nil {
		t.Fatal(err)
	}
	if got := mocks.aliases["scaleout:index:LoadBalancerRecord"]; !slices.Equal(got, []string{"scaleout:index:Alias"}) {
		t.Errorf("got the earlier types %q, want scaleout:index:Alias", got)
	}
}

// Load balancers reject a certificate that is not issued yet.
func TestCertificateIsKnownOnceIssued(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error {
		certificate, err := NewCertificate(ctx, "c", &CertificateArgs{Domain: "a.example.com", ZoneID: testZone})
		if err != nil {
			return err
		}
		ctx.Export("arn", certificate.ARN)
		return nil
	})
	validation := componenttest.Find(t, result, "CertificateValidation", "c")
	arn, unknown := result.Exports["arn"].(offline.Unknown)
	if !unknown || !strings.Contains(arn.From, "certificatevalidation") {
		t.Errorf("the ARN comes from %v, want the validation, so that dependents wait for it", result.Exports["arn"])
	}
	if !result.DependsOn(validation.URN, componenttest.Find(t, result, "Record", "c-validation").URN) {
		t.Error("the validation does not depend on its record")
	}
	if componenttest.Find(t, result, "Record", "c-validation").Options["retainOnDelete"] != true {
		t.Error("the record is deleted with the certificate, and other certificates of its name cannot be renewed")
	}
}

// https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateSecurityGroup.html
var descriptionForm = regexp.MustCompile(`^[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}$`)

func TestElastiCacheIsClosed(t *testing.T) {
	serverless := testElastiCache()
	serverless.Replicas, serverless.Serverless = nil, &ElastiCacheServerless{MaxGigabytes: 1, MaxECPUs: 5000}
	for kind, args := range map[string]*ElastiCacheArgs{
		"ReplicationGroup": testElastiCache(), "ServerlessCache": serverless,
	} {
		result := elastiCacheAlone(t, args)
		firewall := componenttest.Find(t, result, "SecurityGroup", "redis")
		if firewall.Type != "aws:ec2/securityGroup:SecurityGroup" {
			t.Errorf("%s: the security group has type %s: it would be replaced, and the cache with it", kind, firewall.Type)
		}
		checkFirewall(t, kind, firewall.Inputs)
		user := componenttest.Find(t, result, "User", "redis").Inputs
		if user["accessString"] != testAccess || user["userName"] != "scaleout" {
			t.Errorf("%s: got user %v with access %q", kind, user["userName"], user["accessString"])
		}
		if offline.Lookup(user, "authenticationMode", "type") != "password" {
			t.Errorf("%s: got %v, want a password", kind, user["authenticationMode"])
		}
		cache := componenttest.Find(t, result, kind, "redis")
		for _, part := range []*offline.Resource{firewall, componenttest.Find(t, result, "UserGroup", "redis")} {
			if !result.DependsOn(cache.URN, part.URN) {
				t.Errorf("%s does not depend on its %s, which would be deleted first while in use", kind, part.Type)
			}
		}
	}
}

func checkFirewall(t *testing.T, kind string, inputs map[string]any) {
	t.Helper()
	if text, _ := inputs["description"].(string); !descriptionForm.MatchString(text) {
		t.Errorf("%s: AWS does not accept the description %q", kind, text)
	}
	rules, _ := inputs["ingress"].([]any)
	if len(rules) != 1 || offline.Lookup(rules, 0, "securityGroups", 0) != "sg-1" ||
		offline.Lookup(rules, 0, "cidrBlocks") != nil || offline.Lookup(rules, 0, "protocol") != "tcp" ||
		offline.Lookup(rules, 0, "fromPort") != int64(6379) || offline.Lookup(rules, 0, "toPort") != int64(6379) {
		t.Errorf("%s: got ingress rules %v, want one port for the cluster's nodes", kind, rules)
	}
	if egress, set := inputs["egress"]; set {
		t.Errorf("%s: got egress rules %v, want none", kind, egress)
	}
}

func TestReplicationGroupIsEncryptedAndInTwoZones(t *testing.T) {
	cache := componenttest.Find(t, elastiCacheAlone(t, testElastiCache()), "ReplicationGroup", "redis").Inputs
	for field, want := range map[string]any{
		"transitEncryptionEnabled": true, "transitEncryptionMode": "required", "atRestEncryptionEnabled": true,
		"multiAzEnabled": true, "automaticFailoverEnabled": true, "numCacheClusters": int64(2),
		"autoMinorVersionUpgrade": false,
	} {
		if cache[field] != want {
			t.Errorf("%s is %v, want %v", field, cache[field], want)
		}
	}
}

// Redis OSS requires a user called default. Unless it is disabled, the cache is open to every client that can
// connect.
func TestDefaultUserOfRedisIsOff(t *testing.T) {
	args := testElastiCache()
	args.Engine, args.EngineVersion = "redis", "7.1"
	result := elastiCacheAlone(t, args)
	user := componenttest.Find(t, result, "User", "redis-default").Inputs
	access, _ := user["accessString"].(string)
	if user["userName"] != "default" || !strings.HasPrefix(access, "off ") || !strings.HasSuffix(access, " -@all") {
		t.Errorf("got user %v", user)
	}
	members, _ := componenttest.Find(t, result, "UserGroup", "redis").Inputs["userIds"].([]any)
	if len(members) != 2 {
		t.Errorf("got members %v, want both users", members)
	}
}

// A password that is known only later is checked once it is known, and no error contains it.
func TestPasswordIsChecked(t *testing.T) {
	for password, want := range map[string]bool{
		testPassword: true, strings.Repeat("x", 16): true, strings.Repeat("x", 128): true,
		"too-short": false, strings.Repeat("x", 129): false, "with-an-@-inside-of-it": false, "with,a,comma,in,it": false,
	} {
		for _, input := range []pulumi.StringInput{pulumi.String(password), pulumi.String(password).ToStringOutput()} {
			_, err := offline.Record(func(ctx *pulumi.Context) error {
				args := testElastiCache()
				args.Password = input
				_, err := NewElastiCache(ctx, "redis", args)
				return err
			})
			if (err == nil) != want || err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("%q as %T: got %v, want accepted: %t", password, input, err, want)
			}
		}
	}
}

func TestRecordWantsALoadBalancer(t *testing.T) {
	for host, want := range map[string]bool{
		"k8s-x-1.eu-central-1.elb.amazonaws.com": true, "k8s-x-1.cn-north-1.elb.amazonaws.com.cn": true,
		"localhost": false, "10.0.0.1": false, "elb.amazonaws.com.example.org": false,
	} {
		if _, err := checkLoadBalancer(host); (err == nil) != want {
			t.Errorf("%s: got %v, want accepted: %t", host, err, want)
		}
	}
}

// The newest images are kept, tagged or not: an image that lost its tag to a rebuild may still run.
func TestLifecycleKeepsTheNewest(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error {
		_, err := NewECRRepository(ctx, "r", &ECRRepositoryArgs{Name: "app", KeepImages: 7})
		return err
	})
	type rule struct {
		Selection struct {
			TagStatus, CountType string
			CountNumber          int
		}
		Action struct{ Type string }
	}
	var policy struct{ Rules []rule }
	text, _ := componenttest.Find(t, result, "LifecyclePolicy", "r-lifecycle").Inputs["policy"].(string)
	if err := json.Unmarshal([]byte(text), &policy); err != nil {
		t.Fatal(err)
	}
	want := rule{}
	want.Selection.TagStatus, want.Selection.CountType, want.Selection.CountNumber = "any", "imageCountMoreThan", 7
	want.Action.Type = "expire"
	if !slices.Equal(policy.Rules, []rule{want}) {
		t.Errorf("got %+v, want %+v alone", policy.Rules, want)
	}
	repository := componenttest.Find(t, result, "Repository", "r").Inputs
	// An interrupted update and the rebuild of an old commit push an existing tag again.
	if repository["imageTagMutability"] != "MUTABLE" || repository["forceDelete"] != false ||
		offline.Lookup(repository, "imageScanningConfiguration", "scanOnPush") != true {
		t.Errorf("got %v", repository)
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

// Versions that the provider accepts but AWS rejects, and versions without users.
func TestEngineVersions(t *testing.T) {
	for engine, versions := range map[string]map[string]bool{
		"valkey": {"7.2": true, "8.0": true, "8.1": true, "9.0": true, "7.1": false, "8": false, "10.1": false},
		"redis":  {"7.0": true, "7.1": true, "6.2": false, "8.0": false, "7.2": false},
	} {
		for version, want := range versions {
			args := testElastiCache()
			args.Engine, args.EngineVersion = engine, version
			if problems := args.Validate(); (len(problems) == 0) != want {
				t.Errorf("%s %s: got %v, want accepted: %t", engine, version, problems, want)
			}
		}
	}
}

// One error names every field that is wrong.
func TestConstructorsRefuse(t *testing.T) {
	changed := func(change func(*ElastiCacheArgs)) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			args := testElastiCache()
			change(args)
			_, err := NewElastiCache(ctx, "redis", args)
			return err
		}
	}
	for name, test := range map[string]struct {
		program pulumi.RunFunc
		fields  []string
	}{
		"ECR repository": {func(ctx *pulumi.Context) error {
			_, err := NewECRRepository(ctx, "r", &ECRRepositoryArgs{Name: "No Spaces", KMSKeyARN: "alias/mine"})
			return err
		}, []string{"name", "keepImages", "kmsKeyArn"}},
		"certificate": {func(ctx *pulumi.Context) error {
			_, err := NewCertificate(ctx, "c", &CertificateArgs{Domain: "localhost", ZoneID: pulumi.String("example.com")})
			return err
		}, []string{"domain", "zoneId"}},
		"certificate of a long name": {func(ctx *pulumi.Context) error {
			domain := strings.Repeat("a", 30) + "." + strings.Repeat("b", 30) + ".com"
			_, err := NewCertificate(ctx, "c", &CertificateArgs{Domain: domain, ZoneID: testZone})
			return err
		}, []string{"domain"}},
		"record": {func(ctx *pulumi.Context) error {
			_, err := NewLoadBalancerRecord(ctx, "a", &LoadBalancerRecordArgs{Host: "a_b"})
			return err
		}, []string{"host", "zoneId", "target"}},
		"ElastiCache": {func(ctx *pulumi.Context) error {
			_, err := NewElastiCache(ctx, "redis", &ElastiCacheArgs{
				Name: "My-Cache", Username: "default", Engine: "redis", EngineVersion: "8", BackupDays: 36, KMSKeyARN: "mine",
				Replicas: &ElastiCacheReplicas{NodeType: "t4g.small", Count: 6, MaintenanceWindow: "Sunday", FinalSnapshot: "-"},
			})
			return err
		}, []string{"password", "access", "vpc", "subnets", "clients", "name", "username", "engineVersion", "backupDays",
			"kmsKeyArn", "replicas.count", "replicas.nodeType", "replicas.maintenanceWindow", "replicas.finalSnapshot"}},
		"ElastiCache of both kinds": {changed(func(a *ElastiCacheArgs) {
			a.Engine, a.Serverless = "memcached", &ElastiCacheServerless{MaxECPUs: 999}
		}), []string{"engine", "replicas", "serverless.maxGigabytes", "serverless.maxEcpus"}},
		"ElastiCache of no kind": {changed(func(a *ElastiCacheArgs) { a.Replicas = nil }), []string{"replicas"}},
		"user with a space":      {changed(func(a *ElastiCacheArgs) { a.Username = "a b" }), []string{"username"}},
	} {
		t.Run(name, func(t *testing.T) { componenttest.Refuses(t, test.program, test.fields...) })
	}
}
