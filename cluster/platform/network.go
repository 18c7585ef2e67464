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
	// Cluster is the name of the cluster, which finds its subnets by tags. It is also the prefix of all names. Required.
	Cluster string
	// Region is the AWS region. Required.
	Region string
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
	// Protect makes Pulumi refuse to delete or replace the VPC and its subnets.
	Protect bool
}

// Validate reports everything wrong with the arguments.
func (a *NetworkArgs) Validate() field.ErrorList {
	problems := append(checkCluster("cluster", a.Cluster), check.Region("region", a.Region)...)
	if _, err := PlanAddresses(a.CIDR); err != nil {
		problems = append(problems, check.Invalid("cidr", a.CIDR, err.Error())...)
	}
	distinct := slices.Compact(slices.Sorted(slices.Values(a.Zones)))
	wrong := func(zone string) bool { return !zoneForm.MatchString(zone) || zone[:len(zone)-1] != a.Region }
	// A different order would assign each zone the addresses of another.
	right := slices.Equal(a.Zones, distinct) && len(distinct) == zoneCount && !slices.ContainsFunc(a.Zones, wrong)
	problems = append(problems, check.That(right, "zones", a.Zones,
		fmt.Sprintf("must be three different zones of region %s in alphabetical order, such as %sa", a.Region, a.Region))...)
	for i, service := range a.InterfaceEndpoints {
		right := serviceForm.MatchString(service) && service != "s3" &&
			!slices.Contains(a.InterfaceEndpoints[:i], service)
		problems = append(problems, check.That(right, "interfaceEndpoints", service,
			"must be an AWS service name without its prefix, such as ecr.api, not repeated; s3 always has an endpoint")...)
	}
	return problems
}

var (
	zoneForm    = regexp.MustCompile(`^[a-z]{2,5}(-[a-z]+)+-[0-9]+[a-z]$`)
	serviceForm = regexp.MustCompile(`^[a-z0-9]+([.-][a-z0-9]+)*$`)
	// https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateCluster.html; 40, since it is the prefix of role names
	clusterForm = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z-]{0,39}$`)
)

func checkCluster(name, value string) field.ErrorList {
	return check.That(clusterForm.MatchString(value), name, value,
		"must be up to 40 letters, digits and -, beginning with a letter or digit")
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
	if err := component.Register(ctx, module, "Network", name, args.Validate(), n, opts); err != nil {
		return nil, err
	}
	n.Addresses, _ = PlanAddresses(args.CIDR) // Validate has checked it
	b := &networkBuilder{
		Network: n, ctx: ctx, name: name, args: args, child: pulumi.Parent(n), guard: pulumi.Protect(args.Protect),
	}
	for _, build := range []func() error{b.vpc, b.zones, b.endpoints} {
		if err := build(); err != nil {
			return nil, err
		}
	}
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{
		"vpc": n.VPC, "publicSubnets": n.PublicSubnets, "privateSubnets": n.PrivateSubnets,
	})
}

// networkBuilder holds the state that the steps of NewNetwork share.
type networkBuilder struct {
	*Network
	ctx          *pulumi.Context
	name         string
	args         *NetworkArgs
	child, guard pulumi.ResourceOption

	internet      *ec2.InternetGateway
	privateTables pulumi.StringArray
}

func (b *networkBuilder) vpc() error {
	vpc, err := ec2.NewVpc(b.ctx, b.name, &ec2.VpcArgs{
		CidrBlock: pulumi.String(b.args.CIDR),
		// Interface endpoints and the private endpoint of EKS require both.
		EnableDnsHostnames: pulumi.Bool(true),
		EnableDnsSupport:   pulumi.Bool(true),
		Tags:               tags(b.args.Cluster, nil),
	}, b.child, b.guard)
	if err != nil {
		return err
	}
	b.VPC = vpc.ID()
	// Instances without a security group get this one. Without rules it blocks all traffic.
	_, err = ec2.NewDefaultSecurityGroup(b.ctx, b.name, &ec2.DefaultSecurityGroupArgs{
		VpcId: b.VPC, Tags: tags(b.args.Cluster+"-default", nil),
	}, b.child)
	if err != nil {
		return err
	}
	b.internet, err = ec2.NewInternetGateway(b.ctx, b.name, &ec2.InternetGatewayArgs{
		VpcId: b.VPC, Tags: tags(b.args.Cluster, nil),
	}, b.child)
	return err
}

// zones creates a public and a private subnet per zone. The public ones share a route table; each private one has its
// own, so that each zone can have its own NAT gateway. EKS finds the subnets for load balancers by their tags:
// https://docs.aws.amazon.com/eks/latest/userguide/network-load-balancing.html
func (b *networkBuilder) zones() error {
	var nat *ec2.NatGateway
	for i, zone := range b.args.Zones {
		public, err := b.subnet("public-"+zone, zone, b.Addresses.Public[i], "kubernetes.io/role/elb")
		if err != nil {
			return err
		}
		private, err := b.subnet("private-"+zone, zone, b.Addresses.Private[i], "kubernetes.io/role/internal-elb")
		if err != nil {
			return err
		}
		b.PublicSubnets = append(b.PublicSubnets, public.ID())
		b.PrivateSubnets = append(b.PrivateSubnets, private.ID())
		if nat == nil || !b.args.SingleNAT {
			if nat, err = b.nat(zone, public); err != nil {
				return err
			}
		}
		table, err := b.table("private-"+zone, ec2.RouteArgs{NatGatewayId: nat.ID()}, b.PrivateSubnets[i])
		if err != nil {
			return err
		}
		b.privateTables = append(b.privateTables, table)
	}
	_, err := b.table("public", ec2.RouteArgs{GatewayId: b.internet.ID()}, b.PublicSubnets...)
	return err
}

func (b *networkBuilder) subnet(kind, zone, cidr, role string) (*ec2.Subnet, error) {
	return ec2.NewSubnet(b.ctx, b.name+"-"+kind, &ec2.SubnetArgs{
		VpcId: b.VPC, AvailabilityZone: pulumi.String(zone), CidrBlock: pulumi.String(cidr),
		MapPublicIpOnLaunch: pulumi.Bool(false), // they contain only NAT gateways and load balancers, which have their own
		Tags: tags(b.args.Cluster+"-"+kind, map[string]string{
			role: "1", "kubernetes.io/cluster/" + b.args.Cluster: "shared",
		}),
	}, b.child, b.guard)
}

// nat creates the NAT gateway of private subnets, in a public one.
func (b *networkBuilder) nat(zone string, public *ec2.Subnet) (*ec2.NatGateway, error) {
	name, label := b.name+"-"+zone, tags(b.args.Cluster+"-"+zone, nil)
	after := pulumi.DependsOn([]pulumi.Resource{b.internet})
	address, err := ec2.NewEip(b.ctx, name, &ec2.EipArgs{Domain: pulumi.String("vpc"), Tags: label}, b.child, after)
	if err != nil {
		return nil, err
	}
	return ec2.NewNatGateway(b.ctx, name, &ec2.NatGatewayArgs{
		SubnetId: public.ID(), AllocationId: address.ID(), Tags: label,
	}, b.child, after)
}

// table creates a route table with a default route for subnets and returns its ID. Nodes need it until they terminate.
func (b *networkBuilder) table(
	kind string, route ec2.RouteArgs, subnets ...pulumi.StringInput,
) (id pulumi.IDOutput, err error) {
	name := b.name + "-" + kind
	table, err := ec2.NewRouteTable(b.ctx, name, &ec2.RouteTableArgs{
		VpcId: b.VPC, Tags: tags(b.args.Cluster+"-"+kind, nil),
	}, b.child)
	if err != nil {
		return id, err
	}
	route.RouteTableId, route.DestinationCidrBlock = table.ID(), pulumi.String("0.0.0.0/0")
	defaultRoute, err := ec2.NewRoute(b.ctx, name, &route, b.child)
	if err != nil {
		return id, err
	}
	b.Ready = append(b.Ready, defaultRoute)
	for i, subnet := range subnets {
		args := &ec2.RouteTableAssociationArgs{RouteTableId: table.ID(), SubnetId: subnet.ToStringOutput()}
		association, err := ec2.NewRouteTableAssociation(b.ctx, fmt.Sprintf("%s-%d", name, i), args, b.child)
		if err != nil {
			return id, err
		}
		b.Ready = append(b.Ready, association)
	}
	return table.ID(), nil
}

// endpoints creates the VPC endpoints for AWS services.
func (b *networkBuilder) endpoints() error {
	err := b.endpoint("s3", &ec2.VpcEndpointArgs{
		VpcEndpointType: pulumi.String("Gateway"), RouteTableIds: b.privateTables,
	})
	if err != nil || len(b.args.InterfaceEndpoints) == 0 {
		return err
	}
	group, err := ec2.NewSecurityGroup(b.ctx, b.name+"-endpoints", &ec2.SecurityGroupArgs{
		VpcId: b.VPC, Description: pulumi.String("Interface endpoints: HTTPS from within the network"),
		Ingress: ec2.SecurityGroupIngressArray{ec2.SecurityGroupIngressArgs{
			Protocol: pulumi.String("tcp"), FromPort: pulumi.Int(443), ToPort: pulumi.Int(443),
			CidrBlocks: pulumi.ToStringArray([]string{b.args.CIDR}),
		}},
		Tags: tags(b.args.Cluster+"-endpoints", nil),
	}, b.child)
	if err != nil {
		return err
	}
	for _, service := range b.args.InterfaceEndpoints {
		err := b.endpoint(service, &ec2.VpcEndpointArgs{
			VpcEndpointType: pulumi.String("Interface"), PrivateDnsEnabled: pulumi.Bool(true),
			SubnetIds: b.PrivateSubnets, SecurityGroupIds: pulumi.StringArray{group.ID()},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (b *networkBuilder) endpoint(service string, args *ec2.VpcEndpointArgs) error {
	name := b.name + "-" + service
	args.VpcId, args.Tags = b.VPC, tags(b.args.Cluster+"-"+service, nil)
	args.ServiceName = pulumi.String("com.amazonaws." + b.args.Region + "." + service)
	endpoint, err := ec2.NewVpcEndpoint(b.ctx, name, args, b.child)
	if err != nil {
		return err
	}
	b.Ready = append(b.Ready, endpoint)
	return nil
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

// PlanAddresses divides a network into subnets. Its error describes the accepted networks.
func PlanAddresses(cidr string) (a Addresses, err error) {
	network, err := netip.ParsePrefix(cidr)
	if err != nil || !network.Addr().Is4() || !network.Addr().IsPrivate() || network != network.Masked() ||
		network.Bits() < minBits || network.Bits() > maxBits {
		return a, fmt.Errorf("must be a private IPv4 network from /%d to /%d such as 10.0.0.0/16", minBits, maxBits)
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
