package kube

import (
	"cmp"
	"maps"
	"path"
	"slices"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/redis"
	"example.com/scaleout/internal/check"
)

// RedisSecretArgs describe the secrets of a Redis, wherever that runs.
type RedisSecretArgs struct {
	// Namespace of the pods that use it. Required.
	Namespace pulumi.StringInput
	// Name before the -auth of the Secret. Empty for the component's name; given where the component is renamed and the
	// object is not: see the package's documentation.
	Name string
	// Password that every client must give. Kept as a secret. Required.
	Password pulumi.StringInput
	// CA is the certificate (PEM) of a private authority that signed the server's. Nil for a public one, or without TLS.
	CA pulumi.StringInput
}

// Validate reports everything wrong with the arguments.
func (a *RedisSecretArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	return append(problems, check.Set("password", a.Password != nil)...)
}

// RedisSecret holds the password in the forms in which pods read it. It is apart from the Redis: one in the cluster, at AWS
// or elsewhere may take the place of another, and the pods of the app go on with the same Secret.
type RedisSecret struct {
	pulumi.ResourceState

	ref   SecretRef
	hasCA bool
}

// NewRedisSecret creates the Secret. It takes over the one of a stack in which it was part of the component of a Redis.
func NewRedisSecret(
	ctx *pulumi.Context, name string, args *RedisSecretArgs, opts ...pulumi.ResourceOption,
) (*RedisSecret, error) {
	s := &RedisSecret{hasCA: args.CA != nil}
	app := redisApp(cmp.Or(args.Name, name))
	problems := append(args.Validate(), check.ObjectName(app.Instance)...)
	former := pulumi.Aliases([]pulumi.Alias{{Type: pulumi.String("scaleout:index:ExternalRedis")}})
	// A copy: the list is the caller's, who may use it again.
	if err := register(ctx, "RedisSecret", name, problems, s, append(slices.Clone(opts), former)); err != nil {
		return nil, err
	}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput)
	data := map[string]pulumi.StringInput{
		redis.PasswordFile: password,
		redis.AuthFile:     password.ApplyT(redis.RequirePass).(pulumi.StringOutput),
	}
	if args.CA != nil {
		data[redis.CAFile] = args.CA
	}
	ref, err := newSecret(ctx, s, name+"-auth", app.Instance+"-auth", app, args.Namespace, data,
		pulumi.Aliases(formerParents(ctx, name)))
	if err != nil {
		return nil, err
	}
	s.ref = ref
	return s, ctx.RegisterResourceOutputs(s, pulumi.Map{"name": ref.Name})
}

// formerParents are the components that the Secret was part of up to version 0.
func formerParents(ctx *pulumi.Context, name string) []pulumi.Alias {
	var aliases []pulumi.Alias
	for _, kind := range []string{"Redis", "ElastiCache"} {
		aliases = append(aliases, pulumi.Alias{ParentURN: pulumi.CreateURN(pulumi.String(name),
			pulumi.String("scaleout:index:"+kind), nil, pulumi.String(ctx.Project()), pulumi.String(ctx.Stack()))})
	}
	return aliases
}

// Bind gives an app the connection to a Redis, under the names that it reads.
func (s *RedisSecret) Bind(connection redis.Connection, names redis.Environment) Binding {
	b := Binding{Env: names.Variables(connection), After: objects.Present(connection.Ready)}
	to := Peer{Pods: connection.Pods, Anyone: connection.Pods == nil, Ports: []int{connection.Port}}
	b.AllowTo = []Peer{to}
	if names.Password != "" {
		b.SecretEnv = map[string]SecretKey{names.Password: {Secret: s.ref, Key: redis.PasswordFile}}
	}
	files := map[string]string{names.PasswordFile: redis.PasswordFile}
	if s.hasCA {
		files[names.CAFile] = redis.CAFile
	}
	delete(files, "") // variables that the app does not read
	if len(files) == 0 {
		return b
	}
	mounted := SecretFiles{Dir: redis.ClientDir, Secret: s.ref}
	for _, variable := range slices.Sorted(maps.Keys(files)) {
		b.Env[variable] = pulumi.String(path.Join(redis.ClientDir, files[variable]))
		mounted.Keys = append(mounted.Keys, files[variable])
	}
	b.Files = []SecretFiles{mounted}
	return b
}

func redisApp(instance string) objects.App { return objects.App{Name: "redis", Instance: instance} }
