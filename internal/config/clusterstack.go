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

// clusterStack is a stack of the project in cluster/, whose outputs replace configuration values.
type clusterStack struct {
	name    string
	preview bool                                 // outputs may be unknown
	known   map[string]any                       // the outputs with a value: none offline and before the first `up`
	unknown func(output string) pulumi.AnyOutput // one that has no value yet; only a preview uses it
}

// ClusterOutputs lists the outputs that are read from a cluster's stack: cluster/main.go.
var ClusterOutputs = []string{
	"clusterName", "clusterArn", "region", "publicSubnetCidrs", "privateSubnetCidrs", "nodeCpuLimit", "nodeMemoryLimit",
	"imagePlatform", "ingressClass", "domain", "certificateArn", "hostedZoneId",
}

// clusterOutput is the value of a key that selects the output of the cluster's stack.
const clusterOutput = "cluster"

// clusterStackForm matches <organization>/<project>/<stack>, in the characters that Pulumi accepts.
var clusterStackForm = regexp.MustCompile(`^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$`)

// readClusterStack reads the outputs of a cluster's stack through a StackReference.
func readClusterStack(ctx *pulumi.Context, name string) (*clusterStack, error) {
	reference, err := pulumi.NewStackReference(ctx, name, nil)
	if err != nil {
		return nil, fmt.Errorf("reading the outputs of stack %s: %w", name, err)
	}
	c := &clusterStack{
		name: name, preview: ctx.DryRun(), known: map[string]any{},
		unknown: func(output string) pulumi.AnyOutput { return reference.GetOutput(pulumi.String(output)) },
	}
	for _, output := range ClusterOutputs {
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

// unread returns a stand-in for a stack that is not read yet, so that other problems are reported before it is read.
func unread(name string) *clusterStack {
	if name == "" {
		return nil
	}
	return &clusterStack{name: name, preview: true, unknown: func(string) pulumi.AnyOutput { return pulumi.Any("") }}
}

// later reports whether the outputs do not exist yet, which a preview tolerates.
func (c *clusterStack) later() bool { return c.preview && len(c.known) == 0 }

// clusterText returns the value of a key, or of an output if the key is set to meaning: empty, or clusterOutput.
func (d *decoder) clusterText(key, meaning, output string) pulumi.StringInput {
	text := d.Text(key)
	switch {
	case text != meaning || d.cluster == nil && meaning == "":
		return pulumi.String(text)
	case d.cluster == nil:
		d.Refuse(key, "which takes the value from clusterStack; set that too")
		d.Malformed(key)
		return pulumi.String("")
	case d.cluster.later():
		return d.cluster.unknown(output).AsStringOutput()
	}
	value, ok := d.cluster.known[output].(string)
	if !ok {
		d.missingOutput(key, output)
	}
	return pulumi.String(value)
}

// clusterList is clusterText for lists: an empty list is replaced by the output.
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
	texts, _ := decode.Strings(d.cluster.known[output])
	if len(texts) == 0 {
		d.missingOutput(key, output)
	}
	return pulumi.ToStringArray(texts)
}

// missingOutput reports a missing output, and suppresses problems of the empty value used instead.
func (d *decoder) missingOutput(key, output string) {
	if len(d.cluster.known) == 0 {
		d.Refuse("clusterStack", "which has no outputs yet; run pulumi up there first")
	} else {
		d.Problem(key, "takes its value from stack %s, which has no output %s; use a stack of the project in cluster/ "+
			"(for certificateArn and hostedZoneId, set domain and hostedZoneId there and run pulumi up)",
			d.cluster.name, output)
	}
	d.Malformed(key)
}

// checkClusterStack refuses settings that contradict the cluster's stack.
func (d *decoder) checkClusterStack(target string) {
	name := d.Text("clusterStack")
	switch {
	case name == "":
		return
	case !clusterStackForm.MatchString(name):
		d.Refuse("clusterStack", "must be <organization>/<project>/<stack>, such as organization/scaleout-cluster/prod")
	case target != "eks":
		d.Refuse("clusterStack", "but only target eks uses it; leave it empty")
	case d.cluster != nil:
		d.compare("aws:region", d.Optional("aws:region"), "region")
		platform := strings.Split(d.Text("imagePlatform"), "/") // nodes have no variant such as linux/arm64/v8
		d.compare("imagePlatform", strings.Join(platform[:min(2, len(platform))], "/"), "imagePlatform")
		if cluster := d.Text("eksCluster"); cluster != "" {
			d.compare("eksCluster", cluster, "clusterName")
		}
		d.compareAccount()
		d.compareDomain()
	}
}

// compare requires the value of a key to equal that of an output.
func (d *decoder) compare(key, value, output string) {
	of, known := d.cluster.known[output]
	d.RefuseIf(known && of != value, key, "but output %s of stack %s is %v", output, d.cluster.name, of)
}

// compareAccount requires the cluster to be in one of the accounts that the AWS provider may use.
func (d *decoder) compareAccount() {
	const key, account = "aws:allowedAccountIds", 4 // arn:aws:eks:<region>:<account>:cluster/<name>
	arn, _ := d.cluster.known["clusterArn"].(string)
	if parts, allowed := strings.Split(arn, ":"), d.Optional(key); allowed != "" && len(parts) > account {
		var ids []string
		err := json.Unmarshal([]byte(allowed), &ids)
		d.RefuseIf(err != nil || !slices.Contains(ids, parts[account]), key,
			"must be a list of quoted strings with the account of the cluster of stack %s: [%q]",
			d.cluster.name, parts[account])
	}
}

// compareDomain requires a host that the cluster's wildcard certificate covers: one label below its domain.
func (d *decoder) compareDomain() {
	domain, known := d.cluster.known["domain"].(string)
	label, below, _ := strings.Cut(d.Text("host"), ".")
	d.RefuseIf(known && d.Text("certificateArn") == clusterOutput && (below != domain || label == ""),
		"host", "but the certificate of stack %s covers only names directly below %s", d.cluster.name, domain)
}
