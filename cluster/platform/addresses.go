package platform

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// zoneCount is how many availability zones a cluster spans: losing one leaves two thirds, and three is what a quorum of
// anything that runs in the cluster needs.
const zoneCount = 3

const (
	// publicBits and privateBits are what a subnet's mask has more than the network's. A sixteenth of the network for each
	// public subnet, in which only load balancers and NAT gateways are, and a quarter for each private one: each pod has
	// an address of its own. The first quarter holds the public ones.
	publicBits, privateBits = 4, 2
	// minBits to maxBits is what AWS allows for a VPC (/16 to /28), less what makes a public subnet too small: an
	// Application Load Balancer wants a /27 or larger with eight free addresses.
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/application-load-balancers.html#subnets-load-balancer
	minBits, maxBits = 16, 23
)

// Addresses are those of a network's subnets, one of each kind in each zone.
type Addresses struct {
	Public, Private [zoneCount]string
}

// PlanAddresses divides a network. An error says which networks can be divided.
func PlanAddresses(cidr string) (a Addresses, err error) {
	network, err := netip.ParsePrefix(cidr)
	if err != nil || !network.Addr().Is4() || !network.Addr().IsPrivate() || network != network.Masked() ||
		network.Bits() < minBits || network.Bits() > maxBits {
		return a, fmt.Errorf("must be a private network of IPv4 from /%d to /%d such as 10.0.0.0/16", minBits, maxBits)
	}
	for zone := range zoneCount {
		a.Public[zone] = subnet(network, publicBits, zone)
		a.Private[zone] = subnet(network, privateBits, zone+1)
	}
	return a, nil
}

// subnet is the n-th part of a network, of those whose mask is longer by some bits.
func subnet(network netip.Prefix, longer, n int) string {
	bits, address := network.Bits()+longer, network.Addr().As4()
	first := binary.BigEndian.Uint32(address[:]) | uint32(n)<<(32-bits)
	binary.BigEndian.PutUint32(address[:], first)
	return netip.PrefixFrom(netip.AddrFrom4(address), bits).String()
}
