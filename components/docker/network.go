package docker

import (
	"slices"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// NetworkArgs describe a network of containers on one Docker host.
type NetworkArgs struct {
	// Name of the network. It is put before the names of all containers in it, since those are unique on a host.
	// Required.
	Name string
}

// Validate reports everything wrong with the arguments.
func (a *NetworkArgs) Validate() field.ErrorList {
	if slices.Contains([]string{"bridge", "host", "none"}, a.Name) {
		return check.Invalid("name", a.Name, "must not be one of Docker's own networks: bridge, host, none")
	}
	return check.Label("name", a.Name)
}

// Network is a private bridge network, on which containers find each other by name.
type Network struct {
	pulumi.ResourceState

	// Name of the network.
	Name pulumi.StringOutput

	prefix string
}

// NewNetwork creates the network.
func NewNetwork(
	ctx *pulumi.Context, name string, args *NetworkArgs, opts ...pulumi.ResourceOption,
) (*Network, error) {
	n := &Network{prefix: args.Name}
	if err := register(ctx, "DockerNetwork", name, args.Validate(), n, opts); err != nil {
		return nil, err
	}
	network, err := docker.NewNetwork(ctx, name, &docker.NetworkArgs{
		Name:   pulumi.String(args.Name),
		Driver: pulumi.String("bridge"),
		Labels: docker.NetworkLabelArray{docker.NetworkLabelArgs{
			Label: pulumi.String(networkLabel), Value: pulumi.String(args.Name),
		}},
	}, pulumi.Parent(n))
	if err != nil {
		return nil, creating("network", name, err)
	}
	n.Name = network.Name
	return n, ctx.RegisterResourceOutputs(n, pulumi.Map{"name": n.Name})
}
