package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/internal/config"
	"example.com/scaleout/offline"
	"example.com/scaleout/offline/goldentest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// results holds the results of the variants. Each runs once, since runs are deterministic.
var results = map[string]*offline.Result{}

// variants lists testdata/Pulumi.example.yaml, and the same with the more expensive and with the cheaper options.
var variants = map[string][]string{
	"example": nil,
	"more": {
		"interfaceEndpoints=[ecr.api, ecr.dkr]", "flowLogDays=30", "domain=example.com",
		"hostedZoneId=Z0123456789ABCDEFGHIJ",
		"viewerArns=['arn:aws:iam::111122223333:role/support']", "supportType=EXTENDED",
		"aws:defaultTags={tags: {team: platform}}",
	},
	"less": {
		"singleNat=true", "nodeArchitecture=arm64", "nodeCapacity=spot", "apiCidrs=[]", "deletionProtection=false",
		"logTypes=[]",
	},
}

func TestMain(m *testing.M) {
	flag.Parse()
	for name, settings := range variants {
		result, err := offline.Run(program, "testdata", "example", settings...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "running %s: %v\n", name, err)
			os.Exit(1)
		}
		results[name] = result
	}
	os.Exit(m.Run())
}

// If the SDK refuses a resource of the stack, the program ends with that error.
func TestErrorsOfResources(t *testing.T) {
	for _, r := range results["more"].Resources {
		if r.Parent != "" {
			continue
		}
		_, err := offline.Run(componenttest.Refusing(program, r), "testdata", "example", variants["more"]...)
		if !componenttest.IsRefused(err) {
			t.Errorf("%s %s: got %v, want its error", r.Type, r.Name, err)
		}
	}
}

// TestGolden compares the differences of the variants from the example.
func TestGolden(t *testing.T) {
	for name, result := range results {
		if name == "example" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			files := goldentest.Differing(golden(t, result), golden(t, results["example"]))
			goldentest.Check(t, filepath.Join("testdata", "golden", name), files, *update)
		})
	}
}

// TestRendered compares the golden files of stack prod, which teams edit: `make golden-check` runs it.
func TestRendered(t *testing.T) {
	result, err := offline.Run(program, ".", "prod")
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, filepath.Join("testdata", "golden", "prod"), golden(t, result), *update)
}

func golden(t *testing.T, result *offline.Result) map[string]string {
	t.Helper()
	files, err := result.Golden()
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// all returns the resources of a type, e.g. aws:iam/role:Role.
func all(result *offline.Result, kind string) []offline.Resource {
	var found []offline.Resource
	for _, r := range result.Resources {
		if r.Type == kind {
			found = append(found, r)
		}
	}
	return found
}

func only(t *testing.T, result *offline.Result, kind string) offline.Resource {
	t.Helper()
	found := all(result, kind)
	if len(found) != 1 {
		t.Fatalf("got %d resources of type %s, want one", len(found), kind)
	}
	return found[0]
}

// Auto Mode consists of three settings that must be set together, with values known in a preview (pulumi-eks#1597).
func TestAutoModeIsComplete(t *testing.T) {
	for name, result := range results {
		cluster := only(t, result, "aws:eks/cluster:Cluster").Inputs
		for _, path := range [][]any{
			{"computeConfig", "enabled"}, {"storageConfig", "blockStorage", "enabled"},
			{"kubernetesNetworkConfig", "elasticLoadBalancing", "enabled"}, {"vpcConfig", "endpointPrivateAccess"},
		} {
			if got := offline.Lookup(cluster, path...); got != true {
				t.Errorf("%s: %v is %v, want true", name, path, got)
			}
		}
		for _, path := range [][]any{
			{"bootstrapSelfManagedAddons"}, {"accessConfig", "bootstrapClusterCreatorAdminPermissions"},
		} {
			if got := offline.Lookup(cluster, path...); got != false {
				t.Errorf("%s: %v is %v, want false", name, path, got)
			}
		}
		if mode := offline.Lookup(cluster, "accessConfig", "authenticationMode"); mode != "API" {
			t.Errorf("%s: authentication mode is %v", name, mode)
		}
		if pools := offline.Lookup(cluster, "computeConfig", "nodePools"); fmt.Sprint(pools) != "[system]" {
			t.Errorf("%s: node pools are %v: general-purpose has no limit", name, pools)
		}
		if resources := offline.Lookup(cluster, "encryptionConfig", "resources"); fmt.Sprint(resources) != "[secrets]" {
			t.Errorf("%s: got encryption of %v", name, resources)
		}
	}
}

func TestPublicAPIAccessIsRestricted(t *testing.T) {
	vpc := func(stack string) any {
		return offline.Lookup(only(t, results[stack], "aws:eks/cluster:Cluster").Inputs, "vpcConfig")
	}
	if got := vpc("example"); offline.Lookup(got, "endpointPublicAccess") != true ||
		fmt.Sprint(offline.Lookup(got, "publicAccessCidrs")) != "[203.0.113.0/24]" {
		t.Errorf("got %v, want the office only", got)
	}
	if got := vpc("less"); offline.Lookup(got, "endpointPublicAccess") != false ||
		offline.Lookup(got, "publicAccessCidrs") != nil {
		t.Errorf("got %v, want no public endpoint", got)
	}
}

// Nodes and pods get no public address, and each zone has subnets with the tags for load balancers.
func TestSubnets(t *testing.T) {
	for name, result := range results {
		zones := map[string]map[string]bool{}
		for _, subnet := range all(result, "aws:ec2/subnet:Subnet") {
			kind := "private"
			if offline.Lookup(subnet.Inputs, "tags", "kubernetes.io/role/elb") == "1" {
				kind = "public"
			} else if offline.Lookup(subnet.Inputs, "tags", "kubernetes.io/role/internal-elb") != "1" {
				t.Errorf("%s: %s has no role", name, subnet.Name)
			}
			if subnet.Inputs["mapPublicIpOnLaunch"] != false {
				t.Errorf("%s: instances in %s get a public address", name, subnet.Name)
			}
			if offline.Lookup(subnet.Inputs, "tags", "kubernetes.io/cluster/production") != "shared" {
				t.Errorf("%s: %s has no tag for its cluster", name, subnet.Name)
			}
			zone := subnet.Inputs["availabilityZone"].(string)
			if zones[zone] == nil {
				zones[zone] = map[string]bool{}
			}
			zones[zone][kind] = true
		}
		for zone, kinds := range zones {
			if len(zones) != 3 || !kinds["public"] || !kinds["private"] {
				t.Errorf("%s: got %d zones, and %s has %v", name, len(zones), zone, kinds)
			}
		}
	}
}

// Each zone has its own NAT gateway, so that none depends on another, unless singleNat is set.
func TestNATGateways(t *testing.T) {
	for stack, want := range map[string]int{"example": 3, "more": 3, "less": 1} {
		nats := all(results[stack], "aws:ec2/natGateway:NatGateway")
		used := map[string]bool{}
		for _, route := range all(results[stack], "aws:ec2/route:Route") {
			if nat, ok := route.Inputs["natGatewayId"].(offline.Unknown); ok {
				used[nat.From] = true
			}
		}
		if len(nats) != want || len(used) != want {
			t.Errorf("%s: got %d NAT gateways, %d of them used by routes, want %d", stack, len(nats), len(used), want)
		}
	}
}

// document is an IAM policy.
type document struct {
	Statement []struct {
		Effect           string
		Action, Resource []string
		Principal        map[string]string
		Condition        map[string]map[string]string
	}
}

// policies returns all policy documents of a result by resource and property.
func policies(t *testing.T, result *offline.Result) map[string]document {
	t.Helper()
	found := map[string]document{}
	for _, r := range result.Resources {
		for _, property := range []string{"policy", "assumeRolePolicy"} {
			value, has := r.Inputs[property]
			if !has {
				continue
			}
			text, known := value.(string)
			var d document
			if err := json.Unmarshal([]byte(text), &d); !known || err != nil || len(d.Statement) == 0 {
				t.Errorf("%s of %s is not known before it is created: %v", property, r.Name, value)
			}
			found[r.Type+" "+r.Name+" "+property] = d
		}
	}
	return found
}

// problemsOf returns the excessive permissions in a policy.
func problemsOf(name string, d document) []string {
	var problems []string
	report := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(name+": "+format, args...)) }
	isKey := strings.HasPrefix(name, "aws:kms/key:Key ")
	for _, s := range d.Statement {
		account := isKey && s.Principal["AWS"] == "arn:aws:iam::111122223333:root" // the default policy of a key
		for _, action := range s.Action {
			if strings.Contains(action, "*") && !account {
				report("allows %s", action)
			}
		}
		for _, resource := range s.Resource {
			if resource == "*" && !isKey { // in the policy of a key, this key
				report("applies to every resource")
			}
		}
		for _, principal := range s.Principal {
			if principal == "*" {
				report("applies to everyone")
			}
			// EKS and EC2 receive their roles by iam:PassRole, which is limited to the account.
			passed := principal == "ec2.amazonaws.com" || principal == "eks.amazonaws.com"
			if strings.HasSuffix(principal, ".amazonaws.com") && !passed &&
				s.Condition["StringEquals"]["aws:SourceAccount"] != "111122223333" {
				report("%s may be used by other accounts", principal)
			}
		}
		if s.Effect != "Allow" || len(s.Action) == 0 {
			report("is not a permission")
		}
	}
	return problems
}

func TestPoliciesGiveNoMoreThanNeeded(t *testing.T) {
	for name, result := range results {
		found := policies(t, result)
		if want := map[string]int{"example": 3, "more": 5, "less": 3}[name]; len(found) != want {
			t.Errorf("%s: got %d policies, want %d", name, len(found), want)
		}
		for where, d := range found {
			for _, problem := range problemsOf(where, d) {
				t.Errorf("%s: %s", name, problem)
			}
		}
	}
}

// The policy check detects excessive permissions.
func TestPolicyTestFindsWhatIsTooMuch(t *testing.T) {
	for policy, want := range map[string]string{
		`{"Action":["*"],"Resource":["*"]}`:                                                          "allows *",
		`{"Action":["s3:Get*"],"Resource":["arn:aws:s3:::x"]}`:                                       "allows s3:Get*",
		`{"Action":["s3:GetObject"],"Resource":["*"]}`:                                               "every resource",
		`{"Action":["sts:AssumeRole"],"Principal":{"AWS":"*"}}`:                                      "everyone",
		`{"Action":["sts:AssumeRole"],"Principal":{"Service":"vpc-flow-logs.amazonaws.com"}}`:        "other accounts",
		`{"Action":["kms:*"],"Resource":["*"],"Principal":{"AWS":"arn:aws:iam::999999999999:root"}}`: "allows kms:*",
	} {
		policy = `{"Statement":[{"Effect":"Allow",` + policy[1:] + `]}`
		var d document
		if err := json.Unmarshal([]byte(policy), &d); err != nil {
			t.Fatal(err)
		}
		problems := append(problemsOf("aws:kms/key:Key x policy", d), problemsOf("x", d)...)
		if got := strings.Join(problems, "\n"); !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want it to find %q", policy, got, want)
		}
	}
}

// The roles have exactly the AWS managed policies that the documentation of EKS Auto Mode lists.
func TestManagedPolicies(t *testing.T) {
	want := map[string][]string{
		"roles-cluster": {
			"AmazonEKSBlockStoragePolicy", "AmazonEKSClusterPolicy", "AmazonEKSComputePolicy",
			"AmazonEKSLoadBalancingPolicy", "AmazonEKSNetworkingPolicy",
		},
		"roles-node": {"AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodeMinimalPolicy"},
	}
	got := map[string][]string{}
	for _, r := range all(results["example"], "aws:iam/rolePolicyAttachment:RolePolicyAttachment") {
		policy := strings.TrimPrefix(r.Inputs["policyArn"].(string), "arn:aws:iam::aws:policy/")
		role := strings.TrimSuffix(r.Name, "-"+policy)
		got[role] = append(got[role], policy)
	}
	for role, policies := range want {
		if slices.Sort(got[role]); !slices.Equal(got[role], policies) {
			t.Errorf("%s: got %v, want %v", role, got[role], policies)
		}
	}
	if len(got) != len(want) {
		t.Errorf("got roles %v", got)
	}
}

func TestWhoMayEnter(t *testing.T) {
	got := map[string]string{}
	for _, r := range all(results["more"], "aws:eks/accessPolicyAssociation:AccessPolicyAssociation") {
		got[r.Inputs["principalArn"].(string)] = r.Inputs["policyArn"].(string)
		if offline.Lookup(r.Inputs, "accessScope", "type") != "cluster" {
			t.Errorf("%s: got scope %v", r.Name, r.Inputs["accessScope"])
		}
	}
	for principal, policy := range map[string]string{
		"platform": "AmazonEKSClusterAdminPolicy", "ci": "AmazonEKSClusterAdminPolicy", "support": "AmazonEKSViewPolicy",
	} {
		arn := "arn:aws:iam::111122223333:role/" + principal
		if want := "arn:aws:eks::aws:cluster-access-policy/" + policy; got[arn] != want {
			t.Errorf("%s: got %q, want %q", principal, got[arn], want)
		}
	}
	if len(got) != 3 {
		t.Errorf("got %v", got)
	}
}

// The NodePool has limits, an architecture and a capacity type, and network policies are enforced.
func TestNodePool(t *testing.T) {
	pool := offline.Lookup(only(t, results["example"], "kubernetes:karpenter.sh/v1:NodePool").Inputs, "spec")
	if offline.Lookup(pool, "limits", "cpu") != "32" || offline.Lookup(pool, "limits", "memory") != "128Gi" {
		t.Errorf("got limits %v", offline.Lookup(pool, "limits"))
	}
	for stack, want := range map[string][2]string{"example": {"amd64", "on-demand"}, "less": {"arm64", "spot"}} {
		inputs := only(t, results[stack], "kubernetes:karpenter.sh/v1:NodePool").Inputs
		list, _ := offline.Lookup(inputs, "spec", "template", "spec", "requirements").([]any)
		got := map[any]any{}
		for _, requirement := range list {
			got[offline.Lookup(requirement, "key")] = offline.Lookup(requirement, "values", 0)
		}
		if got["kubernetes.io/arch"] != want[0] || got["karpenter.sh/capacity-type"] != want[1] {
			t.Errorf("%s: got %v, want %v", stack, got, want)
		}
	}
	class := only(t, results["example"], "kubernetes:eks.amazonaws.com/v1:NodeClass")
	reference := offline.Lookup(pool, "template", "spec", "nodeClassRef", "name")
	if reference != offline.Lookup(class.Inputs, "metadata", "name") {
		t.Errorf("the pool refers to NodeClass %v, which does not exist", reference)
	}
	if got := offline.Lookup(class.Inputs, "spec", "networkPolicy"); got != "DefaultAllow" {
		t.Errorf("networkPolicy is %v", got)
	}
	switched := only(t, results["example"], "kubernetes:core/v1:ConfigMap").Inputs
	if offline.Lookup(switched, "metadata", "name") != "amazon-vpc-cni" ||
		offline.Lookup(switched, "data", "enable-network-policy-controller") != "true" {
		t.Errorf("network policies are not enabled: %v", switched)
	}
}

// order lists the dependencies of resources, which are deleted after them.
var order = map[string][]string{
	// The cluster terminates its nodes with its role, and until then the nodes need NAT, e.g. to pull images.
	"aws:eks/cluster:Cluster cluster": {
		"aws:iam/rolePolicyAttachment:RolePolicyAttachment roles-cluster-AmazonEKSComputePolicy",
		"aws:iam/rolePolicyAttachment:RolePolicyAttachment roles-cluster-AmazonEKSLoadBalancingPolicy",
		"aws:iam/rolePolicyAttachment:RolePolicyAttachment roles-node-AmazonEKSWorkerNodeMinimalPolicy",
		"aws:ec2/route:Route network-private-eu-central-1a", "aws:ec2/route:Route network-public",
		"aws:ec2/routeTableAssociation:RouteTableAssociation network-private-eu-central-1c-0",
		"aws:ec2/routeTableAssociation:RouteTableAssociation network-public-2",
		"aws:ec2/natGateway:NatGateway network-eu-central-1b", "aws:ec2/internetGateway:InternetGateway network",
		"aws:ec2/vpcEndpoint:VpcEndpoint network-s3", "aws:cloudwatch/logGroup:LogGroup cluster", "aws:kms/key:Key cluster",
	},
	// Without the access entries no object in the cluster can be deleted, and controllers could not finalize theirs.
	"pulumi:providers:kubernetes cluster": {
		"aws:eks/cluster:Cluster cluster", "aws:eks/accessPolicyAssociation:AccessPolicyAssociation cluster-role/ci",
		"aws:eks/accessPolicyAssociation:AccessPolicyAssociation cluster-role/platform",
	},
	"kubernetes:karpenter.sh/v1:NodePool apps": {
		"kubernetes:eks.amazonaws.com/v1:NodeClass apps-class", "kubernetes:core/v1:ConfigMap network-policies",
		"pulumi:providers:kubernetes cluster",
	},
	"aws:eks/addon:Addon metrics-server": {"kubernetes:karpenter.sh/v1:NodePool apps"}, // where its pods run
	"kubernetes:networking.k8s.io/v1:IngressClass alb": {
		"kubernetes:eks.amazonaws.com/v1:IngressClassParams alb-params", "pulumi:providers:kubernetes cluster",
	},
	"kubernetes:storage.k8s.io/v1:StorageClass gp3": {"pulumi:providers:kubernetes cluster"},
	"aws:ec2/natGateway:NatGateway network-eu-central-1a": {
		"aws:ec2/internetGateway:InternetGateway network", "aws:ec2/subnet:Subnet network-public-eu-central-1a",
	},
}

func TestOrderOfDeletion(t *testing.T) {
	result := results["example"]
	urns := map[string]string{}
	for _, r := range result.Resources {
		urns[r.Type+" "+r.Name] = r.URN
	}
	for later, earlier := range order {
		for _, name := range earlier {
			if urns[later] == "" || urns[name] == "" || !result.DependsOn(urns[later], urns[name]) {
				t.Errorf("%s may be deleted after %s", later, name)
			}
		}
	}
}

// The cluster and resources that cannot be restored are protected; without deletionProtection nothing is.
func TestProtection(t *testing.T) {
	const subnets = 6
	for stack, want := range map[string]map[string]int{
		"example": {
			"aws:eks/cluster:Cluster": 1, "aws:kms/key:Key": 1, "aws:cloudwatch/logGroup:LogGroup": 1,
			"aws:ec2/vpc:Vpc": 1, "aws:ec2/subnet:Subnet": subnets,
		},
		"less": {},
	} {
		protected := map[string]int{}
		for _, r := range results[stack].Resources {
			if r.Options["protect"] == true {
				protected[r.Type]++
			}
		}
		if !maps.Equal(protected, want) {
			t.Errorf("%s: got %v protected, want %v", stack, protected, want)
		}
	}
}

// Every output that the app's program reads exists, and those that the documentation names.
func TestOutputsAreWhatTheAppReads(t *testing.T) {
	documented := []string{"oidcIssuer", "vpcId", "privateSubnetIds", "publicSubnetIds"}
	for _, name := range slices.Concat(config.ClusterOutputs, documented) {
		if _, has := results["more"].Exports[name]; !has {
			t.Errorf("output %s does not exist", name)
		}
	}
}

func TestNothingUsesTheDefaultKubernetesProvider(t *testing.T) {
	for name, result := range results {
		for _, r := range result.Resources {
			if strings.HasPrefix(r.Type, "kubernetes:") &&
				!strings.HasSuffix(r.Provider, "pulumi:providers:kubernetes::cluster") {
				t.Errorf("%s: %s %s uses provider %q, want the explicit one", name, r.Type, r.Name, r.Provider)
			}
		}
	}
}

func TestActsAs(t *testing.T) {
	const role = "arn:aws:iam::111122223333:role/teams/ci"
	for caller, want := range map[string]bool{
		"arn:aws:sts::111122223333:assumed-role/ci/run-7": true,
		"arn:aws:sts::999999999999:assumed-role/ci/run-7": false,
		"arn:aws:sts::111122223333:assumed-role/other/ci": false,
		"arn:aws:iam::111122223333:user/ci":               false,
		"arn:aws:sts::111122223333:federated-user/ci":     false,
	} {
		if got := actsAs(caller, role); got != want {
			t.Errorf("%s as %s: got %t", caller, role, got)
		}
	}
	if user := "arn:aws:iam::111122223333:user/a"; !actsAs(user, user) || actsAs(user+"b", user) {
		t.Error("a user does not match only itself")
	}
}
