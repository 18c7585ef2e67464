package platform

import (
	"net/netip"
	"testing"
)

func TestAddressesAreApart(t *testing.T) {
	for _, cidr := range []string{"10.0.0.0/16", "10.5.64.0/18", "172.31.254.0/23", "192.168.0.0/16"} {
		a, err := PlanAddresses(cidr)
		if err != nil {
			t.Errorf("%s: %v", cidr, err)
			continue
		}
		network := netip.MustParsePrefix(cidr)
		var subnets []netip.Prefix
		for i := range zoneCount {
			subnets = append(subnets, netip.MustParsePrefix(a.Public[i]), netip.MustParsePrefix(a.Private[i]))
		}
		for i, one := range subnets {
			if !network.Contains(one.Addr()) || one != one.Masked() || one.Bits() > 27 {
				t.Errorf("%s: %s is outside it, or too small for a load balancer", cidr, one)
			}
			for _, other := range subnets[:i] {
				if one.Overlaps(other) {
					t.Errorf("%s: %s and %s overlap", cidr, one, other)
				}
			}
		}
	}
	if a, _ := PlanAddresses("10.0.0.0/16"); a.Public[2] != "10.0.32.0/20" || a.Private[0] != "10.0.64.0/18" {
		t.Errorf("got %v", a)
	}
}

func TestPlanAddressesRefuses(t *testing.T) {
	for _, cidr := range []string{
		"", "10.0.0.0", "10.0.0.1/16", "10.0.0.0/15", "10.0.0.0/24", "8.8.0.0/16", "fd00::/48", "10.0.0.0/16 ",
	} {
		if a, err := PlanAddresses(cidr); err == nil {
			t.Errorf("%q: got %v, want a refusal", cidr, a)
		}
	}
}
