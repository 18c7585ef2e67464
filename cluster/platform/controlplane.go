package platform

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/cloudwatch"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/kms"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// ControlPlaneArgs describe an EKS cluster in Auto Mode.
type ControlPlaneArgs struct {
	// Network and Roles are the network and the IAM roles of the cluster. Required.
	Network *Network
	Roles   *Roles
	// Cluster has its name and its account. Required.
	Cluster Cluster
	// Version of Kubernetes, e.g. 1.35. EKS upgrades one minor version at a time. Required.
	Version string
	// PublicCIDRs may reach the API over the internet. Empty: the API is reachable from within the VPC only.
	PublicCIDRs []string
	// LogTypes are the enabled control plane logs: api, audit, authenticator, controllerManager, scheduler.
	LogTypes []string
	// LogRetentionDays is the retention of the logs, one of the values that CloudWatch accepts. Required.
	LogRetentionDays int
	// Admins are ARNs of roles and users with full access to the cluster, Viewers of those that may read everything except
	// Secrets. The caller of this program must be an admin, since it creates objects in the cluster. Admins are required.
	Admins, Viewers []string
	// SupportType selects what happens at the end of a version's standard support: STANDARD upgrades the cluster
	// automatically, EXTENDED keeps the version, at six times the price. Required.
	// https://docs.aws.amazon.com/eks/latest/userguide/view-upgrade-policy.html
	SupportType string
}

var (
	// https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html
	logTypes      = []string{"api", "audit", "authenticator", "controllerManager", "scheduler"}
	versionForm   = regexp.MustCompile(`^1\.[3-9][0-9]$`) // the sleep action of preStop hooks needs 1.30
	principalForm = regexp.MustCompile(`^[0-9]{12}:(role|user)/[0-9A-Za-z_+=,.@/-]+$`)
)

// Validate reports everything wrong with the arguments that is known before other resources exist, except with Cluster.
func (a *ControlPlaneArgs) Validate() field.ErrorList {
	isLog := func(name string) bool { return slices.Contains(logTypes, name) }
	iam := a.Cluster.arn("iam::")
	isPrincipal := func(arn string) bool {
		principal, inPartition := strings.CutPrefix(arn, iam)
		return inPartition && principalForm.MatchString(principal)
	}
	isViewer := func(arn string) bool { return isPrincipal(arn) && !slices.Contains(a.Admins, arn) }
	principal := "must be " + iam + "<account>:role/<name>, or user/<name>; for a session (assumed-role), its role; " +
		"listed once, as an admin or a viewer" // EKS has one access entry per principal
	problems := slices.Concat(
		check.Match("version", a.Version, versionForm,
			"must be a version of Kubernetes from 1.30, such as 1.35, in quotation marks"),
		checkEach("logTypes", a.LogTypes, isLog, "must be one of "+strings.Join(logTypes, ", ")+", not repeated"),
		CheckRetention("logRetentionDays", a.LogRetentionDays),
		checkEach("admins", a.Admins, isPrincipal, principal),
		checkEach("viewers", a.Viewers, isViewer, principal),
		check.OneOf("supportType", a.SupportType, "STANDARD", "EXTENDED"),
	)
	for _, cidr := range a.PublicCIDRs {
		problems = append(problems, check.That(isPublic(cidr), "publicCidrs", cidr, "must be a CIDR of public IPv4 "+
			"addresses, and no more than a /8 of them, such as 203.0.113.0/24: those of the office, the VPN and CI")...)
	}
	if len(a.Admins) == 0 {
		problems = append(problems, field.Required(field.NewPath("admins"),
			"without an admin not even this program could access the cluster: add the ARN of your own role"))
	}
	return problems
}

// isPublic reports whether a CIDR has public addresses and is not most of the internet. EKS refuses others only after
// a quarter of an hour: https://docs.aws.amazon.com/eks/latest/APIReference/API_VpcConfigRequest.html
func isPublic(cidr string) bool {
	block, err := netip.ParsePrefix(cidr)
	address := block.Addr()
	return err == nil && block == block.Masked() && block.Bits() >= 8 &&
		address.Is4() && address.IsGlobalUnicast() && !address.IsPrivate()
}

// ControlPlane is an EKS cluster in Auto Mode: AWS manages its nodes, load balancers and volumes.
type ControlPlane struct {
	pulumi.ResourceState

	// Name, ARN, Endpoint and CertificateAuthority identify the cluster and its API server.
	Name, ARN, Endpoint, CertificateAuthority pulumi.StringOutput
	// SecurityGroup is the ID of the security group that EKS assigns to the control plane and the nodes.
	SecurityGroup pulumi.StringOutput
	// OIDCIssuer is the URL of the cluster's identity provider, for roles of service accounts (IRSA).
	OIDCIssuer pulumi.StringOutput
	// Ready contains the cluster and its access entries, without which a destroy could not delete the objects in it.
	Ready []pulumi.Resource
}

// NewControlPlane creates the cluster, its key, its log group and its access entries.
func NewControlPlane(
	ctx *pulumi.Context, name string, args *ControlPlaneArgs, opts ...pulumi.ResourceOption,
) (*ControlPlane, error) {
	c := &ControlPlane{}
	b, err := component.Register(ctx, module, "ControlPlane", name, args.Validate(), c, opts)
	if err != nil {
		return nil, err
	}
	key := args.key(b)
	// Created before the cluster, since EKS would otherwise create one without retention that outlives the cluster.
	logs := component.Create(b, cloudwatch.NewLogGroup, "", &cloudwatch.LogGroupArgs{
		Name: pulumi.String("/aws/eks/" + args.Cluster.Name + "/cluster"), RetentionInDays: pulumi.Int(args.LogRetentionDays),
	}, pulumi.Protect(args.Cluster.Protect))
	cluster := args.cluster(b, key, slices.Concat([]pulumi.Resource{logs}, args.Roles.Ready, args.Network.Ready))
	c.Ready = append(args.admit(b, cluster), cluster)
	if err := b.Err(); err != nil {
		return nil, err
	}
	c.Name, c.ARN, c.Endpoint = cluster.Name, cluster.Arn, cluster.Endpoint
	c.CertificateAuthority = cluster.CertificateAuthority.Data().Elem()
	c.SecurityGroup = cluster.VpcConfig.ClusterSecurityGroupId().Elem()
	c.OIDCIssuer = cluster.Identities.Index(pulumi.Int(0)).Oidcs().Index(pulumi.Int(0)).Issuer().Elem()
	return c, b.Finish(pulumi.Map{"name": c.Name, "arn": c.ARN, "endpoint": c.Endpoint})
}

// key creates the key that encrypts the cluster's Secrets. Its policy delegates access to IAM, like the default policy.
// EKS creates a grant with the permissions of the caller that creates the cluster: kms:DescribeKey and kms:CreateGrant.
// https://docs.aws.amazon.com/eks/latest/userguide/enable-kms.html
func (a *ControlPlaneArgs) key(b *component.Builder) *kms.Key {
	key := component.Create(b, kms.NewKey, "", &kms.KeyArgs{
		Description:       pulumi.String("Secrets of EKS cluster " + a.Cluster.Name),
		EnableKeyRotation: pulumi.Bool(true),
		// The maximum of AWS: without the key, the Secrets of a restored cluster are unreadable.
		DeletionWindowInDays: pulumi.Int(30),
		Policy: policy(statement{
			Sid: "Account", Principal: map[string]string{"AWS": a.Cluster.arn("iam::" + a.Cluster.Account + ":root")},
			Action: []string{"kms:*"}, Resource: []string{"*"}, // in the policy of a key, this key
		}),
		Tags: tags(a.Cluster.Name),
	}, pulumi.Protect(a.Cluster.Protect))
	component.Create(b, kms.NewAlias, "", &kms.AliasArgs{
		Name: pulumi.String("alias/eks/" + a.Cluster.Name), TargetKeyId: key.KeyId,
	})
	return key
}

func (a *ControlPlaneArgs) cluster(b *component.Builder, key *kms.Key, after []pulumi.Resource) *eks.Cluster {
	// EKS takes 10 to 15 minutes to create a cluster; deletion is as slow.
	limits := &pulumi.CustomTimeouts{Create: "45m", Delete: "45m"}
	return component.Create(b, eks.NewCluster, "", &eks.ClusterArgs{
		Name:    pulumi.String(a.Cluster.Name),
		Version: pulumi.String(a.Version),
		RoleArn: a.Roles.Cluster,
		// Auto Mode requires that these three have the same value, which the provider must know in the preview
		// (pulumi-eks#1597). It cannot be disabled again (pulumi-eks#1585).
		ComputeConfig: &eks.ClusterComputeConfigArgs{
			Enabled: pulumi.Bool(true),
			// Of the built-in NodePools only system, for add-ons: general-purpose has no limit, and so no cost limit.
			NodePools:   pulumi.ToStringArray([]string{"system"}),
			NodeRoleArn: a.Roles.Node,
		},
		StorageConfig: &eks.ClusterStorageConfigArgs{
			BlockStorage: &eks.ClusterStorageConfigBlockStorageArgs{Enabled: pulumi.Bool(true)},
		},
		KubernetesNetworkConfig: &eks.ClusterKubernetesNetworkConfigArgs{
			ElasticLoadBalancing: &eks.ClusterKubernetesNetworkConfigElasticLoadBalancingArgs{Enabled: pulumi.Bool(true)},
		},
		// Auto Mode requires false: it includes kube-proxy, CoreDNS and the network plugin.
		BootstrapSelfManagedAddons: pulumi.Bool(false),
		AccessConfig: &eks.ClusterAccessConfigArgs{
			AuthenticationMode: pulumi.String("API"),
			// Otherwise the creator of the cluster would be an administrator that no access entry shows.
			BootstrapClusterCreatorAdminPermissions: pulumi.Bool(false),
		},
		VpcConfig: &eks.ClusterVpcConfigArgs{
			SubnetIds:             a.Network.PrivateSubnets,
			EndpointPrivateAccess: pulumi.Bool(true),
			EndpointPublicAccess:  pulumi.Bool(len(a.PublicCIDRs) > 0),
			PublicAccessCidrs:     component.OptionalList(a.PublicCIDRs), // EKS refuses an empty list
		},
		EnabledClusterLogTypes: pulumi.ToStringArray(a.LogTypes),
		EncryptionConfig: &eks.ClusterEncryptionConfigArgs{
			Provider:  eks.ClusterEncryptionConfigProviderArgs{KeyArn: key.Arn},
			Resources: pulumi.ToStringArray([]string{"secrets"}),
		},
		UpgradePolicy: &eks.ClusterUpgradePolicyArgs{SupportType: pulumi.String(a.SupportType)},
		Tags:          tags(a.Cluster.Name),
	}, pulumi.Protect(a.Cluster.Protect), pulumi.DependsOn(after), pulumi.Timeouts(limits))
}

// admit grants the admins and the viewers access to the cluster. The name of an entry contains the account unless it is
// the cluster's own, since two accounts may have roles of the same name.
func (a *ControlPlaneArgs) admit(b *component.Builder, cluster *eks.Cluster) (entries []pulumi.Resource) {
	for _, principal := range slices.Concat(a.Admins, a.Viewers) {
		// https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
		policy := "AmazonEKSViewPolicy"
		if slices.Contains(a.Admins, principal) {
			policy = "AmazonEKSClusterAdminPolicy"
		}
		who := strings.TrimPrefix(principal, a.Cluster.arn("iam::")) // <account>:<role or user>/<name>
		who = strings.Replace(strings.TrimPrefix(who, a.Cluster.Account+":"), ":", "-", 1)
		entry := component.Create(b, eks.NewAccessEntry, "-"+who, &eks.AccessEntryArgs{
			ClusterName: cluster.Name, PrincipalArn: pulumi.String(principal),
		})
		args := &eks.AccessPolicyAssociationArgs{
			ClusterName: cluster.Name, PrincipalArn: entry.PrincipalArn,
			PolicyArn:   pulumi.String(a.Cluster.arn("eks::aws:cluster-access-policy/" + policy)),
			AccessScope: eks.AccessPolicyAssociationAccessScopeArgs{Type: pulumi.String("cluster")},
		}
		entries = append(entries, component.Create(b, eks.NewAccessPolicyAssociation, "-"+who, args))
	}
	return entries
}
