package config

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/decode"
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
	outputARN             = "clusterArn"
	outputPlatform        = "imagePlatform"
	outputClass           = "ingressClass"
	outputDomain          = "domain"
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

// readClusterStack asks the backend for the outputs of the stack that the configuration names.
func readClusterStack(ctx *pulumi.Context, name string) (*clusterStack, error) {
	reference, err := pulumi.NewStackReference(ctx, name, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", name, err)
	}
	c := &clusterStack{
		name: name, preview: ctx.DryRun(), known: map[string]any{},
		unknown: func(output string) pulumi.AnyOutput { return reference.GetOutput(pulumi.String(output)) },
	}
	for _, output := range []string{
		outputName, outputARN, outputRegion, outputPublicSubnets, outputPrivateSubnets, outputNodeCPULimit, outputNodeMemoryLimit,
		outputPlatform, outputClass, outputDomain, outputCertificate, outputZone,
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

// unread stands for a stack that nobody has asked yet: what is wrong with the rest of the configuration is told first.
func unread(name string) *clusterStack {
	if name == "" {
		return nil
	}
	return &clusterStack{name: name, preview: true, unknown: func(string) pulumi.AnyOutput { return pulumi.Any("") }}
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
	if d.cluster.later() {
		return d.cluster.unknown(output).ApplyT(func(value any) []string {
			texts, _ := decode.Strings(value)
			return texts
		}).(pulumi.StringArrayOutput)
	}
	texts, ok := decode.Strings(d.cluster.known[output])
	if !ok || len(texts) == 0 {
		d.missingOutput(key, output)
	}
	return pulumi.ToStringArray(texts)
}

// missingOutput is the only problem of a key: what else could be said is about the empty value in its place.
func (d *decoder) missingOutput(key, output string) {
	switch {
	case len(d.cluster.known) == 0:
		d.Refuse("clusterStack", "which has no outputs yet; run pulumi up there first")
	case output == outputCertificate || output == outputZone:
		d.Problem(key, "is to come from stack %s, which has no output %s: set domain and hostedZoneId there and run pulumi up, "+
			"or set %s here", d.cluster.name, output, d.Key(key))
	default:
		d.Problem(key, "is to come from stack %s, which has no output %s; is it a stack of the project in cluster/?",
			d.cluster.name, output)
	}
	d.Malformed(key)
}

// checkClusterStack finds what does not fit together, before a value is taken from another stack.
func (d *decoder) checkClusterStack(target string) {
	name := d.Text("clusterStack")
	switch {
	case name == "":
		return
	case !clusterStackForm.MatchString(name):
		d.Refuse("clusterStack", "must be <organization>/<project>/<stack>, such as organization/scaleout-cluster/prod")
	case target != "eks":
		d.Refuse("clusterStack", "which is for target eks; leave it empty")
	case d.cluster != nil:
		d.compare("aws:region", d.Optional("aws:region"), outputRegion)
		platform := strings.Split(d.Text("imagePlatform"), "/") // a variant, as in linux/arm64/v8, is no matter of the nodes
		d.compare("imagePlatform", strings.Join(platform[:min(2, len(platform))], "/"), outputPlatform)
		if cluster := d.Text("eksCluster"); cluster != "" {
			d.compare("eksCluster", cluster, outputName)
		}
		d.compareAccount()
	}
}

// compare wants the value of a key to be that of an output.
func (d *decoder) compare(key, value, output string) {
	if of, known := d.cluster.known[output]; known && of != value {
		d.Refuse(key, "but output %s of stack %s is %v", output, d.cluster.name, of)
	}
}

// compareAccount wants the cluster to be in an account that the AWS provider may touch, if there are such.
func (d *decoder) compareAccount() {
	const key, account = "aws:allowedAccountIds", 4 // arn:aws:eks:<region>:<account>:cluster/<name>
	arn, _ := d.cluster.known[outputARN].(string)
	parts, allowed := strings.Split(arn, ":"), d.Optional(key)
	if allowed == "" || len(parts) <= account {
		return
	}
	var ids []string
	if err := json.Unmarshal([]byte(allowed), &ids); err != nil {
		d.Mistyped(key, `a list of quoted texts, such as ["111122223333"]`)
	} else if !slices.Contains(ids, parts[account]) {
		d.Refuse(key, "but the cluster of stack %s is in account %s", d.cluster.name, parts[account])
	}
}

// checkClusterCertificate wants a host that the cluster's certificate, which is for one label below its domain, is for.
func (d *decoder) checkClusterCertificate(host string) {
	domain, known := d.cluster.known[outputDomain].(string)
	if label, below, _ := strings.Cut(host, "."); known && (below != domain || label == "") {
		d.Refuse("host", "but the certificate of stack %s is for names directly below %s", d.cluster.name, domain)
	}
}
