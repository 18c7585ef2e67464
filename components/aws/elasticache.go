package aws

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/ec2"
	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/elasticache"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
)

// ElastiCacheArgs describe a Redis that AWS runs.
type ElastiCacheArgs struct {
	// Password of the user. Kept as a secret. 16 to 128 characters, none of , " / and @. Required.
	Password pulumi.StringInput
	// Username that the app logs in as: letters, digits, - and _, and not default. The default is scaleout.
	Username string
	// Access is what the user may do, as an access string of ElastiCache. Required.
	// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html#Access-string
	Access string
	// VPC is the ID of the network. Required.
	VPC pulumi.StringInput
	// Subnets, of two or three zones, are where its nodes or its endpoint go: IDs. Required.
	Subnets pulumi.StringArrayInput
	// Clients are the security groups of those who may connect: IDs. Required.
	Clients pulumi.StringArrayInput
	// Name of the cache, and the beginning of the names of its users. It is one per account and region. Required.
	Name string
	// Engine is valkey or redis (Redis OSS), which the app cannot tell apart; Valkey costs less. It cannot be changed: the
	// users of one do not fit the other. Required.
	Engine string
	// EngineVersion, e.g. 8.0. A serverless cache takes the part before the dot. A lower one is an empty cache. Required.
	EngineVersion string
	// Replicas or Serverless: exactly one is set.
	Replicas   *ElastiCacheReplicas
	Serverless *ElastiCacheServerless
	// BackupDays is how many daily backups are kept, 0 to 35; 0 for none.
	BackupDays int
	// KMSKeyARN is the key that encrypts what is stored. Empty for AWS' own.
	KMSKeyARN string
	// Protect makes Pulumi refuse to delete the cache, or to replace it with an empty one.
	Protect bool
}

// ElastiCacheReplicas is a primary node with copies in other zones, one of which takes over when the primary fails.
type ElastiCacheReplicas struct {
	// NodeType, e.g. cache.t4g.small. Required.
	NodeType string
	// Count of copies, 0 to 5. Without one there is nobody to take over: the data since the last backup goes with the
	// node.
	Count int
	// MaintenanceWindow is when AWS may update the nodes, in UTC, e.g. sun:03:00-sun:04:00. Required.
	MaintenanceWindow string
	// FinalSnapshot is the name of a backup that is made when the cache is deleted; it must not exist yet. Empty for none.
	FinalSnapshot string
}

// ElastiCacheServerless has no nodes that one sees; it costs by what is stored and done.
type ElastiCacheServerless struct {
	// MaxGigabytes and MaxECPUs (processing units a second, one for each simple command of up to 1 KB) bound the bill. 1
	// to 5000, and 1000 to 15,000,000. Required. https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Scaling.html
	MaxGigabytes, MaxECPUs int
}

// Validate reports everything wrong with the arguments.
func (a *ElastiCacheArgs) Validate() field.ErrorList {
	problems := check.Set("password", a.Password != nil)
	if text, known := a.Password.(pulumi.String); known {
		if _, err := checkPassword(string(text)); err != nil {
			problems = append(problems, check.Invalid("password", field.OmitValueType{}, err.Error())...)
		}
	}
	problems = append(problems, check.Set("access", a.Access != "")...)
	problems = append(problems, check.Set("vpc", a.VPC != nil)...)
	problems = append(problems, check.Set("subnets", a.Subnets != nil)...)
	problems = append(problems, check.Set("clients", a.Clients != nil)...)
	return append(problems, a.ValidateSettings()...)
}

// checkPassword refuses what ElastiCache would, before anything exists. The error does not show the password.
// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html
func checkPassword(password string) (string, error) {
	if len(password) < 16 || len(password) > 128 || strings.ContainsAny(password, `,"/@`) {
		return "", errors.New(`the password for ElastiCache must have 16 to 128 characters, none of them , " / or @`)
	}
	return password, nil
}

var (
	// usernameForm is what the access control list of Redis takes without quotation marks.
	usernameForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	// cacheNameForm, with maxCacheName, leaves room for what the users' names add. CreateUser and CreateReplicationGroup
	// take 40 lower case letters, digits and single hyphens:
	// https://docs.aws.amazon.com/AmazonElastiCache/latest/APIReference/API_CreateReplicationGroup.html
	cacheNameForm = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)
	nodeTypeForm  = regexp.MustCompile(`^cache\.[a-z0-9]+\.[a-z0-9]+$`)
	windowForm    = regexp.MustCompile(`^` + momentForm + `-` + momentForm + `$`)
	// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/supported-engine-versions.html
	engineVersions = map[string]*regexp.Regexp{
		"valkey": regexp.MustCompile(`^(7\.2|[89]\.[0-9]{1,2})$`), "redis": regexp.MustCompile(`^7\.[01]$`),
	}
)

// momentForm is a minute of the week.
const momentForm = `(mon|tue|wed|thu|fri|sat|sun):([01]\d|2[0-3]):([0-5]\d)`

// isWindow tells whether a weekly window lasts for the hour or more that AWS wants.
func isWindow(text string) bool {
	parts := windowForm.FindStringSubmatch(text)
	if parts == nil {
		return false
	}
	minute := func(day, hour, minute string) int {
		h, _ := strconv.Atoi(hour) // the form has digits only
		m, _ := strconv.Atoi(minute)
		return slices.Index([]string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, day)*24*60 + h*60 + m
	}
	const week = 7 * 24 * 60
	length := (minute(parts[4], parts[5], parts[6]) - minute(parts[1], parts[2], parts[3]) + week) % week
	return length >= 60
}

const maxCacheName = 32

// ValidateSettings is Validate without what other resources produce: for what is known before any of them exists.
func (a *ElastiCacheArgs) ValidateSettings() field.ErrorList {
	var problems field.ErrorList
	if !cacheNameForm.MatchString(a.Name) || len(a.Name) > maxCacheName {
		problems = check.Invalid("name", a.Name, fmt.Sprintf(
			"must be up to %d lower case letters, digits and single -, beginning with a letter", maxCacheName))
	}
	if !usernameForm.MatchString(a.username()) || a.username() == "default" {
		problems = append(problems, check.Invalid("username", a.Username,
			"must be up to 128 letters, digits, - and _, and not default, which is nobody's")...)
	}
	problems = append(problems, check.OneOf("engine", a.Engine, "valkey", "redis")...)
	if form, known := engineVersions[a.Engine]; known && !form.MatchString(a.EngineVersion) {
		problems = append(problems, check.Invalid("engineVersion", a.EngineVersion,
			"must be a version of "+a.Engine+" with users and TLS: 7.2 or later of valkey, such as 8.0; 7.0 or 7.1 of redis; in quotation marks")...)
	}
	problems = append(problems, check.Range("backupDays", a.BackupDays, 0, 35)...)
	problems = append(problems, checkKey(a.KMSKeyARN)...)
	if (a.Replicas == nil) == (a.Serverless == nil) {
		problems = append(problems, check.Invalid("replicas", "", "must be set, or else serverless, and not both")...)
	}
	if a.Replicas != nil {
		problems = append(problems, check.In("replicas", a.Replicas.validate())...)
	}
	if a.Serverless != nil {
		problems = append(problems, check.Range("serverless.maxGigabytes", a.Serverless.MaxGigabytes, 1, 5000)...)
		problems = append(problems, check.Range("serverless.maxEcpus", a.Serverless.MaxECPUs, 1000, 15_000_000)...)
	}
	return problems
}

func (r *ElastiCacheReplicas) validate() field.ErrorList {
	problems := check.Range("count", r.Count, 0, 5)
	if !nodeTypeForm.MatchString(r.NodeType) {
		problems = append(problems, check.Invalid("nodeType", r.NodeType, "must be a node type such as cache.t4g.small")...)
	}
	if !isWindow(r.MaintenanceWindow) {
		problems = append(problems, check.Invalid("maintenanceWindow", r.MaintenanceWindow,
			"must be a window of at least an hour in UTC, such as sun:03:00-sun:04:00")...)
	}
	if r.FinalSnapshot != "" && !cacheNameForm.MatchString(r.FinalSnapshot) {
		problems = append(problems, check.Invalid("finalSnapshot", r.FinalSnapshot,
			"must be lower case letters, digits and single -, beginning with a letter, or empty")...)
	}
	return problems
}

const (
	defaultUsername = "scaleout"
	redisPort       = redis.Port
)

// ElastiCache is a Redis that AWS runs: encrypted in transit and at rest, open to one user with a password and few
// rights, reachable from the cluster's nodes alone.
type ElastiCache struct {
	pulumi.ResourceState

	// Connection is how the app gets to it.
	Connection redis.Connection
}

// NewElastiCache creates the cache with its user and its firewall.
func NewElastiCache(
	ctx *pulumi.Context, name string, args *ElastiCacheArgs, opts ...pulumi.ResourceOption,
) (*ElastiCache, error) {
	e := &ElastiCache{}
	if err := register(ctx, "ElastiCache", name, args.Validate(), e, opts); err != nil {
		return nil, err
	}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput) // and so is all that follows from it
	password = password.ApplyT(checkPassword).(pulumi.StringOutput)
	description := "Redis of " + args.Name + ": from the nodes of the cluster"
	group, err := newSecurityGroup(ctx, name, description, args.VPC, args.Clients, redisPort, pulumi.Parent(e))
	if err != nil {
		return nil, err
	}
	users, err := args.users(ctx, e, name, password)
	if err != nil {
		return nil, err
	}
	host, server, err := args.cache(ctx, e, name, group, users)
	if err != nil {
		return nil, err
	}
	// No pods: its addresses change at a failover.
	e.Connection = redis.Connection{Host: host, Port: redisPort, TLS: true, Username: args.username(), Ready: server}
	return e, ctx.RegisterResourceOutputs(e, pulumi.Map{"host": host, "port": pulumi.Int(redisPort)})
}

func (a *ElastiCacheArgs) username() string { return cmp.Or(a.Username, defaultUsername) }

// users is the group of accounts that may log in: the app's. Redis OSS wants a user called default in it, who is
// switched off; Valkey's has none unless one is added.
// https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/Clusters.RBAC.html
func (a *ElastiCacheArgs) users(
	ctx *pulumi.Context, parent *ElastiCache, name string, password pulumi.StringOutput,
) (*elasticache.UserGroup, error) {
	mode := elasticache.UserAuthenticationModeArgs{
		Type: pulumi.String("password"), Passwords: pulumi.StringArray{password},
	}
	user, err := elasticache.NewUser(ctx, name, &elasticache.UserArgs{
		UserId: pulumi.String(a.Name + "-app"), UserName: pulumi.String(a.username()),
		Engine: pulumi.String(a.Engine), AccessString: pulumi.String(a.Access), AuthenticationMode: mode,
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, creating("ElastiCache user", name, err)
	}
	members := pulumi.StringArray{user.UserId}
	if a.Engine == "redis" {
		nobody, err := elasticache.NewUser(ctx, name+"-default", &elasticache.UserArgs{
			UserId: pulumi.String(a.Name + "-default"), UserName: pulumi.String("default"),
			Engine: pulumi.String(a.Engine), AccessString: pulumi.String("off ~* -@all"),
			// AWS accepts no-password-required but reports no-password, which would be a permanent diff.
			AuthenticationMode: mode,
		}, pulumi.Parent(parent))
		if err != nil {
			return nil, creating("ElastiCache user", name+"-default", err)
		}
		members = append(members, nobody.UserId)
	}
	group, err := elasticache.NewUserGroup(ctx, name, &elasticache.UserGroupArgs{
		UserGroupId: pulumi.String(a.Name), Engine: pulumi.String(a.Engine), UserIds: members,
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, creating("ElastiCache user group", name, err)
	}
	return group, nil
}

// cache is the cache itself and the name by which it is reached.
func (a *ElastiCacheArgs) cache(
	ctx *pulumi.Context, parent *ElastiCache, name string, group *ec2.SecurityGroup, users *elasticache.UserGroup,
) (pulumi.StringOutput, pulumi.Resource, error) {
	if a.Serverless != nil {
		cache, err := a.serverless(ctx, parent, name, group, users)
		if err != nil {
			return pulumi.StringOutput{}, nil, creating("serverless cache", name, err)
		}
		return cache.Endpoints.Index(pulumi.Int(0)).Address(), cache, nil
	}
	subnets, err := elasticache.NewSubnetGroup(ctx, name, &elasticache.SubnetGroupArgs{
		Name: pulumi.String(a.Name), Description: pulumi.String("Redis of " + a.Name), SubnetIds: a.Subnets,
	}, pulumi.Parent(parent))
	if err != nil {
		return pulumi.StringOutput{}, nil, creating("cache subnet group", name, err)
	}
	cache, err := a.replicationGroup(ctx, parent, name, subnets, group, users)
	if err != nil {
		return pulumi.StringOutput{}, nil, creating("replication group", name, err)
	}
	return cache.PrimaryEndpointAddress, cache, nil
}

// cacheLimit is above the 10 to 20 minutes that a replication group takes, and 40 with some node types.
const cacheLimit = "60m"

func (a *ElastiCacheArgs) replicationGroup(
	ctx *pulumi.Context, parent *ElastiCache, name string, subnets *elasticache.SubnetGroup, group *ec2.SecurityGroup,
	users *elasticache.UserGroup,
) (*elasticache.ReplicationGroup, error) {
	args := &elasticache.ReplicationGroupArgs{
		ReplicationGroupId: pulumi.String(a.Name), Description: pulumi.String("Redis of " + a.Name),
		Engine: pulumi.String(a.Engine), EngineVersion: pulumi.String(a.EngineVersion),
		NodeType: pulumi.String(a.Replicas.NodeType), NumCacheClusters: pulumi.Int(1 + a.Replicas.Count),
		Port: pulumi.Int(redisPort), SubnetGroupName: subnets.Name, SecurityGroupIds: pulumi.StringArray{group.ID()},
		UserGroupIds: pulumi.StringArray{users.UserGroupId},
		// One that is promoted is in another zone, so that what took the primary down has not taken it as well.
		AutomaticFailoverEnabled: pulumi.Bool(a.Replicas.Count > 0), MultiAzEnabled: pulumi.Bool(a.Replicas.Count > 0),
		AtRestEncryptionEnabled: pulumi.Bool(true),
		// The app speaks nothing else; `preferred` would let a password travel in the clear.
		TransitEncryptionEnabled: pulumi.Bool(true), TransitEncryptionMode: pulumi.String("required"),
		SnapshotRetentionLimit: pulumi.Int(a.BackupDays), MaintenanceWindow: pulumi.String(a.Replicas.MaintenanceWindow),
		// A change that someone asked for happens when they watch, not in a night within the week.
		ApplyImmediately: pulumi.Bool(true),
		// After an upgrade by AWS the version here would be a downgrade, which replaces the cache with an empty one.
		AutoMinorVersionUpgrade: pulumi.Bool(false),
	}
	if a.KMSKeyARN != "" {
		args.KmsKeyId = pulumi.String(a.KMSKeyARN)
	}
	if a.Replicas.FinalSnapshot != "" {
		args.FinalSnapshotIdentifier = pulumi.String(a.Replicas.FinalSnapshot)
	}
	limits := &pulumi.CustomTimeouts{Create: cacheLimit, Update: cacheLimit, Delete: cacheLimit}
	return elasticache.NewReplicationGroup(ctx, name, args,
		pulumi.Parent(parent), pulumi.Protect(a.Protect), pulumi.Timeouts(limits))
}

func (a *ElastiCacheArgs) serverless(
	ctx *pulumi.Context, parent *ElastiCache, name string, group *ec2.SecurityGroup, users *elasticache.UserGroup,
) (*elasticache.ServerlessCache, error) {
	major, _, _ := strings.Cut(a.EngineVersion, ".")
	args := &elasticache.ServerlessCacheArgs{
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
	}
	if a.KMSKeyARN != "" {
		args.KmsKeyId = pulumi.String(a.KMSKeyARN)
	}
	return elasticache.NewServerlessCache(ctx, name, args, pulumi.Parent(parent), pulumi.Protect(a.Protect))
}
