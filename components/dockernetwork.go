package components

import (
	"slices"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// DockerNetworkArgs describe a network of containers on one Docker host.
type DockerNetworkArgs struct {
	// Name of the network. It is put before the names of all containers in it, since those are unique on a host.
	// Required.
	Name string
}

// Validate reports everything wrong with the arguments.
func (a *DockerNetworkArgs) Validate() field.ErrorList {
	if slices.Contains([]string{"bridge", "host", "none"}, a.Name) {
		return check.Invalid("name", a.Name, "must not be one of Docker's own networks: bridge, host, none")
	}
	return check.Label("name", a.Name)
}

// DockerNetwork is a private bridge network, on which containers find each other by name.
type DockerNetwork struct {
	pulumi.ResourceState

	// Name of the network.
	Name pulumi.StringOutput

	prefix string
}

// NewDockerNetwork creates the network.
func NewDockerNetwork(
	ctx *pulumi.Context, name string, args *DockerNetworkArgs, opts ...pulumi.ResourceOption,
) (*DockerNetwork, error) {
	n := &DockerNetwork{prefix: args.Name}
	inputs := pulumi.Map{"name": pulumi.String(args.Name)}
	if err := register(ctx, "DockerNetwork", name, args.Validate(), inputs, n, opts); err != nil {
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
