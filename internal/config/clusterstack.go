package config

import (
	"fmt"
	"regexp"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"scaleout/internal/decode"
)

// clusterStack is a stack of the project in cluster/, whose outputs take the place of configuration.
type clusterStack struct {
	name    string
	preview bool // what does not exist yet may be unknown
	// known are the outputs that have a value. Before the cluster's first `up`, and offline, that is none.
	known map[string]any
	// unknown is what an output will be. Only a preview uses it.
	unknown func(output string) pulumi.AnyOutput
}

// Outputs of the cluster's program: cluster/main.go.
const (
	outputName            = "clusterName"
	outputRegion          = "region"
	outputPublicSubnets   = "publicSubnetCidrs"
	outputPrivateSubnets  = "privateSubnetCidrs"
	outputNodeCPULimit    = "nodeCpuLimit"
	outputNodeMemoryLimit = "nodeMemoryLimit"
	outputCertificate     = "certificateArn"
	outputZone            = "hostedZoneId"
)

// fromCluster is the value of a key whose meaning is "that of the cluster's stack".
const fromCluster = "cluster"

// clusterStackForm is <organization>/<project>/<stack>, in the characters that Pulumi takes.
var clusterStackForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)

// readClusterStack asks the backend for the outputs of the stack that the configuration names; nil if it names none.
func readClusterStack(ctx *pulumi.Context, name string) (*clusterStack, error) {
	if !clusterStackForm.MatchString(name) { // Parse says what is wrong
		return nil, nil
	}
	reference, err := pulumi.NewStackReference(ctx, name, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", name, err)
	}
	c := &clusterStack{
		name: name, preview: ctx.DryRun(), known: map[string]any{},
		unknown: func(output string) pulumi.AnyOutput { return reference.GetOutput(pulumi.String(output)) },
	}
	for _, output := range []string{
		outputName, outputRegion, outputPublicSubnets, outputPrivateSubnets, outputNodeCPULimit, outputNodeMemoryLimit,
		outputCertificate, outputZone,
	} {
		details, err := reference.GetOutputDetails(output)
		if err != nil {
			return nil, fmt.Errorf("reading output %s of stack %s: %w", output, name, err)
		}
		if details.Value != nil {
			c.known[output] = details.Value
		}
	}
	return c, nil
}

// later tells whether the outputs are not there yet, which a preview puts up with.
func (c *clusterStack) later() bool { return c.preview && len(c.known) == 0 }

// clusterText is the value of a key, or that of an output where the key is set to meaning: empty, or fromCluster.
func (d *decoder) clusterText(key, meaning, output string) pulumi.StringInput {
	text := d.Text(key)
	if text != meaning || d.cluster == nil {
		return pulumi.String(text)
	}
	value := d.cluster.known[output]
	if s, ok := value.(string); ok {
		return pulumi.String(s)
	}
	if d.cluster.later() {
		return d.cluster.unknown(output).AsStringOutput()
	}
	d.missingOutput(key, output)
	return pulumi.String("")
}

// clusterList is clusterText for lists, which are taken from the output if they are empty.
func (d *decoder) clusterList(key, output string) pulumi.StringArrayInput {
	list := d.List(key)
	if len(list) > 0 || d.cluster == nil {
		return pulumi.ToStringArray(list)
	}
	value := d.cluster.known[output]
	if d.cluster.later() {
		return d.cluster.unknown(output).ApplyT(toStrings).(pulumi.StringArrayOutput)
	}
	strings, err := toStrings(value)
	if err != nil || len(strings) == 0 {
		d.missingOutput(key, output)
	}
	return pulumi.ToStringArray(strings)
}

func toStrings(value any) ([]string, error) {
	elements, ok := value.([]any)
	list := make([]string, len(elements))
	for i, element := range elements {
		text, isText := element.(string)
		list[i], ok = text, ok && isText
	}
	if !ok {
		return nil, fmt.Errorf("got %v, want a list of strings", value)
	}
	return list, nil
}

func (d *decoder) missingOutput(key, output string) {
	d.Problem(key, "is to come from output %s of stack %s, which has none; run pulumi up there first, or set %s",
		output, d.cluster.name, d.Key(key))
}

// checkClusterStack finds what does not fit together, before a value is taken from another stack.
func (d *decoder) checkClusterStack(target string) {
	name := d.Text("clusterStack")
	switch {
	case name == "":
		return
	case !clusterStackForm.MatchString(name):
		d.Problem("clusterStack", "got %s, must be <organization>/<project>/<stack>, such as organization/scaleout-cluster/prod",
			d.Shown("clusterStack"))
	case target != "eks":
		d.Problem("clusterStack", "got %s, which is for target eks; leave it empty", d.Shown("clusterStack"))
	case d.cluster != nil:
		if region, known := d.cluster.known[outputRegion]; known && region != d.Optional("aws:region") {
			d.Problem("aws:region", "got %s, but the cluster of stack %s is in %v", d.Shown("aws:region"), name, region)
		}
	}
}

// part is decode.Part for this package's decoder.
func part[T any](d *decoder, used bool, decodePart func() *T) *T {
	return decode.Part(d.Decoder, used, decodePart)
}
