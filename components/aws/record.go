package aws

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// LoadBalancerRecordArgs describe the DNS name of an AWS load balancer.
type LoadBalancerRecordArgs struct {
	// Host is the name, in the hosted zone of ZoneID. Required.
	Host   string
	ZoneID pulumi.StringInput
	// Target is the load balancer's own DNS name. Required.
	Target pulumi.StringInput
}

// Validate reports everything wrong with the arguments.
func (a *LoadBalancerRecordArgs) Validate() field.ErrorList {
	return append(a.ValidateSettings(), check.Set("target", a.Target != nil)...)
}

// ValidateSettings is Validate without what other resources produce: for what is known before any of them exists.
func (a *LoadBalancerRecordArgs) ValidateSettings() field.ErrorList {
	problems := checkZone("zoneId", a.ZoneID)
	if !check.IsDNSName(a.Host) {
		problems = append(problems, check.Invalid("host", a.Host, "must be a DNS name such as app.example.com")...)
	}
	return problems
}

// LoadBalancerRecord leads a name to an AWS load balancer. Unlike a CNAME it may be the name of the zone itself, and
// its queries cost nothing.
type LoadBalancerRecord struct {
	pulumi.ResourceState
}

// NewLoadBalancerRecord creates the record. The load balancer is in the region of the provider: the ID of the zone of
// its name is that of all load balancers there.
func NewLoadBalancerRecord(
	ctx *pulumi.Context, name string, args *LoadBalancerRecordArgs, opts ...pulumi.ResourceOption,
) (*LoadBalancerRecord, error) {
	a := &LoadBalancerRecord{}
	const oldType = "scaleout:index:Alias" // stacks have it; without the alias their record would be replaced
	opts = append(slices.Clone(opts), pulumi.Aliases([]pulumi.Alias{{Type: pulumi.String(oldType)}}))
	if err := register(ctx, "LoadBalancerRecord", name, args.Validate(), a, opts); err != nil {
		return nil, err
	}
	zone := lb.GetHostedZoneIdOutput(ctx, lb.GetHostedZoneIdOutputArgs{
		LoadBalancerType: pulumi.String("application"),
	}, pulumi.Parent(a))
	_, err := route53.NewRecord(ctx, name, &route53.RecordArgs{
		ZoneId: args.ZoneID, Name: pulumi.String(args.Host), Type: pulumi.String("A"),
		Aliases: route53.RecordAliasArray{route53.RecordAliasArgs{
			Name: args.Target.ToStringOutput().ApplyT(checkLoadBalancer).(pulumi.StringOutput), ZoneId: zone.Id(),
			// A sick app is answered with its own 503 rather than by "no such name", which resolvers remember.
			EvaluateTargetHealth: pulumi.Bool(false),
		}},
	}, pulumi.Parent(a))
	if err != nil {
		return nil, creating("DNS record", name, err)
	}
	return a, ctx.RegisterResourceOutputs(a, pulumi.Map{})
}

// checkLoadBalancer refuses what is no AWS load balancer: Route 53 has a list of their names, and its own message is
// "tried to create an alias that targets ..., but that target was not found".
func checkLoadBalancer(host string) (string, error) {
	if name := strings.TrimSuffix(host, ".cn"); !strings.HasSuffix(name, ".elb.amazonaws.com") {
		return "", fmt.Errorf("the Ingress published %q, which is no AWS load balancer, so no alias can lead there", host)
	}
	return host, nil
}
