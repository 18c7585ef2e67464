package components

import (
	"fmt"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/lb"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/route53"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// AliasArgs describe the DNS name of an AWS load balancer.
type AliasArgs struct {
	// Host is the name, in the hosted zone of ZoneID. Required.
	Host   string
	ZoneID pulumi.StringInput
	// Target is the load balancer's own DNS name. Required.
	Target pulumi.StringInput
}

// Validate reports everything wrong with the arguments.
func (a *AliasArgs) Validate() field.ErrorList {
	problems := checkZone("zoneId", a.ZoneID)
	if !check.IsDNSName(a.Host) {
		problems = append(problems, check.Invalid("host", a.Host, "must be a DNS name such as app.example.com")...)
	}
	return append(problems, check.Set("target", a.Target != nil)...)
}

// Alias leads a name to an AWS load balancer. Unlike a CNAME it may be the name of the zone itself, and costs no queries.
type Alias struct {
	pulumi.ResourceState
}

// NewAlias creates the record.
func NewAlias(ctx *pulumi.Context, name string, args *AliasArgs, opts ...pulumi.ResourceOption) (*Alias, error) {
	a := &Alias{}
	inputs := pulumi.Map{"host": pulumi.String(args.Host), "zoneId": args.ZoneID, "target": args.Target}
	if err := register(ctx, "Alias", name, args.Validate(), inputs, a, opts); err != nil {
		return nil, err
	}
	zone := lb.GetHostedZoneIdOutput(ctx, lb.GetHostedZoneIdOutputArgs{LoadBalancerType: pulumi.String("application")})
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

// checkLoadBalancer refuses what is no AWS load balancer: Route 53 has a list of their names, and its own message is "tried
// to create an alias that targets ..., but that target was not found".
func checkLoadBalancer(host string) (string, error) {
	if name := strings.TrimSuffix(host, ".cn"); !strings.HasSuffix(name, ".elb.amazonaws.com") {
		return "", fmt.Errorf("the Ingress published %q, which is no AWS load balancer, so no alias can lead there", host)
	}
	return host, nil
}
