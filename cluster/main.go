// Command cluster is a Pulumi program: an EKS Auto Mode cluster, its network, and the resources in it that the stacks
// of scaleout use. It is separate from the app's program because other people change it, rarely, and because its AWS
// packages would slow down each build of the app's program.
//
// `pulumi up` runs it without arguments. With arguments it shows offline what it would deploy: `bin/cluster -h`.
package main

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	awssdk "github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/cluster/config"
	"example.com/scaleout/cluster/platform"
	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/component"
	"example.com/scaleout/offline"
)

func main() {
	if len(os.Args) > 1 {
		os.Exit(offline.Main(program, os.Args[1:], os.Stdout, os.Stderr))
	}
	pulumi.Run(program)
}

func program(ctx *pulumi.Context) error {
	cfg, err := config.Load(ctx)
	if err != nil {
		return err
	}
	if err := requireAdmin(ctx, cfg); err != nil {
		return err
	}
	b := component.Stack(ctx)
	network := component.Create(b, platform.NewNetwork, "network", &cfg.Network)
	if cfg.FlowLogDays > 0 {
		platform.NewFlowLogs(b, "flow-logs", cfg.Cluster, network.VPC, cfg.FlowLogDays)
	}
	roles := component.Create(b, platform.NewRoles, "roles", cfg.Cluster)
	cfg.ControlPlane.Network, cfg.ControlPlane.Roles = network, roles
	cfg.Nodes.Role, cfg.Nodes.Subnets = roles.NodeName, network.PrivateSubnets
	cluster := component.Create(b, platform.NewControlPlane, "cluster", &cfg.ControlPlane)
	createClusterResources(b, cfg, cluster)
	if err := b.Err(); err != nil {
		return err
	}
	export(ctx, cfg, network, cluster)
	if cfg.Certificate != nil {
		certificate := component.Create(b, aws.NewCertificate, "apps", cfg.Certificate)
		ctx.Export("certificateArn", certificate.ARN)
		ctx.Export("hostedZoneId", cfg.Certificate.ZoneID)
		ctx.Export("domain", pulumi.String(cfg.Domain))
	}
	return b.Err()
}

// ingressClass and storageClass are the names of the classes that app stacks use.
const ingressClass, storageClass = "alb", "gp3"

// createClusterResources creates the resources in the cluster that an app requires. They depend on the cluster and
// the access entries, and are deleted before them; the nodes are deleted before the resources that they depend on.
func createClusterResources(b *component.Builder, cfg *config.Config, cluster *platform.ControlPlane) {
	provider := component.Create(b, kube.NewEKSProvider, "cluster", kube.EKSCluster{
		Name: cluster.Name, Region: cfg.Cluster.Region,
		Endpoint: cluster.Endpoint, CertificateAuthority: cluster.CertificateAuthority, ARN: cluster.ARN,
	}, pulumi.DependsOn(cluster.Ready))
	inCluster := pulumi.Providers(provider)
	policies := platform.NewNetworkPolicies(b, "network-policies", inCluster)
	cfg.Nodes.SecurityGroup, cfg.Nodes.After = cluster.SecurityGroup, []pulumi.Resource{policies.Ready}
	nodes := platform.NewNodePool(b, "apps", &cfg.Nodes, inCluster)
	platform.NewMetricsServer(b, "metrics-server", cluster.Name, cfg.MetricsServerVersion,
		pulumi.DependsOn([]pulumi.Resource{nodes.Ready}))
	platform.NewStorageClass(b, storageClass, inCluster)
	class := &kube.ALBClassArgs{Name: ingressClass, Controller: kube.EKSAutoMode}
	component.Create(b, kube.NewALBClass, ingressClass, class, inCluster)
}

// export exports the values that app stacks read (names: internal/config/clusterstack.go) and the commands to run next.
func export(ctx *pulumi.Context, cfg *config.Config, network *platform.Network, cluster *platform.ControlPlane) {
	if len(cfg.AWSTags) > 0 {
		ctx.Export("awsTags", pulumi.ToStringMap(cfg.AWSTags))
	}
	ctx.Export("clusterName", cluster.Name)
	ctx.Export("clusterArn", cluster.ARN)
	ctx.Export("region", pulumi.String(cfg.Cluster.Region))
	ctx.Export("oidcIssuer", cluster.OIDCIssuer)
	ctx.Export("vpcId", network.VPC)
	ctx.Export("publicSubnetIds", network.PublicSubnets)
	ctx.Export("privateSubnetIds", network.PrivateSubnets)
	ctx.Export("publicSubnetCidrs", pulumi.ToStringArray(network.Addresses.Public[:]))
	ctx.Export("privateSubnetCidrs", pulumi.ToStringArray(network.Addresses.Private[:]))
	ctx.Export("nodeCpuLimit", pulumi.String(cfg.Nodes.CPULimit))
	ctx.Export("nodeMemoryLimit", pulumi.String(cfg.Nodes.MemoryLimit))
	ctx.Export("imagePlatform", pulumi.String("linux/"+cfg.Nodes.Architecture))
	ctx.Export("ingressClass", pulumi.String(ingressClass))
	ctx.Export("storageClass", pulumi.String(storageClass))
	ctx.Export("nextCommands", pulumi.StringArray{
		pulumi.Sprintf("aws eks update-kubeconfig --region %s --name %s", cfg.Cluster.Region, cluster.Name),
		pulumi.Sprintf("aws eks update-cluster-config --region %s --name %s --deletion-protection",
			cfg.Cluster.Region, cluster.Name),
	})
}

// requireAdmin refuses an `up` by a caller that could not create objects in the cluster, before the quarter of an
// hour that the cluster itself takes. A preview only warns, since CI often previews with another role.
func requireAdmin(ctx *pulumi.Context, cfg *config.Config) error {
	caller, err := awssdk.GetCallerIdentity(ctx, &awssdk.GetCallerIdentityArgs{})
	if err != nil {
		return fmt.Errorf("reading the caller identity from AWS: %w", err)
	}
	admins := cfg.ControlPlane.Admins
	if caller.Arn == "" || slices.ContainsFunc(admins, func(admin string) bool { return actsAs(caller.Arn, admin) }) {
		return nil // offline there is no caller
	}
	problem := fmt.Sprintf("%s is not listed in scaleout-cluster:adminArns (%s), so it could not create anything in the "+
		"cluster; add its role or user, or run this as one of them", caller.Arn, strings.Join(admins, ", "))
	if ctx.DryRun() {
		return ctx.Log.Warn(problem, nil)
	}
	return fmt.Errorf("%s; nothing was touched", problem)
}

// actsAs reports whether a caller is the principal: the same user, or a session of the role. The ARN of a session has
// the role's name without its path: arn:aws:sts::111122223333:assumed-role/ci/session for
// arn:aws:iam::111122223333:role/teams/ci.
func actsAs(caller, principal string) bool {
	account, session, isSession := strings.Cut(caller, ":assumed-role/")
	if !isSession {
		return caller == principal
	}
	name, _, _ := strings.Cut(session, "/")
	owner, role, isRole := strings.Cut(principal, ":role/")
	return isRole && path.Base(role) == name && owner == strings.Replace(account, ":sts:", ":iam:", 1)
}
