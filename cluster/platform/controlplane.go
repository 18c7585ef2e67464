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
	// Name of the cluster. Required.
	Name string
	// Account is the account of the cluster. Required.
	Account Account
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
	// Protect makes Pulumi refuse to delete the cluster, its key and its logs.
	Protect bool
}

var (
	// https://docs.aws.amazon.com/eks/latest/userguide/control-plane-logs.html
	logTypes      = []string{"api", "audit", "authenticator", "controllerManager", "scheduler"}
	versionForm   = regexp.MustCompile(`^1\.[3-9][0-9]$`) // the sleep action of preStop hooks needs 1.30
	principalForm = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[0-9A-Za-z_+=,.@/-]+$`)
)

// Validate reports everything wrong with the arguments that is known before other resources exist.
func (a *ControlPlaneArgs) Validate() field.ErrorList {
	problems := checkCluster("name", a.Name)
	problems = append(problems, a.Account.Validate()...)
	problems = append(problems, check.That(versionForm.MatchString(a.Version), "version", a.Version,
		"must be a version of Kubernetes from 1.30, such as 1.35, in quotation marks")...)
	for _, cidr := range a.PublicCIDRs {
		wrong := check.CIDR("publicCidrs", cidr)
		if len(wrong) == 0 {
			wrong = check.That(isPublic(netip.MustParsePrefix(cidr)), "publicCidrs", cidr,
				"must be public IPv4 addresses, and no more than a /8 of them: those of the office, the VPN and CI")
		}
		problems = append(problems, wrong...)
	}
	for i, log := range a.LogTypes {
		problems = append(problems, check.OneOf("logTypes", log, logTypes...)...)
		problems = append(problems,
			check.That(!slices.Contains(a.LogTypes[:i], log), "logTypes", log, "must not be repeated")...)
	}
	problems = append(problems, CheckRetention("logRetentionDays", a.LogRetentionDays)...)
	if len(a.Admins) == 0 {
		problems = append(problems, field.Required(field.NewPath("admins"),
			"without an admin not even this program could access the cluster: add the ARN of your own role"))
	}
	problems = append(problems, a.checkPrincipals("admins", a.Admins, nil)...)
	problems = append(problems, a.checkPrincipals("viewers", a.Viewers, a.Admins)...)
	return append(problems, check.OneOf("supportType", a.SupportType, "STANDARD", "EXTENDED")...)
}

// isPublic reports whether a block has public addresses and is not most of the internet. EKS refuses others only
// after a quarter of an hour: https://docs.aws.amazon.com/eks/latest/APIReference/API_VpcConfigRequest.html
func isPublic(block netip.Prefix) bool {
	address := block.Addr()
	return address.Is4() && address.IsGlobalUnicast() && !address.IsPrivate() && block.Bits() >= 8
}

// checkPrincipals requires ARNs without repetition: EKS has one access entry per principal.
func (a *ControlPlaneArgs) checkPrincipals(name string, arns, others []string) (problems field.ErrorList) {
	partition := "arn:" + a.Account.partition() + ":"
	for i, arn := range arns {
		right := principalForm.MatchString(arn) && strings.HasPrefix(arn, partition)
		problems = append(problems, check.That(right, name, arn, "must be "+partition+
			"iam::<account>:role/<name>, or user/<name>; for a session (assumed-role), its role")...)
		once := !slices.Contains(arns[:i], arn) && !slices.Contains(others, arn)
		problems = append(problems, check.That(once, name, arn, "must be listed once, as an admin or a viewer")...)
	}
	return problems
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
	if err := component.Register(ctx, module, "ControlPlane", name, args.Validate(), c, opts); err != nil {
		return nil, err
	}
	key, err := args.key(ctx, name, c)
	if err != nil {
		return nil, err
	}
	// Created before the cluster, since EKS would otherwise create one without retention that outlives the cluster.
	logs, err := cloudwatch.NewLogGroup(ctx, name, &cloudwatch.LogGroupArgs{
		Name: pulumi.String("/aws/eks/" + args.Name + "/cluster"), RetentionInDays: pulumi.Int(args.LogRetentionDays),
	}, pulumi.Parent(c), pulumi.Protect(args.Protect))
	if err != nil {
		return nil, err
	}
	after := append([]pulumi.Resource{logs}, args.Roles.Ready...)
	cluster, err := args.cluster(ctx, name, c, key, append(after, args.Network.Ready...))
	if err != nil {
		return nil, err
	}
	c.Ready = append(c.Ready, cluster)
	// https://docs.aws.amazon.com/eks/latest/userguide/access-policy-permissions.html
	for policy, principals := range map[string][]string{
		"AmazonEKSClusterAdminPolicy": args.Admins, "AmazonEKSViewPolicy": args.Viewers,
	} {
		for _, principal := range principals {
			policyARN := args.Account.arn("eks", "", "aws", "cluster-access-policy/"+policy)
			if err := c.admit(ctx, entryName(name, principal, args.Account.ID), cluster, principal, policyARN); err != nil {
				return nil, err
			}
		}
	}
	c.Name, c.ARN, c.Endpoint = cluster.Name, cluster.Arn, cluster.Endpoint
	c.CertificateAuthority = cluster.CertificateAuthority.Data().Elem()
	c.SecurityGroup = cluster.VpcConfig.ClusterSecurityGroupId().Elem()
	c.OIDCIssuer = cluster.Identities.Index(pulumi.Int(0)).Oidcs().Index(pulumi.Int(0)).Issuer().Elem()
	return c, ctx.RegisterResourceOutputs(c, pulumi.Map{"name": c.Name, "arn": c.ARN, "endpoint": c.Endpoint})
}

// keyDeletionDays is the maximum of AWS: without the key, the Secrets of a restored cluster are unreadable.
const keyDeletionDays = 30

// key creates the key that encrypts the cluster's Secrets. Its policy delegates access to IAM, like the default policy.
// EKS creates a grant with the permissions of the caller that creates the cluster: kms:DescribeKey and kms:CreateGrant.
// https://docs.aws.amazon.com/eks/latest/userguide/enable-kms.html
func (a *ControlPlaneArgs) key(ctx *pulumi.Context, name string, parent *ControlPlane) (*kms.Key, error) {
	key, err := kms.NewKey(ctx, name, &kms.KeyArgs{
		Description:          pulumi.String("Secrets of EKS cluster " + a.Name),
		EnableKeyRotation:    pulumi.Bool(true),
		DeletionWindowInDays: pulumi.Int(keyDeletionDays),
		Policy: policy(statement{
			Sid: "Account", Principal: map[string]string{"AWS": a.Account.arn("iam", "", a.Account.ID, "root")},
			Action: []string{"kms:*"}, Resource: []string{"*"}, // in the policy of a key, this key
		}),
		Tags: tags(a.Name, nil),
	}, pulumi.Parent(parent), pulumi.Protect(a.Protect))
	if err != nil {
		return nil, err
	}
	_, err = kms.NewAlias(ctx, name, &kms.AliasArgs{
		Name: pulumi.String("alias/eks/" + a.Name), TargetKeyId: key.KeyId,
	}, pulumi.Parent(parent))
	return key, err
}

// createLimit exceeds the 10 to 15 minutes that EKS takes to create a cluster; deletion is as slow.
const createLimit = "45m"

func (a *ControlPlaneArgs) cluster(
	ctx *pulumi.Context, name string, parent *ControlPlane, key *kms.Key, after []pulumi.Resource,
) (*eks.Cluster, error) {
	var publicCIDRs pulumi.StringArrayInput // EKS refuses an empty list
	if len(a.PublicCIDRs) > 0 {
		publicCIDRs = pulumi.ToStringArray(a.PublicCIDRs)
	}
	return eks.NewCluster(ctx, name, &eks.ClusterArgs{
		Name:    pulumi.String(a.Name),
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
			PublicAccessCidrs:     publicCIDRs,
		},
		EnabledClusterLogTypes: pulumi.ToStringArray(a.LogTypes),
		EncryptionConfig: &eks.ClusterEncryptionConfigArgs{
			Provider:  eks.ClusterEncryptionConfigProviderArgs{KeyArn: key.Arn},
			Resources: pulumi.ToStringArray([]string{"secrets"}),
		},
		UpgradePolicy: &eks.ClusterUpgradePolicyArgs{SupportType: pulumi.String(a.SupportType)},
		Tags:          tags(a.Name, nil),
	}, pulumi.Parent(parent), pulumi.Protect(a.Protect), pulumi.DependsOn(after),
		pulumi.Timeouts(&pulumi.CustomTimeouts{Create: createLimit, Delete: createLimit}))
}

// entryName includes the account of a principal from another account: two accounts may have roles of the same name.
func entryName(name, principal, account string) string {
	parts := strings.SplitN(principal, ":", 6) // arn:aws:iam::<account>:<role or user>/<name>
	if parts[4] == account {
		return name + "-" + parts[5]
	}
	return name + "-" + parts[4] + "-" + parts[5]
}

// admit grants a role or user access to the cluster.
func (c *ControlPlane) admit(ctx *pulumi.Context, name string, cluster *eks.Cluster, principal, policy string) error {
	entry, err := eks.NewAccessEntry(ctx, name, &eks.AccessEntryArgs{
		ClusterName: cluster.Name, PrincipalArn: pulumi.String(principal),
	}, pulumi.Parent(c))
	if err != nil {
		return err
	}
	association, err := eks.NewAccessPolicyAssociation(ctx, name, &eks.AccessPolicyAssociationArgs{
		ClusterName: cluster.Name, PrincipalArn: entry.PrincipalArn, PolicyArn: pulumi.String(policy),
		AccessScope: eks.AccessPolicyAssociationAccessScopeArgs{Type: pulumi.String("cluster")},
	}, pulumi.Parent(c))
	if err != nil {
		return err
	}
	c.Ready = append(c.Ready, association)
	return nil
}
