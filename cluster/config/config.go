// Package config turns the configuration of a stack of the cluster into the arguments of its components. Like that of
// the app it is the only place that knows the keys; the defaults are in cluster/Pulumi.yaml and nowhere else.
package config

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/cluster/platform"
	"example.com/scaleout/components/aws"
	"example.com/scaleout/internal/decode"
)

// Config is everything that may differ between two clusters.
type Config struct {
	// Account and region that all is in.
	Account platform.Account
	Network platform.NetworkArgs
	// AWSTags are on all that the AWS provider creates.
	AWSTags map[string]string
	// FlowLogDays is 0 for no flow logs.
	FlowLogDays int
	Roles       platform.RolesArgs
	// ControlPlane is the cluster itself, without Network and Roles.
	ControlPlane platform.ControlPlaneArgs
	// Nodes for pods, without what other resources give them.
	Nodes platform.NodePoolArgs
	// MetricsServerVersion is empty for EKS' default.
	MetricsServerVersion string
	// Certificate for the names below Domain; nil without one.
	Domain      string
	Certificate *aws.CertificateArgs
}

// Load reads the configuration of the stack that the program runs for. One error lists everything wrong with it.
func Load(ctx *pulumi.Context) (*Config, error) {
	values, secrets, err := decode.Environment()
	if err != nil {
		return nil, err
	}
	return Parse(ctx.Project(), ctx.Stack(), values, secrets)
}

// keys are those of the fields of the arguments that the checks below name.
var keys = map[string]string{
	"network.cluster": "name", "network.region": "aws:region", "network.cidr": "vpcCidr", "network.zones": "zones",
	"network.interfaceEndpoints": "interfaceEndpoints",
	"roles.cluster":              "name", "roles.account": "aws:allowedAccountIds", "roles.region": "aws:region",
	"controlPlane.name": "name", "controlPlane.region": "aws:region",
	"controlPlane.account": "aws:allowedAccountIds", "controlPlane.version": "kubernetesVersion",
	"controlPlane.publicCidrs": "apiCidrs", "controlPlane.admins": "adminArns", "controlPlane.viewers": "viewerArns",
	"controlPlane.logTypes": "logTypes", "controlPlane.logRetentionDays": "logDays",
	"controlPlane.supportType": "supportType",
	"nodes.cpuLimit":           "nodeCpuLimit", "nodes.memoryLimit": "nodeMemoryLimit", "nodes.architecture": "nodeArchitecture",
	"nodes.capacity": "nodeCapacity", "nodes.maxAgeHours": "nodeMaxAgeHours",
	"certificate.domain": "domain", "certificate.zoneId": "hostedZoneId",
}

// Parse decodes and checks the configuration of a stack, by keys with their namespace; secrets are the encrypted ones.
func Parse(project, stack string, values map[string]string, secrets []string) (*Config, error) {
	d := decode.New(project, "docs/cluster-configuration.md", values, secrets, keys)
	name, protect := d.Text("name"), d.Boolean("deletionProtection")
	account := platform.Account{ID: accountID(d), Region: d.Optional("aws:region")}
	c := &Config{
		Account: account, AWSTags: d.AWSTags(),
		Network: platform.NetworkArgs{Region: account.Region, SingleNAT: d.Boolean("singleNat"), Protect: protect},
		Roles:   platform.RolesArgs{Cluster: name, Account: account}, FlowLogDays: d.Integer("flowLogDays"),
		ControlPlane:         platform.ControlPlaneArgs{Account: account, Protect: protect},
		MetricsServerVersion: d.Text("metricsServerVersion"),
		Domain:               d.Text("domain"),
	}
	zone := d.Text("hostedZoneId")
	d.Fill("network", &c.Network)
	d.Fill("controlPlane", &c.ControlPlane)
	d.Fill("nodes", &c.Nodes)
	d.Check("network", c.Network.Validate())
	d.Check("roles", c.Roles.Validate())
	d.Check("controlPlane", c.ControlPlane.Validate())
	d.Check("nodes", c.Nodes.Validate())
	d.CheckKey("metricsServerVersion", platform.CheckAddonVersion("metricsServerVersion", c.MetricsServerVersion))
	if c.FlowLogDays != 0 {
		d.CheckKey("flowLogDays", platform.CheckRetention("flowLogDays", c.FlowLogDays))
	}
	if (c.Domain == "") != (zone == "") {
		d.Refuse("domain", "must be set together with hostedZoneId, or neither")
	} else if c.Domain != "" {
		c.Certificate = &aws.CertificateArgs{Domain: "*." + c.Domain, ZoneID: pulumi.String(zone)}
		d.Check("certificate", c.Certificate.Validate())
	}
	return c, d.Finish(stack)
}

// accountID is that of the one account that the AWS provider may touch. The provider's own setting says it, so that a
// wrong profile in the shell cannot put a cluster into another account.
func accountID(d *decode.Decoder) string {
	const key = "aws:allowedAccountIds"
	const want = `the one account that the cluster is in, as a list of a quoted text: ["111122223333"]`
	var ids []string
	if d.Optional(key) == "" {
		d.Problem(key, "is required: %s", want)
		d.Malformed(key)
		return ""
	}
	if err := json.Unmarshal([]byte(d.Optional(key)), &ids); err != nil || len(ids) != 1 {
		d.Mistyped(key, want)
		return ""
	}
	return ids[0]
}
