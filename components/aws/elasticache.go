package aws

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/elasticache"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// ElastiCacheArgs describes a Redis managed by AWS.
type ElastiCacheArgs struct {
	// Password of the user. Kept as a secret. 16 to 128 characters, excluding , " / and @. Required.
	Password pulumi.StringInput
	// Username that the app logs in as: letters, digits, - and _, but not default. The default is scaleout.
	Username string
	// Access is the access string of the user, which defines its rights. Required.
	// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html#Access-string
	Access string
	// VPC is the ID of the network. Required.
	VPC pulumi.StringInput
	// Subnets are the IDs of subnets in two or three zones for its nodes or its endpoint. Required.
	Subnets pulumi.StringArrayInput
	// Clients are the IDs of the security groups that may connect. Required.
	Clients pulumi.StringArrayInput
	// Name of the cache, and the prefix of the names of its users. Unique per account and region. Required.
	Name string
	// Engine is valkey, which costs less, or redis (Redis OSS). It cannot be changed, because users belong to one
	// engine. Required.
	Engine string
	// EngineVersion, e.g. 8.0. A serverless cache uses only the major version. A downgrade replaces the cache with an
	// empty one. Required.
	EngineVersion string
	// Replicas or Serverless. Exactly one must be set.
	Replicas   *ElastiCacheReplicas
	Serverless *ElastiCacheServerless
	// BackupDays is the number of daily backups to keep, 0 to 35. 0 for none.
	BackupDays int
	// KMSKeyARN is the key that encrypts the stored data. Empty for AWS' own key.
	KMSKeyARN string
	// Protect makes Pulumi refuse to delete the cache, or to replace it with an empty one.
	Protect bool
}

// ElastiCacheReplicas is a primary node with replicas in other zones, of which one is promoted if the primary fails.
type ElastiCacheReplicas struct {
	// NodeType, e.g. cache.t4g.small. Required.
	NodeType string
	// Count of replicas, 0 to 5. With none, a failure of the node loses the data since the last backup.
	Count int
	// MaintenanceWindow is the weekly time in UTC at which AWS may update the nodes, e.g. sun:03:00-sun:04:00. Required.
	MaintenanceWindow string
	// FinalSnapshot is the name of a backup to create when the cache is deleted. It must not exist yet. Empty for none.
	FinalSnapshot string
}

// ElastiCacheServerless is a cache without visible nodes, billed by storage and processing.
type ElastiCacheServerless struct {
	// MaxGigabytes and MaxECPUs limit the cost. A simple command of up to 1 KB uses one ECPU (ElastiCache processing
	// unit); the limit is per second. 1 to 5000, and 1000 to 15,000,000. Required.
	// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Scaling.html
	MaxGigabytes, MaxECPUs int
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *ElastiCacheArgs) Validate() field.ErrorList {
	version := engineVersions[a.Engine] // nil for an engine that is refused
	problems := slices.Concat(
		check.That(cacheNameForm.MatchString(a.Name) && len(a.Name) <= maxCacheName, "name", a.Name, fmt.Sprintf(
			"must be up to %d lower case letters, digits and single -, beginning with a letter", maxCacheName)),
		check.That(usernameForm.MatchString(a.username()) && a.username() != "default", "username", a.Username,
			"must be up to 128 letters, digits, - and _, and not default"),
		check.OneOf("engine", a.Engine, "valkey", "redis"),
		check.That(version == nil || version.MatchString(a.EngineVersion), "engineVersion", a.EngineVersion,
			"must be a version of "+a.Engine+" that supports users and TLS, in quotation marks: valkey 7.2 or later, "+
				"such as 8.0; redis 7.0 or 7.1"),
		check.Range("backupDays", a.BackupDays, 0, 35),
		checkKey(a.KMSKeyARN),
		check.That((a.Replicas == nil) != (a.Serverless == nil), "replicas", "",
			"exactly one of replicas and serverless must be set"),
	)
	if r := a.Replicas; r != nil {
		problems = append(problems, check.In("replicas", slices.Concat(
			check.Range("count", r.Count, 0, 5),
			check.Match("nodeType", r.NodeType, nodeTypeForm, "must be a node type such as cache.t4g.small"),
			check.Match("finalSnapshot", r.FinalSnapshot, snapshotForm,
				"must be lower case letters, digits and single -, beginning with a letter, or empty"),
			check.That(isWindow(r.MaintenanceWindow), "maintenanceWindow", r.MaintenanceWindow,
				"must be a window of at least an hour in UTC, such as sun:03:00-sun:04:00"),
		))...)
	}
	if a.Serverless != nil {
		problems = append(problems, check.Range("serverless.maxGigabytes", a.Serverless.MaxGigabytes, 1, 5000)...)
		problems = append(problems, check.Range("serverless.maxEcpus", a.Serverless.MaxECPUs, 1000, 15_000_000)...)
	}
	return problems
}

// checkPassword rejects passwords that ElastiCache does not accept, before anything is created. The error does not
// contain the password.
func checkPassword(password string) (string, error) {
	if len(password) < 16 || len(password) > 128 || strings.ContainsAny(password, `,"/@`) {
		return "", errors.New(`the password for ElastiCache must have 16 to 128 characters, excluding , " / and @`)
	}
	return password, nil
}

var (
	// usernameForm is the form that Redis' access control list accepts without quotation marks.
	usernameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	// https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateReplicationGroup.html
	cacheNameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	snapshotForm  = regexp.MustCompile(`^$|` + cacheNameForm.String())
	nodeTypeForm  = regexp.MustCompile(`^cache\.[a-z0-9]+\.[a-z0-9]+$`)
	// windowForm is a range between two minutes of the week.
	windowForm = regexp.MustCompile(`^` + momentForm + `-` + momentForm + `$`)
	// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/supported-engine-versions.html
	engineVersions = map[string]*regexp.Regexp{
		"valkey": regexp.MustCompile(`^(7\.2|[89]\.[0-9]{1,2})$`), "redis": regexp.MustCompile(`^7\.[01]$`),
	}
)

const (
	momentForm = `(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)`
	// maxCacheName reserves, of AWS' maximum of 40 characters, the suffixes of the user names.
	maxCacheName = 32
)

// isWindow reports whether a weekly window lasts for at least one hour, AWS' minimum.
func isWindow(text string) bool {
	parts := windowForm.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	minute := func(day, hour, minute string) int {
		h, _ := strconv.Atoi(hour) // windowForm allows digits only
		m, _ := strconv.Atoi(minute)
		return slices.Index([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, day)*24*60 + h*60 + m
	}
	const week = 7 * 24 * 60
	return (minute(parts[4], parts[5], parts[6])-minute(parts[1], parts[2], parts[3])+week)%week >= 60
}

// ElastiCache is a Redis managed by AWS: encrypted, and reachable only from the client security groups, by one user
// with limited rights.
type ElastiCache struct {
	pulumi.ResourceState

	// Connection holds the connection settings for an app.
	Connection redis.Connection
}

// securityGroup is the resource aws.ec2.SecurityGroup. Compiling the SDK's package ec2 for this one resource takes a
// tenth of the CPU time of a first `make preview` (docs/development.md).
type securityGroup struct{ pulumi.CustomResourceState }

func newSecurityGroup(
	ctx *pulumi.Context, name string, inputs pulumi.Map, opts ...pulumi.ResourceOption,
) (*securityGroup, error) {
	group := &securityGroup{}
	return group, ctx.RegisterResource("aws:ec2/securityGroup:SecurityGroup", name, inputs, group, opts...)
}

// NewElastiCache creates the cache with its user and its security group.
func NewElastiCache(
	ctx *pulumi.Context, name string, args *ElastiCacheArgs, opts ...pulumi.ResourceOption,
) (*ElastiCache, error) {
	args = cmp.Or(args, &ElastiCacheArgs{})
	e := &ElastiCache{}
	problems := slices.Concat(args.Validate(), check.Set("access", args.Access != ""),
		check.Set("password", args.Password != nil), check.Set("vpc", args.VPC != nil),
		check.Set("subnets", args.Subnets != nil), check.Set("clients", args.Clients != nil))
	password, known := args.Password.(pulumi.String)
	if _, err := checkPassword(string(password)); known && err != nil {
		problems = append(problems, check.Invalid("password", field.OmitValueType{}, err.Error())...)
	}
	b, err := component.Register(ctx, "scaleout:index", "ElastiCache", name, problems, e, opts)
	if err != nil {
		return nil, err
	}
	// Ingress from the clients to the port, and no egress: the provider removes the rule with which AWS allows all
	// egress by default. https://registry.terraform.io/providers/hashicorp/aws/latest/docs/resources/security_group
	group := component.Create(b, newSecurityGroup, "", pulumi.Map{
		"description": pulumi.String("Redis of " + args.Name + ": from the nodes of the cluster"),
		"vpcId":       args.VPC,
		"tags":        pulumi.StringMap{"Name": pulumi.String(name)},
		"ingress": pulumi.Array{pulumi.Map{
			"protocol": pulumi.String("tcp"), "fromPort": pulumi.Int(redis.Port), "toPort": pulumi.Int(redis.Port),
			"securityGroups": args.Clients,
		}},
	})
	users := args.users(b)
	// Pods is nil, because the cache is not in the cluster.
	e.Connection = redis.Connection{Port: redis.Port, TLS: true, Username: args.username()}
	if args.Serverless != nil {
		cache := args.serverless(b, group, users)
		if err := b.Err(); err != nil {
			return nil, err
		}
		e.Connection.Host, e.Connection.Ready = cache.Endpoints.Index(pulumi.Int(0)).Address(), cache
	} else {
		cache := args.replicationGroup(b, group, users)
		e.Connection.Host, e.Connection.Ready = cache.PrimaryEndpointAddress, cache
	}
	return e, b.Finish(pulumi.Map{"host": e.Connection.Host, "port": pulumi.Int(redis.Port)})
}

func (a *ElastiCacheArgs) username() string { return cmp.Or(a.Username, "scaleout") }

// users creates the user group of the cache, which contains the app's user. Redis OSS also requires a user called
// default, which is disabled here; Valkey has no such user unless one is added.
// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html
func (a *ElastiCacheArgs) users(b *component.Builder) *elasticache.UserGroup {
	password := pulumi.ToSecret(a.Password).(pulumi.StringOutput) // values derived from it are secrets too
	password = password.ApplyT(checkPassword).(pulumi.StringOutput)
	mode := elasticache.UserAuthenticationModeArgs{
		Type: pulumi.String("password"), Passwords: pulumi.StringArray{password},
	}
	user := component.Create(b, elasticache.NewUser, "", &elasticache.UserArgs{
		UserId: pulumi.String(a.Name + "-app"), UserName: pulumi.String(a.username()),
		Engine: pulumi.String(a.Engine), AccessString: pulumi.String(a.Access), AuthenticationMode: mode,
	})
	members := pulumi.StringArray{user.UserId}
	if a.Engine == "redis" {
		nobody := component.Create(b, elasticache.NewUser, "-default", &elasticache.UserArgs{
			UserId: pulumi.String(a.Name + "-default"), UserName: pulumi.String("default"),
			Engine: pulumi.String(a.Engine), AccessString: pulumi.String("off ~* -@all"),
			// AWS accepts no-password-required but reports no-password, which would be a permanent diff.
			AuthenticationMode: mode,
		})
		members = append(members, nobody.UserId)
	}
	return component.Create(b, elasticache.NewUserGroup, "", &elasticache.UserGroupArgs{
		UserGroupId: pulumi.String(a.Name), Engine: pulumi.String(a.Engine), UserIds: members,
	})
}

func (a *ElastiCacheArgs) replicationGroup(
	b *component.Builder, group *securityGroup, users *elasticache.UserGroup,
) *elasticache.ReplicationGroup {
	subnets := component.Create(b, elasticache.NewSubnetGroup, "", &elasticache.SubnetGroupArgs{
		Name: pulumi.String(a.Name), Description: pulumi.String("Redis of " + a.Name), SubnetIds: a.Subnets,
	})
	args := &elasticache.ReplicationGroupArgs{
		ReplicationGroupId: pulumi.String(a.Name), Description: pulumi.String("Redis of " + a.Name),
		Engine: pulumi.String(a.Engine), EngineVersion: pulumi.String(a.EngineVersion),
		NodeType: pulumi.String(a.Replicas.NodeType), NumCacheClusters: pulumi.Int(1 + a.Replicas.Count),
		Port: pulumi.Int(redis.Port), SubnetGroupName: subnets.Name, SecurityGroupIds: pulumi.StringArray{group.ID()},
		UserGroupIds: pulumi.StringArray{users.UserGroupId},
		// A promoted replica is in another zone, so that a zone failure does not affect both.
		AutomaticFailoverEnabled: pulumi.Bool(a.Replicas.Count > 0), MultiAzEnabled: pulumi.Bool(a.Replicas.Count > 0),
		AtRestEncryptionEnabled: pulumi.Bool(true), KmsKeyId: component.Optional(a.KMSKeyARN),
		// The app connects with TLS only; `preferred` would also allow passwords in plain text.
		TransitEncryptionEnabled: pulumi.Bool(true), TransitEncryptionMode: pulumi.String("required"),
		SnapshotRetentionLimit: pulumi.Int(a.BackupDays), MaintenanceWindow: pulumi.String(a.Replicas.MaintenanceWindow),
		FinalSnapshotIdentifier: component.Optional(a.Replicas.FinalSnapshot),
		// Changes are applied at once, while an operator watches, and not in the next maintenance window.
		ApplyImmediately: pulumi.Bool(true),
		// After an upgrade by AWS, the version here would be a downgrade, which replaces the cache with an empty one.
		AutoMinorVersionUpgrade: pulumi.Bool(false),
	}
	// Creation takes 10 to 20 minutes, and up to 40 with some node types.
	limits := &pulumi.CustomTimeouts{Create: "60m", Update: "60m", Delete: "60m"}
	return component.Create(b, elasticache.NewReplicationGroup, "", args,
		pulumi.Protect(a.Protect), pulumi.Timeouts(limits))
}

func (a *ElastiCacheArgs) serverless(
	b *component.Builder, group *securityGroup, users *elasticache.UserGroup,
) *elasticache.ServerlessCache {
	major, _, _ := strings.Cut(a.EngineVersion, ".")
	return component.Create(b, elasticache.NewServerlessCache, "", &elasticache.ServerlessCacheArgs{
		Name: pulumi.String(a.Name), Description: pulumi.String("Redis of " + a.Name),
		Engine: pulumi.String(a.Engine), MajorEngineVersion: pulumi.String(major),
		CacheUsageLimits: &elasticache.ServerlessCacheCacheUsageLimitsArgs{
			DataStorage: &elasticache.ServerlessCacheCacheUsageLimitsDataStorageArgs{
				Maximum: pulumi.Int(a.Serverless.MaxGigabytes), Unit: pulumi.String("GB"),
			},
			EcpuPerSeconds: elasticache.ServerlessCacheCacheUsageLimitsEcpuPerSecondArray{
				elasticache.ServerlessCacheCacheUsageLimitsEcpuPerSecondArgs{Maximum: pulumi.Int(a.Serverless.MaxECPUs)},
			},
		},
		SnapshotRetentionLimit: pulumi.Int(a.BackupDays), SubnetIds: a.Subnets,
		SecurityGroupIds: pulumi.StringArray{group.ID()}, UserGroupId: users.UserGroupId,
		KmsKeyId: component.Optional(a.KMSKeyARN),
	}, pulumi.Protect(a.Protect))
}
