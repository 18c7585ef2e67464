package docker

import (
	"slices"
	"strconv"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Limits are what one container may use. Docker reserves nothing, so there are no requests.
type Limits struct {
	// CPU as a Kubernetes quantity, e.g. 500m for half a core; at least 10m. Empty for no limit.
	CPU string
	// Memory as a Kubernetes quantity, e.g. 64Mi; Docker's unit is 1Mi, its least 6Mi. Required.
	Memory string
}

// minCPU is the least CPU that Docker accepts, in thousandths of a core.
const minCPU = 10

// Validate reports everything wrong with the limits.
func (l Limits) Validate() field.ErrorList {
	problems := check.Memory("memory", l.Memory)
	if len(problems) == 0 {
		if memory := resource.MustParse(l.Memory); memory.Value()%(1<<20) != 0 {
			problems = check.Invalid("memory", l.Memory, "must be a whole number of Mi, the unit of Docker")
		}
	}
	if l.CPU == "" {
		return problems
	}
	cpuProblems := check.CPU("cpu", l.CPU)
	if len(cpuProblems) == 0 {
		if cpu := resource.MustParse(l.CPU); cpu.MilliValue() < minCPU {
			cpuProblems = check.Invalid("cpu", l.CPU, "must be at least 10m, the least of Docker")
		}
	}
	return append(problems, cpuProblems...)
}

// Labels of what is made on a Docker host, to find it by: docker ps --filter label=scaleout.network=<name>.
const (
	networkLabel   = "scaleout.network"
	componentLabel = "scaleout.component"
)

// runLimit is how many seconds a container may take to become healthy, of which a first start needs one or two.
const runLimit = 60

// named adds what is wrong with the name of a component, by which others find its containers in the network.
func named(name string, problems field.ErrorList) field.ErrorList {
	return append(problems, check.ObjectName(name)...)
}

// newContainer creates a container with what all of them have in common: a name, a place in the network where
// alias finds it, limits and no privileges. If it has a health check, `pulumi up` waits for it. Docker changes nothing
// about a container that exists, so the provider replaces it, and deletes the old one first, since its name is taken.
func newContainer(
	ctx *pulumi.Context, parent pulumi.Resource, name, alias string, network *Network, limits Limits,
	c *docker.ContainerArgs, after ...pulumi.Resource,
) (*docker.Container, error) {
	c.Name = pulumi.String(network.prefix + "-" + name)
	c.Hostname = pulumi.String(name)
	c.NetworksAdvanced = docker.ContainerNetworksAdvancedArray{docker.ContainerNetworksAdvancedArgs{
		Name: network.Name, Aliases: pulumi.ToStringArray([]string{alias}),
	}}
	c.Labels = docker.ContainerLabelArray{
		docker.ContainerLabelArgs{Label: pulumi.String(componentLabel), Value: pulumi.String(alias)},
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
	c.Restart = pulumi.String("unless-stopped") // after a crash and with the Docker daemon
	// Docker keeps logs for ever unless told otherwise.
	c.LogDriver = pulumi.String("json-file")
	c.LogOpts = pulumi.ToStringMap(map[string]string{"max-size": "10m", "max-file": "3"})
	c.StopTimeout = c.DestroyGraceSeconds // for `docker stop` and the end of the daemon
	after = slices.DeleteFunc(slices.Clone(after), func(r pulumi.Resource) bool { return r == nil })
	if c.Healthcheck != nil { // or the provider fails: https://github.com/kreuzwerker/terraform-provider-docker/issues/569
		c.Wait = pulumi.Bool(true)
		c.WaitTimeout = pulumi.Int(runLimit)
	}
	container, err := docker.NewContainer(ctx, name, c,
		pulumi.Parent(parent), pulumi.DependsOn(after), pulumi.DeleteBeforeReplace(true),
		// Docker itself limits swap to as much again as the memory, and the provider takes that for a change to be undone,
		// in each preview anew.
		pulumi.IgnoreChanges([]string{"memorySwap"}))
	if err != nil {
		return nil, creating("container", name, err)
	}
	return container, nil
}

// healthcheck runs a command in the container every five seconds, which is also what `pulumi up` waits for each at
// the least. The check costs far more than what it checks, since each is a process in a container: every two seconds
// five idle containers kept half a core busy, every five a quarter. (Docker 25 has a shorter interval for the start.)
func healthcheck(command ...string) *docker.ContainerHealthcheckArgs {
	return &docker.ContainerHealthcheckArgs{
		Tests:    pulumi.ToStringArray(command),
		Interval: pulumi.String("5s"),
		Timeout:  pulumi.String("3s"),
		Retries:  pulumi.Int(3),
	}
}

// file is a file in a container, which is there before its first process. Other users than the container's own
// do not exist in it.
func file(path string, content pulumi.StringInput) docker.ContainerUploadArgs {
	return docker.ContainerUploadArgs{
		File: pulumi.String(path), Content: content.ToStringOutput().ToStringPtrOutput(), Permissions: pulumi.String("0444"),
	}
}

// loopbackPort publishes a port on the host's loopback interface, where nobody else in the host's network gets at it.
func loopbackPort(external, internal int) docker.ContainerPortArray {
	return docker.ContainerPortArray{docker.ContainerPortArgs{
		Internal: pulumi.Int(internal), External: pulumi.Int(external), Ip: pulumi.String("127.0.0.1"),
	}}
}
