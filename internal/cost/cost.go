// Package cost estimates what a stack costs on AWS in a month, from its golden files and list prices.
package cost

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"example.com/scaleout/internal/podsize"
	"example.com/scaleout/internal/rendered"
)

// Month is an amount in each of three months: with the fewest pods, with the most, and with the load profile.
type Month struct{ AtMin, AtMax, Profile float64 }

// Plus returns the sum.
func (m Month) Plus(o Month) Month {
	return Month{m.AtMin + o.AtMin, m.AtMax + o.AtMax, m.Profile + o.Profile}
}

// Minus returns the difference.
func (m Month) Minus(o Month) Month { return m.Plus(o.times(-1)) }

func (m Month) times(n float64) Month { return Month{m.AtMin * n, m.AtMax * n, m.Profile * n} }

// Item is a part of an estimate: a number of units with a price.
type Item struct {
	Price Price
	Units Month
	Cost  Month
}

// Estimate holds the cost of a stack.
type Estimate struct {
	Items   []Item // the largest first
	Total   Month
	Usage   []Price  // prices of what depends on traffic; not part of the total
	Unknown []string // resources that cost money, but whose price the table does not have
}

// Estimate returns what a stack costs. One without resources of AWS costs nothing: it runs on a machine of its own.
func (t *Table) Estimate(s *rendered.Stack) Estimate {
	b := &bill{table: t, stack: s, groups: map[string]bool{}, units: map[string]Month{}, usage: map[string]bool{},
		unknown: map[string]bool{}}
	if s != nil && s.OnAWS() {
		for _, r := range s.Resources {
			b.resource(r)
			b.object(r)
		}
		b.nodes(s)
	}
	e := Estimate{Unknown: slices.Sorted(maps.Keys(b.unknown))}
	for _, id := range slices.Sorted(maps.Keys(t.Prices)) {
		price := t.Prices[id]
		if b.usage[id] {
			e.Usage = append(e.Usage, price)
		}
		units, used := b.units[id]
		if !used {
			continue
		}
		usd := price.USD
		if strings.Contains(price.Per, "hour") {
			usd *= t.HoursOfMonth
		}
		cost := units.times(usd)
		e.Items, e.Total = append(e.Items, Item{price, units, cost}), e.Total.Plus(cost)
	}
	slices.SortStableFunc(e.Items, func(a, b Item) int { return cmp.Compare(b.Cost.AtMax, a.Cost.AtMax) })
	return e
}

// bill collects the units of a stack, by price.
type bill struct {
	table   *Table
	stack   *rendered.Stack
	groups  map[string]bool // of load balancers
	units   map[string]Month
	usage   map[string]bool
	unknown map[string]bool
}

// add adds units that do not depend on the number of pods.
func (b *bill) add(id string, n float64) { b.units[id] = b.units[id].Plus(Month{n, n, n}) }

func (b *bill) use(ids ...string) {
	for _, id := range ids {
		b.usage[id] = true
	}
}

// resource adds what a resource of AWS costs.
func (b *bill) resource(r *rendered.Resource) {
	switch r.Type {
	case "aws:eks/cluster:Cluster":
		b.add("eks", 1)
	case "aws:ec2/natGateway:NatGateway":
		b.add("nat", 1)
		b.use("nat-gb")
	case "aws:ec2/eip:Eip":
		b.add("address", 1)
	case "aws:ec2/vpcEndpoint:VpcEndpoint":
		if r.Get("vpcEndpointType") == "Interface" {
			b.add("endpoint", float64(len(rendered.List(r.Inputs, "subnetIds"))))
			b.use("endpoint-gb")
		}
	case "aws:kms/key:Key":
		b.add("kms", 1)
	case "aws:cloudwatch/logGroup:LogGroup", "aws:ec2/flowLog:FlowLog":
		b.use("logs-gb")
	case "aws:ecr/repository:Repository":
		b.use("ecr-gb")
	case "aws:elasticache/replicationGroup:ReplicationGroup":
		nodes, known := r.Get("numCacheClusters").(int)
		id := fmt.Sprintf("%v-%v", r.Get("engine"), r.Get("nodeType"))
		if _, priced := b.table.Prices[id]; known && priced {
			b.add(id, float64(nodes))
		} else {
			b.unknown[fmt.Sprintf("%s: nodes %s", r.Title(), id)] = true
		}
	case "aws:elasticache/serverlessCache:ServerlessCache":
		engine := fmt.Sprint(r.Get("engine"))
		if _, known := b.table.Prices[engine+"-gb"]; known {
			b.add(engine+"-gb", map[string]float64{"valkey": 0.1, "redis": 1}[engine]) // the least that is charged
			b.use(engine + "-units")
		} else {
			b.unknown[r.Title()] = true
		}
	default:
		if strings.HasPrefix(r.Type, "aws:") && !slices.Contains(b.table.Free, r.Type) {
			b.unknown[r.Title()] = true
		}
	}
}

// object adds what a Kubernetes object costs, without pods.
func (b *bill) object(r *rendered.Resource) {
	switch r.Kind() {
	case "PersistentVolumeClaim":
		b.disk(r, r.Inputs, 1)
	case "StatefulSet":
		for _, claim := range rendered.List(r.Inputs, "spec", "volumeClaimTemplates") {
			pods := b.stack.Scaling(r)
			b.disk(r, claim, float64(pods.Max)) // claims stay when pods go
		}
	case "Ingress":
		if !r.IsALB() {
			return
		}
		// Those of a group share a load balancer.
		if group := r.ALBAnnotation("group.name"); group != "" && b.groups[group] {
			return
		} else if group != "" {
			b.groups[group] = true
		}
		b.add("alb", 1)
		b.use("lcu")
		if r.ALBAnnotation("scheme") == "internet-facing" {
			b.add("address", b.table.Zones)
		}
		if r.ALBAnnotation("wafv2-acl-arn") != "" {
			b.use("waf-requests")
		}
	case "Service":
		if r.Get("spec", "type") == "LoadBalancer" {
			b.unknown[r.Title()+": load balancer of a Service"] = true
		}
	}
}

// disk adds n disks of a claim.
func (b *bill) disk(r *rendered.Resource, claim any, n float64) {
	size := podsize.Parse(rendered.Get(claim, "spec", "resources", "requests", "storage"))
	if class := rendered.Get(claim, "spec", "storageClassName"); class != "gp3" || size.Unknown {
		b.unknown[fmt.Sprintf("%s: disk of storage class %v", r.Title(), class)] = true
		return
	}
	b.add("gp3-gb", n*size.AsApproximateFloat64()/(1<<30))
}

// nodes adds the nodes that the pods of a stack need by themselves, with Auto Mode.
func (b *bill) nodes(s *rendered.Stack) {
	c := s.Capacity()
	if c.AtMax.CPU.Unknown || c.AtMax.Memory.Unknown {
		b.unknown["nodes for pods whose requests are unknown"] = true
	}
	number := func(share float64) float64 { // of nodes
		between := func(x, y podsize.Size) float64 {
			return (1-share)*x.AsApproximateFloat64() + share*y.AsApproximateFloat64()
		}
		cpu, memory := podsize.Parse(b.table.Node.CPU), podsize.Parse(b.table.Node.Memory)
		return math.Ceil(max(between(c.AtMin.CPU, c.AtMax.CPU)/cpu.AsApproximateFloat64(),
			between(c.AtMin.Memory, c.AtMax.Memory)/memory.AsApproximateFloat64()))
	}
	nodes := Month{AtMin: number(0), AtMax: number(1)}
	if nodes.AtMax == 0 {
		return
	}
	for _, part := range b.table.Profile.Day {
		nodes.Profile += part.Hours / 24 * number(part.Share)
	}
	architecture := "amd64"
	for _, r := range s.Resources {
		if r.Get("spec", "template", "spec", "nodeSelector", "kubernetes.io/arch") == "arm64" {
			architecture = "arm64"
		}
	}
	b.units["node-"+architecture], b.units["auto-"+architecture] = nodes, nodes
}
