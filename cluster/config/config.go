// Package config converts the configuration of a cluster stack into the arguments of its components. It is the only
// package that uses the keys of this project. All defaults are in cluster/Pulumi.yaml.
package config

import (
	"encoding/json"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/cluster/platform"
	"example.com/scaleout/components/aws"
	"example.com/scaleout/internal/decode"
)

// Config holds everything that may differ between two clusters.
type Config struct {
	Cluster platform.Cluster
	Network platform.NetworkArgs
	// AWSTags are added to all resources that the AWS provider creates.
	AWSTags map[string]string
	// FlowLogDays is 0 for no flow logs.
	FlowLogDays int
	// ControlPlane is without the network and the roles, Nodes without the inputs from other resources.
	ControlPlane platform.ControlPlaneArgs
	Nodes        platform.NodePoolArgs
	// MetricsServerVersion is empty for the default of EKS.
	MetricsServerVersion string
	// Certificate is for the names directly below Domain; nil without one.
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

// keys maps the argument fields that the checks below report to their configuration keys.
var keys = map[string]string{
	"cluster.name": "name", "cluster.account": "aws:allowedAccountIds", "cluster.region": "aws:region",
	"network.cidr": "vpcCidr", "network.zones": "zones", "network.interfaceEndpoints": "interfaceEndpoints",
	"controlPlane.version": "kubernetesVersion", "controlPlane.publicCidrs": "apiCidrs",
	"controlPlane.admins": "adminArns", "controlPlane.viewers": "viewerArns", "controlPlane.logTypes": "logTypes",
	"controlPlane.logRetentionDays": "logDays", "controlPlane.supportType": "supportType",
	"nodes.cpuLimit": "nodeCpuLimit", "nodes.memoryLimit": "nodeMemoryLimit",
	"nodes.architecture": "nodeArchitecture", "nodes.capacity": "nodeCapacity", "nodes.maxAgeHours": "nodeMaxAgeHours",
	"certificate.domain": "domain", "certificate.zoneId": "hostedZoneId",
}

// Parse decodes and checks the configuration of a stack. values has full keys; secrets lists the encrypted ones.
func Parse(project, stack string, values map[string]string, secrets []string) (*Config, error) {
	d := decode.New(project, "docs/cluster-configuration.md", values, secrets, keys)
	cluster := platform.Cluster{
		Account: accountID(d), Region: d.Optional("aws:region"), Protect: d.Boolean("deletionProtection"),
	}
	d.Fill("cluster", &cluster)
	c := &Config{
		Cluster: cluster, AWSTags: d.AWSTags(), FlowLogDays: d.Integer("flowLogDays"), Domain: d.Text("domain"),
		Network:              platform.NetworkArgs{Cluster: cluster, SingleNAT: d.Boolean("singleNat")},
		ControlPlane:         platform.ControlPlaneArgs{Cluster: cluster},
		MetricsServerVersion: d.Text("metricsServerVersion"),
	}
	zone := d.Text("hostedZoneId")
	d.Fill("network", &c.Network)
	d.Fill("controlPlane", &c.ControlPlane)
	d.Fill("nodes", &c.Nodes)
	d.Check("cluster", cluster.Validate())
	d.Check("network", c.Network.Validate())
	d.Check("controlPlane", c.ControlPlane.Validate())
	d.Check("nodes", c.Nodes.Validate())
	d.Check("metricsServerVersion", platform.CheckAddonVersion("metricsServerVersion", c.MetricsServerVersion))
	if c.FlowLogDays != 0 {
		d.Check("flowLogDays", platform.CheckRetention("flowLogDays", c.FlowLogDays))
	}
	if (c.Domain == "") != (zone == "") {
		d.Refuse("domain", "must be set together with hostedZoneId, or neither")
	} else if c.Domain != "" {
		c.Certificate = &aws.CertificateArgs{Domain: "*." + c.Domain, ZoneID: pulumi.String(zone)}
		d.Check("certificate", c.Certificate.Validate())
	}
	return c, d.Finish(stack)
}

// accountID returns the one account that the AWS provider may use. It is the provider's own setting, so that a wrong
// profile in the shell cannot create a cluster in another account.
func accountID(d *decode.Decoder) string {
	const key = "aws:allowedAccountIds"
	const want = `the one account of the cluster, as a list with one quoted string: ["111122223333"]`
	var ids []string
	if d.Optional(key) == "" {
		d.Problem(key, "is required: %s", want)
		d.Malformed(key)
		return ""
	}
	if err := json.Unmarshal([]byte(d.Optional(key)), &ids); err != nil || len(ids) != 1 {
		d.WrongType(key, want)
		return ""
	}
	return ids[0]
}
