package docker

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// Limits are the resource limits of one container. Docker reserves nothing, so there are no requests.
type Limits struct {
	// CPU as a Kubernetes quantity, e.g. 500m for half a core; at least 10m. Empty for no limit.
	CPU string
	// Memory as a Kubernetes quantity, e.g. 64Mi; a whole number of Mi and at least 6Mi. Required.
	Memory string
}

// Validate reports everything wrong with the limits.
func (l Limits) Validate() field.ErrorList {
	problems := check.Memory("memory", l.Memory)
	if len(problems) == 0 {
		size := resource.MustParse(l.Memory)
		problems = check.That(size.Value()%(1<<20) == 0, "memory", l.Memory,
			"must be a whole number of Mi, the unit of Docker's limit")
	}
	if l.CPU != "" { // 10m is Docker's minimum
		problems = append(problems, check.Quantity("cpu", l.CPU, "10m", "1000", "250m")...)
	}
	return problems
}

// Labels of all objects on a Docker host: docker ps --filter label=scaleout.network=<name>.
const (
	networkLabel   = "scaleout.network"
	componentLabel = "scaleout.component"
)

// newContainer creates a container with the settings that all containers share: a name, the component's name as the
// network alias, limits, and no privileges. If it has a health check, `pulumi up` waits for it.
func newContainer(
	b *component.Builder, suffix string, network *Network, limits Limits, c *docker.ContainerArgs,
	after ...pulumi.Resource,
) *docker.Container {
	c.Name = pulumi.String(network.prefix + "-" + b.Name + suffix)
	c.Hostname = pulumi.String(b.Name + suffix)
	c.NetworksAdvanced = docker.ContainerNetworksAdvancedArray{docker.ContainerNetworksAdvancedArgs{
		Name: network.Name, Aliases: pulumi.ToStringArray([]string{b.Name}),
	}}
	c.Labels = docker.ContainerLabelArray{
		docker.ContainerLabelArgs{Label: pulumi.String(componentLabel), Value: pulumi.String(b.Name)},
		docker.ContainerLabelArgs{Label: pulumi.String(networkLabel), Value: pulumi.String(network.prefix)},
	}
	memory := resource.MustParse(limits.Memory)
	c.Memory = pulumi.Int(int(memory.Value() >> 20))
	if limits.CPU != "" {
		cpu := resource.MustParse(limits.CPU)
		c.Cpus = pulumi.String(strconv.FormatFloat(cpu.AsApproximateFloat64(), 'f', -1, 64))
	}
	c.Capabilities = &docker.ContainerCapabilitiesArgs{Drops: pulumi.ToStringArray([]string{"ALL"})}
	c.SecurityOpts = pulumi.ToStringArray([]string{"no-new-privileges"})
	c.Restart = pulumi.String("unless-stopped") // after a crash, and when the Docker daemon starts
	c.StopTimeout = c.DestroyGraceSeconds       // for `docker stop` and a stop of the daemon
	// Docker does not limit the size of logs by default.
	c.LogDriver = pulumi.String("json-file")
	c.LogOpts = pulumi.ToStringMap(map[string]string{"max-size": "10m", "max-file": "3"})
	if c.Healthcheck != nil { // otherwise fails: https://github.com/kreuzwerker/terraform-provider-docker/issues/569
		c.Wait = pulumi.Bool(true)
		c.WaitTimeout = pulumi.Int(60) // a first start needs one or two seconds
	}
	return component.Create(b, docker.NewContainer, suffix, c,
		pulumi.DependsOn(component.Present(after...)), pulumi.DeleteBeforeReplace(true),
		// Docker sets a swap limit, which the provider would report as a change in every preview.
		pulumi.IgnoreChanges([]string{"memorySwap"}))
}

// healthcheck runs a command in the container every 5 s, which is also the minimum that `pulumi up` waits for each
// container. Each run is a process: at every 2 s, the checks of five idle containers used half a core.
func healthcheck(command ...string) *docker.ContainerHealthcheckArgs {
	return &docker.ContainerHealthcheckArgs{
		Tests:    pulumi.ToStringArray(command),
		Interval: pulumi.String("5s"),
		Timeout:  pulumi.String("3s"),
		Retries:  pulumi.Int(3),
	}
}

// file is copied into a container before its first process starts. It is world-readable, because the container has no
// users besides its own. Docker copies files only into a container whose file system is writable: it belongs to root,
// and no process runs as root or has the capability to become root.
func file(path string, content pulumi.StringInput) docker.ContainerUploadArgs {
	return docker.ContainerUploadArgs{
		File: pulumi.String(path), Content: content.ToStringOutput().ToStringPtrOutput(), Permissions: pulumi.String("0444"),
	}
}

// NetworkArgs describes a network of containers on one Docker host.
type NetworkArgs struct {
	// Name of the network, and the prefix of the names of its containers, which are unique on a host. Required.
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
func NewNetwork(ctx *pulumi.Context, name string, args *NetworkArgs, opts ...pulumi.ResourceOption) (*Network, error) {
	args = cmp.Or(args, &NetworkArgs{})
	n := &Network{prefix: args.Name}
	b, err := component.Register(ctx, "scaleout:index", "DockerNetwork", name, args.Validate(), n, opts)
	if err != nil {
		return nil, err
	}
	n.Name = component.Create(b, docker.NewNetwork, "", &docker.NetworkArgs{
		Name:   pulumi.String(args.Name),
		Driver: pulumi.String("bridge"),
		Labels: docker.NetworkLabelArray{docker.NetworkLabelArgs{
			Label: pulumi.String(networkLabel), Value: pulumi.String(args.Name),
		}},
	}).Name
	return n, b.Finish(pulumi.Map{"name": n.Name})
}
