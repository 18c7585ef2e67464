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
	preview bool // outputs may be unknown
	// known holds the outputs that have a value. It is empty offline and before the cluster's first `up`.
	known map[string]any
	// unknown returns an output that has no value yet. Only a preview uses it.
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

// ClusterOutputs lists the outputs that are read from a cluster's stack.
var ClusterOutputs = []string{
	outputName, outputARN, outputRegion, outputPublicSubnets, outputPrivateSubnets, outputNodeCPULimit,
	outputNodeMemoryLimit, outputPlatform, outputClass, outputDomain, outputCertificate, outputZone,
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
	texts, ok := decode.Strings(d.cluster.known[output])
	if !ok || len(texts) == 0 {
		d.missingOutput(key, output)
	}
	return pulumi.ToStringArray(texts)
}

// missingOutput reports a missing output, and suppresses problems of the empty value used instead.
func (d *decoder) missingOutput(key, output string) {
	switch {
	case len(d.cluster.known) == 0:
		d.Refuse("clusterStack", "which has no outputs yet; run pulumi up there first")
	case output == outputCertificate || output == outputZone:
		d.Problem(key, "takes its value from stack %s, which has no output %s: set domain and hostedZoneId there and "+
			"run pulumi up, or set %s here", d.cluster.name, output, d.Key(key))
	default:
		d.Problem(key, "takes its value from stack %s, which has no output %s; use a stack of the project in cluster/",
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
		d.compare("aws:region", d.Optional("aws:region"), outputRegion)
		platform := strings.Split(d.Text("imagePlatform"), "/") // nodes have no variant such as linux/arm64/v8
		d.compare("imagePlatform", strings.Join(platform[:min(2, len(platform))], "/"), outputPlatform)
		if cluster := d.Text("eksCluster"); cluster != "" {
			d.compare("eksCluster", cluster, outputName)
		}
		d.compareAccount()
	}
}

// compare requires the value of a key to equal that of an output.
func (d *decoder) compare(key, value, output string) {
	if of, known := d.cluster.known[output]; known && of != value {
		d.Refuse(key, "but output %s of stack %s is %v", output, d.cluster.name, of)
	}
}

// compareAccount requires the cluster to be in an account that the AWS provider may use, if the configuration
// restricts it.
func (d *decoder) compareAccount() {
	const key, account = "aws:allowedAccountIds", 4 // arn:aws:eks:<region>:<account>:cluster/<name>
	arn, _ := d.cluster.known[outputARN].(string)
	parts, allowed := strings.Split(arn, ":"), d.Optional(key)
	if allowed == "" || len(parts) <= account {
		return
	}
	var ids []string
	if err := json.Unmarshal([]byte(allowed), &ids); err != nil {
		d.WrongType(key, `a list of quoted strings, such as ["111122223333"]`)
	} else if !slices.Contains(ids, parts[account]) {
		d.Refuse(key, "but the cluster of stack %s is in account %s", d.cluster.name, parts[account])
	}
}

// checkClusterCertificate requires a host that the cluster's wildcard certificate covers: one label below its domain.
func (d *decoder) checkClusterCertificate(host string) {
	domain, known := d.cluster.known[outputDomain].(string)
	if label, below, _ := strings.Cut(host, "."); known && (below != domain || label == "") {
		d.Refuse("host", "but the certificate of stack %s covers only names directly below %s", d.cluster.name, domain)
	}
}
