//go:build e2e

package engine

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"example.com/scaleout/internal/review"
)

// substitute replaces all providers: it accepts everything, adds the outputs that only AWS or a cluster would return,
// and records when resources were created and deleted.
type substitute struct {
	pulumirpc.UnimplementedResourceProviderServer

	mu      sync.Mutex
	exists  map[string]bool // by name, as returned by nameOf
	created map[string]span // in the last run
	deleted map[string]span
	updated map[string]bool

	// The first creation of this resource takes effect, closes reached and never returns. A second one fails, since it
	// exists.
	interrupted string
	reached     chan struct{}
}

// span is the time of a call.
type span struct{ from, to time.Time }

// serve starts the substitute and returns the environment variable that makes the engine use it.
func serve(t *testing.T) (*substitute, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &substitute{exists: map[string]bool{}, reached: make(chan struct{})}
	s.forget()
	server := grpc.NewServer()
	pulumirpc.RegisterResourceProviderServer(server, s)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	port := listener.Addr().(*net.TCPAddr).Port
	var providers []string
	for _, name := range []string{"aws", "kubernetes", "docker"} {
		providers = append(providers, fmt.Sprintf("%s:%d", name, port))
	}
	return s, "PULUMI_DEBUG_PROVIDERS=" + strings.Join(providers, ",")
}

// forget clears the records before a run.
func (s *substitute) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.created, s.deleted, s.updated = map[string]span{}, map[string]span{}, map[string]bool{}
}

// left returns the resources that exist.
func (s *substitute) left() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.exists))
}

// remove removes a resource behind the engine's back, as kubectl delete does.
func (s *substitute) remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.exists, name)
	s.interrupted = ""
}

// nameOf returns the type and name of a resource, e.g. "Ingress web".
func nameOf(urn string) string {
	u := resource.URN(urn)
	return string(u.Type().Name()) + " " + u.Name()
}

// work is the duration of a call, so that independent calls overlap.
const work = 20 * time.Millisecond

func (s *substitute) Create(ctx context.Context, r *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	if r.GetPreview() {
		return &pulumirpc.CreateResponse{Properties: r.GetProperties()}, nil
	}
	began, name := time.Now(), nameOf(r.GetUrn())
	time.Sleep(work)
	state := proto.CloneOf(r.GetProperties())
	for key, value := range known(string(resource.URN(r.GetUrn()).Type()), state) {
		encoded, err := structpb.NewValue(value)
		if err != nil {
			return nil, err
		}
		state.Fields[key] = encoded
	}
	s.mu.Lock()
	existed := s.exists[name]
	s.exists[name], s.created[name] = true, span{began, time.Now()}
	s.mu.Unlock()
	switch {
	case name == s.interrupted && existed:
		return nil, fmt.Errorf("%s already exists", name)
	case name == s.interrupted:
		close(s.reached)
		<-ctx.Done() // until the engine is killed
		return nil, ctx.Err()
	}
	return &pulumirpc.CreateResponse{Id: "id-" + resource.URN(r.GetUrn()).Name(), Properties: state}, nil
}

func (s *substitute) Delete(_ context.Context, r *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	began, name := time.Now(), nameOf(r.GetUrn())
	time.Sleep(work)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.exists, name)
	s.deleted[name] = span{began, time.Now()}
	return &emptypb.Empty{}, nil
}

func (s *substitute) Update(_ context.Context, r *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	state := proto.CloneOf(r.GetNews())
	for key, value := range r.GetOlds().GetFields() { // outputs of the provider
		if _, given := state.Fields[key]; !given {
			state.Fields[key] = value
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !r.GetPreview() {
		s.updated[nameOf(r.GetUrn())] = true
	}
	return &pulumirpc.UpdateResponse{Properties: state}, nil
}

// Diff compares the inputs. Only immutable fields of objects require a replacement. For AWS, the resource options of
// the programs do.
func (s *substitute) Diff(_ context.Context, r *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	keep := plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true}
	before, err := plugin.UnmarshalProperties(r.GetOldInputs(), keep)
	if err != nil {
		return nil, err
	}
	after, err := plugin.UnmarshalProperties(r.GetNews(), keep)
	if err != nil {
		return nil, err
	}
	if _, login := before["registry"]; login && resource.URN(r.GetUrn()).Type() == "docker:index/image:Image" {
		after["registry"] = before["registry"] // the real provider also ignores a changed login
	}
	diff := before.Diff(after)
	if diff == nil {
		return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
	}
	detailed, replaced := map[string]*pulumirpc.PropertyDiff{}, []string(nil)
	for path, property := range plugin.NewDetailedDiffFromObjectDiff(diff, true) {
		typ := string(resource.URN(r.GetUrn()).Type())
		if strings.HasPrefix(typ, "kubernetes:") && review.Replaces(typ, path) {
			property.Kind, replaced = property.Kind.AsReplace(), append(replaced, path)
		}
		detailed[path] = &pulumirpc.PropertyDiff{Kind: pulumirpc.PropertyDiff_Kind(property.Kind), InputDiff: true}
	}
	return &pulumirpc.DiffResponse{
		Changes: pulumirpc.DiffResponse_DIFF_SOME, DetailedDiff: detailed, HasDetailedDiff: true,
		Replaces: replaced, DeleteBeforeReplace: len(replaced) > 0,
	}, nil
}

func (s *substitute) Read(_ context.Context, r *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	return &pulumirpc.ReadResponse{Id: r.GetId(), Properties: r.GetProperties(), Inputs: r.GetInputs()}, nil
}

func (s *substitute) Check(_ context.Context, r *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: r.GetNews()}, nil
}

func (s *substitute) CheckConfig(_ context.Context, r *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	return &pulumirpc.CheckResponse{Inputs: r.GetNews()}, nil
}

func (s *substitute) DiffConfig(context.Context, *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	return &pulumirpc.DiffResponse{Changes: pulumirpc.DiffResponse_DIFF_NONE}, nil
}

func (s *substitute) Configure(context.Context, *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	return &pulumirpc.ConfigureResponse{
		AcceptSecrets: true, SupportsPreview: true, AcceptResources: true, AcceptOutputs: true,
	}, nil
}

func (s *substitute) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (s *substitute) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (s *substitute) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: "1.0.0"}, nil
}

func (s *substitute) Invoke(_ context.Context, r *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	answers := map[string]map[string]any{
		"aws:index/getCallerIdentity:getCallerIdentity": {"arn": caller, "accountId": account},
		"aws:lb/getHostedZoneId:getHostedZoneId":        {"id": "Z215JYRZR1TBD5"},
		"aws:ecr/getAuthorizationToken:getAuthorizationToken": {
			"userName": "AWS", "password": fmt.Sprint(token, tokens.Add(1)),
		},
		"aws:eks/getCluster:getCluster": {
			"name": "production", "arn": clusterARN, "endpoint": "https://eks.example.com", "version": "1.34",
			"certificateAuthorities": []any{map[string]any{"data": "Y2E="}},
			"vpcConfig": map[string]any{
				"vpcId": "id-network", "clusterSecurityGroupId": "sg-0123456789abcdef0",
				"subnetIds": []any{"subnet-a", "subnet-b", "subnet-c"},
			},
		},
	}
	answer, ok := answers[r.GetTok()]
	if !ok {
		return nil, fmt.Errorf("unexpected function call %s", r.GetTok())
	}
	encoded, err := structpb.NewStruct(answer)
	return &pulumirpc.InvokeResponse{Return: encoded}, err
}

const (
	account    = "111122223333"
	token      = "token-for-twelve-hours"
	caller     = "arn:aws:sts::111122223333:assumed-role/platform/me"
	clusterARN = "arn:aws:eks:eu-central-1:111122223333:cluster/production"
	balancer   = "k8s-scaleout-web-%d.eu-central-1.elb.amazonaws.com"
	redisHost  = "master.scaleout.abc.euc1.cache.amazonaws.com"
)

// tokens counts the ECR tokens, so that each is different.
var tokens atomic.Int64

// balancers counts the load balancers, so that each has a different name.
var balancers atomic.Int64

// known returns the outputs that the provider adds to the state of a resource, as far as the programs use them.
func known(typ string, inputs *structpb.Struct) map[string]any {
	text := func(name string) string { return inputs.GetFields()[name].GetStringValue() }
	arn := func(service, resource string) map[string]any {
		return map[string]any{"arn": "arn:aws:" + service + ":eu-central-1:" + account + ":" + resource}
	}
	switch typ {
	case "aws:iam/role:Role":
		return map[string]any{"arn": "arn:aws:iam::" + account + ":role/" + text("name")}
	case "aws:kms/key:Key":
		return map[string]any{"arn": "arn:aws:kms:eu-central-1:" + account + ":key/1", "keyId": "1"}
	case "aws:cloudwatch/logGroup:LogGroup":
		return arn("logs", "log-group:"+text("name"))
	case "aws:eks/cluster:Cluster":
		vpc, _ := inputs.GetFields()["vpcConfig"].AsInterface().(map[string]any)
		vpc["clusterSecurityGroupId"] = "sg-0123456789abcdef0"
		return map[string]any{
			"arn": clusterARN, "endpoint": "https://eks.example.com", "certificateAuthority": map[string]any{"data": "Y2E="},
			"identities": []any{map[string]any{"oidcs": []any{map[string]any{"issuer": "https://oidc.example.com"}}}},
			"vpcConfig":  vpc,
		}
	case "aws:acm/certificate:Certificate":
		state := arn("acm", "certificate/1")
		state["domainValidationOptions"] = []any{map[string]any{
			"domainName": text("domainName"), "resourceRecordName": "_1.example.com", "resourceRecordType": "CNAME",
			"resourceRecordValue": "_2.acm-validations.aws",
		}}
		return state
	case "aws:route53/record:Record":
		return map[string]any{"fqdn": text("name")}
	case "aws:ecr/repository:Repository":
		return map[string]any{"repositoryUrl": account + ".dkr.ecr.eu-central-1.amazonaws.com/" + text("name")}
	case "aws:elasticache/replicationGroup:ReplicationGroup":
		return map[string]any{"primaryEndpointAddress": redisHost}
	case "aws:elasticache/serverlessCache:ServerlessCache":
		return map[string]any{"endpoints": []any{map[string]any{"address": redisHost, "port": 6379}}}
	case "docker:index/image:Image":
		name, _, _ := strings.Cut(text("imageName"), ":")
		return map[string]any{"repoDigest": name + "@sha256:" + strings.Repeat("0", 64)}
	case "kubernetes:networking.k8s.io/v1:Ingress":
		return map[string]any{"status": map[string]any{
			"loadBalancer": map[string]any{"ingress": []any{
				map[string]any{"hostname": fmt.Sprintf(balancer, balancers.Add(1))},
			}},
		}}
	}
	return nil
}
