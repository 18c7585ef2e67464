package platform

import (
	"fmt"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// NetworkArgs describe the network of one cluster.
type NetworkArgs struct {
	// Cluster is the name of the cluster that finds its subnets by their tags. It begins all names too. Required.
	Cluster string
	// Region of AWS. Required.
	Region string
	// CIDR of the network, from /16 to /23, e.g. 10.0.0.0/16. It cannot be changed later. Required.
	CIDR string
	// Zones are three availability zones of the region, e.g. eu-central-1a. Required.
	Zones []string
	// SingleNAT has one NAT gateway for all zones instead of one in each: a third of the price, and if its zone fails, the
	// nodes of the others cannot reach the internet any more.
	SingleNAT bool
	// InterfaceEndpoints are services of AWS that the nodes reach without the NAT gateway, e.g. ecr.api and ecr.dkr. Each
	// costs by the hour and zone. S3, from where the layers of images come, is always one: its kind is free.
	InterfaceEndpoints []string
	// Protect makes Pulumi refuse to delete or replace the network and its subnets, which everything else is in.
	Protect bool
}

// Validate reports everything wrong with the arguments.
func (a *NetworkArgs) Validate() field.ErrorList {
	problems := checkCluster("cluster", a.Cluster)
	problems = append(problems, check.Region("region", a.Region)...)
	if _, err := PlanAddresses(a.CIDR); err != nil {
		problems = append(problems, check.Invalid("cidr", a.CIDR, err.Error())...)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(a.Zones)))
	wrong := func(zone string) bool { return !zoneForm.MatchString(zone) || zone[:len(zone)-1] != a.Region }
	if len(a.Zones) != zoneCount || len(distinct) != zoneCount || !slices.IsSorted(a.Zones) ||
		slices.ContainsFunc(a.Zones, wrong) {
		problems = append(problems, check.Invalid("zones", a.Zones, // in another order each would get another's addresses
			fmt.Sprintf("must be three different zones of region %s in alphabetical order, such as %sa", a.Region, a.Region))...)
	}
	for i, service := range a.InterfaceEndpoints {
		if !serviceForm.MatchString(service) || service == "s3" || slices.Contains(a.InterfaceEndpoints[:i], service) {
			problems = append(problems, check.Invalid("interfaceEndpoints", service,
				"must be a service of AWS without its prefix, such as ecr.api, each once; s3 is there in any case")...)
		}
	}
	return problems
}

var (
	zoneForm    = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+[a-z]$`)
	serviceForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html; 40, since roles are named after it and
	// theirs may have 64.
	clusterForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,39}$`)
)

func checkCluster(name, value string) field.ErrorList {
	if !clusterForm.MatchString(value) {
		return check.Invalid(name, value, "must be up to 40 letters, digits and -, beginning with a letter or digit")
	}
	return nil
}

// Network is a VPC over three zones: public subnets for load balancers, private ones for nodes and pods, which reach
// the internet by NAT and are not reached from it.
type Network struct {
	pulumi.ResourceState

	// VPC is the ID of the network.
	VPC pulumi.IDOutput
	// PublicSubnets and PrivateSubnets are IDs, in the order of the zones.
	PublicSubnets, PrivateSubnets pulumi.StringArray
	// Addresses of the subnets.
	Addresses Addresses
	// Ready is what nodes need to reach the internet: depend on it, so that it outlives them.
	Ready []pulumi.Resource
}

// NewNetwork creates the network.
func NewNetwork(ctx *pulumi.Context, name string, args *NetworkArgs, opts ...pulumi.ResourceOption) (*Network, error) {
	n := &Network{}
	if err := register(ctx, "Network", name, args.Validate(), n, opts); err != nil {
		return nil, err
	}
	b := &networkBuilder{
		ctx: ctx, name: name, args: args, network: n, child: pulumi.Parent(n), guard: pulumi.Protect(args.Protect),
	}
	for _, build := range []func() error{b.vpc, b.subnets, b.gateways, b.routes, b.endpoints} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{
		"vpc": n.VPC, "publicSubnets": n.PublicSubnets, "privateSubnets": n.PrivateSubnets,
	})
}

// networkBuilder is what the parts of a network hand on to each other.
type networkBuilder struct {
	ctx     *pulumi.Context
	name    string
	args    *NetworkArgs
	network *Network
	child   pulumi.ResourceOption
	guard   pulumi.ResourceOption

	public, private []*ec2.Subnet
	internet        *ec2.InternetGateway
	nats            []*ec2.NatGateway
	privateTables   pulumi.StringArray
}

func (b *networkBuilder) vpc() error {
	vpc, err := ec2.NewVpc(b.ctx, b.name, &ec2.VpcArgs{
		CidrBlock: pulumi.String(b.args.CIDR),
		// Both are what interface endpoints and the private endpoint of EKS are found by.
		EnableDnsHostnames: pulumi.Bool(true),
		EnableDnsSupport:   pulumi.Bool(true),
		Tags:               tags(b.args.Cluster, nil),
	}, b.child, b.guard)
	if err != nil {
		return creating("VPC", b.name, err)
	}
	b.network.VPC = vpc.ID()
	// Whatever is started without a security group gets this one. Empty, it lets nothing in and nothing out.
	_, err = ec2.NewDefaultSecurityGroup(b.ctx, b.name, &ec2.DefaultSecurityGroupArgs{
		VpcId: vpc.ID(), Tags: tags(b.args.Cluster+"-default", nil),
	}, b.child)
	if err != nil {
		return creating("default security group", b.name, err)
	}
	return nil
}

// subnets have the tags by which EKS finds where load balancers go:
// https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html
func (b *networkBuilder) subnets() error {
	addresses, err := PlanAddresses(b.args.CIDR)
	if err != nil {
		return err
	}
	b.network.Addresses = addresses
	for i, zone := range b.args.Zones {
		public, err := b.subnet("public", zone, addresses.Public[i], "kubernetes.io/role/elb")
		if err != nil {
			return err
		}
		private, err := b.subnet("private", zone, addresses.Private[i], "kubernetes.io/role/internal-elb")
		if err != nil {
			return err
		}
		b.public, b.private = append(b.public, public), append(b.private, private)
		b.network.PublicSubnets = append(b.network.PublicSubnets, public.ID())
		b.network.PrivateSubnets = append(b.network.PrivateSubnets, private.ID())
	}
	return nil
}

func (b *networkBuilder) subnet(kind, zone, cidr, role string) (*ec2.Subnet, error) {
	name := b.name + "-" + kind + "-" + zone
	subnet, err := ec2.NewSubnet(b.ctx, name, &ec2.SubnetArgs{
		VpcId: b.network.VPC, AvailabilityZone: pulumi.String(zone), CidrBlock: pulumi.String(cidr),
		MapPublicIpOnLaunch: pulumi.Bool(false), // nothing but NAT gateways and load balancers, which bring their own
		Tags: tags(b.args.Cluster+"-"+kind+"-"+zone, map[string]string{
			role: "1", "kubernetes.io/cluster/" + b.args.Cluster: "shared",
		}),
	}, b.child, b.guard)
	if err != nil {
		return nil, creating("subnet", name, err)
	}
	return subnet, nil
}

// gateways lead to the internet: one for the public subnets, and NAT for the private ones.
func (b *networkBuilder) gateways() error {
	internet, err := ec2.NewInternetGateway(b.ctx, b.name, &ec2.InternetGatewayArgs{
		VpcId: b.network.VPC, Tags: tags(b.args.Cluster, nil),
	}, b.child)
	if err != nil {
		return creating("internet gateway", b.name, err)
	}
	b.internet = internet
	zones := b.args.Zones
	if b.args.SingleNAT {
		zones = zones[:1]
	}
	for i, zone := range zones {
		name, label := b.name+"-"+zone, tags(b.args.Cluster+"-"+zone, nil)
		address, err := ec2.NewEip(b.ctx, name, &ec2.EipArgs{Domain: pulumi.String("vpc"), Tags: label},
			b.child, pulumi.DependsOn([]pulumi.Resource{internet}))
		if err != nil {
			return creating("elastic IP", name, err)
		}
		nat, err := ec2.NewNatGateway(b.ctx, name, &ec2.NatGatewayArgs{
			SubnetId: b.public[i].ID(), AllocationId: address.ID(), Tags: label,
		}, b.child, pulumi.DependsOn([]pulumi.Resource{internet}))
		if err != nil {
			return creating("NAT gateway", name, err)
		}
		b.nats = append(b.nats, nat)
	}
	return nil
}

// anywhere is the destination of a default route.
const anywhere = "0.0.0.0/0"

// routes are a table for all public subnets and one for each private one, so that each zone can have its own NAT.
func (b *networkBuilder) routes() error {
	toInternet := ec2.RouteArgs{DestinationCidrBlock: pulumi.String(anywhere), GatewayId: b.internet.ID()}
	if _, err := b.table(b.name+"-public", toInternet, b.public...); err != nil {
		return err
	}
	for i, zone := range b.args.Zones {
		nat := b.nats[min(i, len(b.nats)-1)]
		toNAT := ec2.RouteArgs{DestinationCidrBlock: pulumi.String(anywhere), NatGatewayId: nat.ID()}
		table, err := b.table(b.name+"-private-"+zone, toNAT, b.private[i])
		if err != nil {
			return err
		}
		b.privateTables = append(b.privateTables, table.ID())
	}
	return nil
}

// table is a route table with a default route, for some subnets. Its parts are what the nodes need as long as they
// live.
func (b *networkBuilder) table(name string, route ec2.RouteArgs, subnets ...*ec2.Subnet) (*ec2.RouteTable, error) {
	table, err := ec2.NewRouteTable(b.ctx, name, &ec2.RouteTableArgs{
		VpcId: b.network.VPC, Tags: tags(b.args.Cluster+name[len(b.name):], nil),
	}, b.child)
	if err != nil {
		return nil, creating("route table", name, err)
	}
	route.RouteTableId = table.ID()
	defaultRoute, err := ec2.NewRoute(b.ctx, name, &route, b.child)
	if err != nil {
		return nil, creating("route", name, err)
	}
	b.network.Ready = append(b.network.Ready, defaultRoute)
	for i, subnet := range subnets {
		part := fmt.Sprintf("%s-%d", name, i)
		association, err := ec2.NewRouteTableAssociation(b.ctx, part, &ec2.RouteTableAssociationArgs{
			RouteTableId: table.ID(), SubnetId: subnet.ID(),
		}, b.child)
		if err != nil {
			return nil, creating("route table association", part, err)
		}
		b.network.Ready = append(b.network.Ready, association)
	}
	return table, nil
}

// endpoints lead to services of AWS within its network.
func (b *networkBuilder) endpoints() error {
	gateway, err := ec2.NewVpcEndpoint(b.ctx, b.name+"-s3", &ec2.VpcEndpointArgs{
		VpcId: b.network.VPC, ServiceName: b.service("s3"), VpcEndpointType: pulumi.String("Gateway"),
		RouteTableIds: b.privateTables, Tags: tags(b.args.Cluster+"-s3", nil),
	}, b.child)
	if err != nil {
		return creating("VPC endpoint", b.name+"-s3", err)
	}
	b.network.Ready = append(b.network.Ready, gateway)
	if len(b.args.InterfaceEndpoints) == 0 {
		return nil
	}
	group, err := ec2.NewSecurityGroup(b.ctx, b.name+"-endpoints", &ec2.SecurityGroupArgs{
		VpcId: b.network.VPC, Description: pulumi.String("Interface endpoints: HTTPS from within the network"),
		Ingress: ec2.SecurityGroupIngressArray{ec2.SecurityGroupIngressArgs{
			Protocol: pulumi.String("tcp"), FromPort: pulumi.Int(443), ToPort: pulumi.Int(443),
			CidrBlocks: pulumi.ToStringArray([]string{b.args.CIDR}),
		}},
		Tags: tags(b.args.Cluster+"-endpoints", nil),
	}, b.child)
	if err != nil {
		return creating("security group", b.name+"-endpoints", err)
	}
	for _, service := range b.args.InterfaceEndpoints {
		name := b.name + "-" + service
		endpoint, err := ec2.NewVpcEndpoint(b.ctx, name, &ec2.VpcEndpointArgs{
			VpcId: b.network.VPC, ServiceName: b.service(service), VpcEndpointType: pulumi.String("Interface"),
			PrivateDnsEnabled: pulumi.Bool(true), SubnetIds: b.network.PrivateSubnets,
			SecurityGroupIds: pulumi.StringArray{group.ID()}, Tags: tags(b.args.Cluster+"-"+service, nil),
		}, b.child)
		if err != nil {
			return creating("VPC endpoint", name, err)
		}
		b.network.Ready = append(b.network.Ready, endpoint)
	}
	return nil
}

func (b *networkBuilder) service(name string) pulumi.String {
	return pulumi.String("com.amazonaws." + b.args.Region + "." + name)
}
