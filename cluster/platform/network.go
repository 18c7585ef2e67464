package platform

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// NetworkArgs describe the network of one cluster.
type NetworkArgs struct {
	// Cluster is the cluster, which finds its subnets by tags with its name. Required.
	Cluster Cluster
	// CIDR is the block of the VPC, from /16 to /23, e.g. 10.0.0.0/16. It cannot be changed later. Required.
	CIDR string
	// Zones are three availability zones of the region, e.g. eu-central-1a. Required.
	Zones []string
	// SingleNAT creates one NAT gateway for all zones instead of one per zone: a third of the price, but if its zone
	// fails, the nodes in the other zones lose internet access.
	SingleNAT bool
	// InterfaceEndpoints are AWS services that the nodes reach without the NAT gateway, e.g. ecr.api and ecr.dkr. Each is
	// billed per hour and zone. S3, which stores image layers, always has a free gateway endpoint.
	InterfaceEndpoints []string
}

var serviceForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)

// Validate reports everything wrong with the arguments, except with Cluster.
func (a *NetworkArgs) Validate() field.ErrorList {
	region := a.Cluster.Region
	zoneForm := regexp.MustCompile(`^` + regexp.QuoteMeta(region) + `[a-z]$`)
	wrong := func(zone string) bool { return !zoneForm.MatchString(zone) }
	// A different order would assign each zone the addresses of another.
	distinct := slices.Compact(slices.Sorted(slices.Values(a.Zones)))
	right := slices.Equal(a.Zones, distinct) && len(distinct) == zoneCount && !slices.ContainsFunc(a.Zones, wrong)
	isService := func(name string) bool { return serviceForm.MatchString(name) && name != "s3" }
	_, problems := PlanAddresses(a.CIDR)
	return slices.Concat(problems,
		check.That(right, "zones", a.Zones,
			fmt.Sprintf("must be three different zones of region %s in alphabetical order, such as %sa", region, region)),
		checkEach("interfaceEndpoints", a.InterfaceEndpoints, isService,
			"must be an AWS service name without its prefix, such as ecr.api, not repeated; s3 always has an endpoint"),
	)
}

// Network is a VPC over three zones: public subnets for load balancers, private ones behind NAT for nodes and pods.
type Network struct {
	pulumi.ResourceState

	// VPC is the ID of the VPC.
	VPC pulumi.IDOutput
	// PublicSubnets and PrivateSubnets are subnet IDs, in the order of the zones.
	PublicSubnets, PrivateSubnets pulumi.StringArray
	// Addresses are the CIDR blocks of the subnets.
	Addresses Addresses
	// Ready contains the resources that nodes need to reach the internet: depend on it, so that they outlive the nodes.
	Ready []pulumi.Resource
}

// NewNetwork creates the network.
func NewNetwork(ctx *pulumi.Context, name string, args *NetworkArgs, opts ...pulumi.ResourceOption) (*Network, error) {
	n := &Network{}
	builder, err := component.Register(ctx, module, "Network", name, args.Validate(), n, opts)
	if err != nil {
		return nil, err
	}
	n.Addresses, _ = PlanAddresses(args.CIDR) // Validate has checked it
	b := &networkBuilder{Network: n, Builder: builder, args: args}
	b.vpc()
	b.zones()
	b.endpoints()
	return n, b.Finish(pulumi.Map{
		"vpc": n.VPC, "publicSubnets": n.PublicSubnets, "privateSubnets": n.PrivateSubnets,
	})
}

// networkBuilder holds the state that the steps of NewNetwork share.
type networkBuilder struct {
	*Network
	*component.Builder
	args          *NetworkArgs
	internet      *ec2.InternetGateway
	privateTables pulumi.StringArray
}

func (b *networkBuilder) tags(suffix string) pulumi.StringMap {
	return tags(b.args.Cluster.Name + suffix)
}

func (b *networkBuilder) vpc() {
	b.VPC = component.Create(b.Builder, ec2.NewVpc, "", &ec2.VpcArgs{
		CidrBlock: pulumi.String(b.args.CIDR),
		// Interface endpoints and the private endpoint of EKS require both.
		EnableDnsHostnames: pulumi.Bool(true),
		EnableDnsSupport:   pulumi.Bool(true),
		Tags:               b.tags(""),
	}, pulumi.Protect(b.args.Cluster.Protect)).ID()
	// Instances without a security group get this one. Without rules it blocks all traffic.
	component.Create(b.Builder, ec2.NewDefaultSecurityGroup, "", &ec2.DefaultSecurityGroupArgs{
		VpcId: b.VPC, Tags: b.tags("-default"),
	})
	b.internet = component.Create(b.Builder, ec2.NewInternetGateway, "", &ec2.InternetGatewayArgs{
		VpcId: b.VPC, Tags: b.tags(""),
	})
}

// zones creates a public and a private subnet per zone. The public ones share a route table; each private one has its
// own, so that each zone can have its own NAT gateway. EKS finds the subnets for load balancers by their tags:
// https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html
func (b *networkBuilder) zones() {
	var nat *ec2.NatGateway
	for i, zone := range b.args.Zones {
		public := b.subnet("-public-"+zone, zone, b.Addresses.Public[i], "kubernetes.io/role/elb")
		private := b.subnet("-private-"+zone, zone, b.Addresses.Private[i], "kubernetes.io/role/internal-elb")
		b.PublicSubnets = append(b.PublicSubnets, public)
		b.PrivateSubnets = append(b.PrivateSubnets, private)
		if nat == nil || !b.args.SingleNAT {
			nat = b.nat(zone, public)
		}
		table := b.table("-private-"+zone, ec2.RouteArgs{NatGatewayId: nat.ID()}, private)
		b.privateTables = append(b.privateTables, table)
	}
	b.table("-public", ec2.RouteArgs{GatewayId: b.internet.ID()}, b.PublicSubnets...)
}

func (b *networkBuilder) subnet(suffix, zone, cidr, role string) pulumi.IDOutput {
	label := b.tags(suffix)
	label[role] = pulumi.String("1")
	label["kubernetes.io/cluster/"+b.args.Cluster.Name] = pulumi.String("shared")
	return component.Create(b.Builder, ec2.NewSubnet, suffix, &ec2.SubnetArgs{
		VpcId: b.VPC, AvailabilityZone: pulumi.String(zone), CidrBlock: pulumi.String(cidr), Tags: label,
		MapPublicIpOnLaunch: pulumi.Bool(false), // they contain only NAT gateways and load balancers, which have their own
	}, pulumi.Protect(b.args.Cluster.Protect)).ID()
}

// nat creates the NAT gateway of private subnets, in a public one.
func (b *networkBuilder) nat(zone string, public pulumi.IDOutput) *ec2.NatGateway {
	label := b.tags("-" + zone)
	after := pulumi.DependsOn([]pulumi.Resource{b.internet})
	address := component.Create(b.Builder, ec2.NewEip, "-"+zone, &ec2.EipArgs{
		Domain: pulumi.String("vpc"), Tags: label,
	}, after)
	return component.Create(b.Builder, ec2.NewNatGateway, "-"+zone, &ec2.NatGatewayArgs{
		SubnetId: public, AllocationId: address.ID(), Tags: label,
	}, after)
}

// table creates a route table with a default route for subnets and returns its ID. Nodes need it until they terminate.
func (b *networkBuilder) table(suffix string, route ec2.RouteArgs, subnets ...pulumi.StringInput) pulumi.IDOutput {
	table := component.Create(b.Builder, ec2.NewRouteTable, suffix, &ec2.RouteTableArgs{
		VpcId: b.VPC, Tags: b.tags(suffix),
	})
	route.RouteTableId, route.DestinationCidrBlock = table.ID(), pulumi.String("0.0.0.0/0")
	b.Ready = append(b.Ready, component.Create(b.Builder, ec2.NewRoute, suffix, &route))
	for i, subnet := range subnets {
		args := &ec2.RouteTableAssociationArgs{RouteTableId: table.ID(), SubnetId: subnet}
		association := component.Create(b.Builder, ec2.NewRouteTableAssociation, fmt.Sprintf("%s-%d", suffix, i), args)
		b.Ready = append(b.Ready, association)
	}
	return table.ID()
}

// endpoints creates the VPC endpoints for AWS services.
func (b *networkBuilder) endpoints() {
	b.endpoint("s3", ec2.VpcEndpointArgs{VpcEndpointType: pulumi.String("Gateway"), RouteTableIds: b.privateTables})
	if len(b.args.InterfaceEndpoints) == 0 {
		return
	}
	group := component.Create(b.Builder, ec2.NewSecurityGroup, "-endpoints", &ec2.SecurityGroupArgs{
		VpcId: b.VPC, Description: pulumi.String("Interface endpoints: HTTPS from within the network"),
		Ingress: ec2.SecurityGroupIngressArray{ec2.SecurityGroupIngressArgs{
			Protocol: pulumi.String("tcp"), FromPort: pulumi.Int(443), ToPort: pulumi.Int(443),
			CidrBlocks: pulumi.ToStringArray([]string{b.args.CIDR}),
		}},
		Tags: b.tags("-endpoints"),
	})
	for _, service := range b.args.InterfaceEndpoints {
		b.endpoint(service, ec2.VpcEndpointArgs{
			VpcEndpointType: pulumi.String("Interface"), PrivateDnsEnabled: pulumi.Bool(true),
			SubnetIds: b.PrivateSubnets, SecurityGroupIds: pulumi.StringArray{group.ID()},
		})
	}
}

func (b *networkBuilder) endpoint(service string, args ec2.VpcEndpointArgs) {
	args.VpcId, args.Tags = b.VPC, b.tags("-"+service)
	args.ServiceName = pulumi.String("com.amazonaws." + b.args.Cluster.Region + "." + service)
	b.Ready = append(b.Ready, component.Create(b.Builder, ec2.NewVpcEndpoint, "-"+service, &args))
}

// zoneCount is the number of availability zones of a cluster: losing one leaves two thirds, and a quorum needs three.
const zoneCount = 3

const (
	// publicBits and privateBits are added to the mask length of the VPC. Each public subnet, which contains only load
	// balancers and NAT gateways, gets a sixteenth of the VPC; each private one gets a quarter, since every pod has its
	// own address. The public ones are in the first quarter.
	publicBits, privateBits = 4, 2
	// minBits to maxBits is the range that AWS allows for a VPC (/16 to /28), without blocks whose public subnets are
	// too small: an Application Load Balancer requires a /27 or larger with eight free addresses.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html
	minBits, maxBits = 16, 23
)

// Addresses are the CIDR blocks of a network's subnets, a public and a private one per zone.
type Addresses struct {
	Public, Private [zoneCount]string
}

// PlanAddresses divides a network into subnets. Its problem describes the accepted networks.
func PlanAddresses(cidr string) (a Addresses, problems field.ErrorList) {
	network, err := netip.ParsePrefix(cidr)
	if err != nil || !network.Addr().Is4() || !network.Addr().IsPrivate() || network != network.Masked() ||
		network.Bits() < minBits || network.Bits() > maxBits {
		return a, check.Invalid("cidr", cidr,
			fmt.Sprintf("must be a private IPv4 network from /%d to /%d such as 10.0.0.0/16", minBits, maxBits))
	}
	for zone := range zoneCount {
		a.Public[zone] = subnet(network, publicBits, zone)
		a.Private[zone] = subnet(network, privateBits, zone+1)
	}
	return a, nil
}

// subnet returns the n-th subnet of a network whose mask is longer by the given number of bits.
func subnet(network netip.Prefix, longer, n int) string {
	bits, address := network.Bits()+longer, network.Addr().As4()
	first := binary.BigEndian.Uint32(address[:]) | uint32(n)<<(32-bits)
	binary.BigEndian.PutUint32(address[:], first)
	return netip.PrefixFrom(netip.AddrFrom4(address), bits).String()
}
