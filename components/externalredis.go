package components

import (
	"cmp"
	"net"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// ExternalRedisArgs say where a Redis is that this program does not run.
type ExternalRedisArgs struct {
	// Namespace of the app, where the Secret goes. Required.
	Namespace pulumi.StringInput
	// Name of its Secret, and what the labels of that call the instance. Empty for the component's name; given where the
	// component is renamed and that is not: see the package's documentation.
	Name string
	// Password of the user. Kept as a secret. Required.
	Password pulumi.StringInput
	ExternalRedisSettings
}

// ExternalRedisSettings are the address of a Redis and how to speak to it.
type ExternalRedisSettings struct {
	// Host is a DNS name or an IP address. Required.
	Host string
	// Port of the server, 1 to 65535. Required.
	Port int
	// TLS encrypts the connection; the server's certificate must be signed by a public authority.
	TLS bool
	// Username of the Redis access control list. Empty for the default user.
	Username string
}

// Validate reports everything wrong with the arguments.
func (a *ExternalRedisArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.ObjectName(a.Name)...)
	problems = append(problems, check.Set("password", a.Password != nil)...)
	return append(problems, a.ExternalRedisSettings.Validate()...)
}

// Validate reports everything wrong with the settings.
func (s *ExternalRedisSettings) Validate() field.ErrorList {
	problems := check.Range("port", s.Port, 1, 65535)
	if !isElsewhere(s.Host) {
		problems = append(problems, check.Invalid("host", s.Host,
			"must be a DNS name or an IP address, without a port, that is not of the pod itself")...)
	}
	if strings.ContainsFunc(s.Username, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		problems = append(problems, check.Invalid("username", s.Username, "must have no white space, as Redis allows none")...)
	}
	return problems
}

// isElsewhere tells whether a host may be another than the pod that connects to it.
func isElsewhere(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsLoopback() && !ip.IsUnspecified()
	}
	return check.IsDNSName(host) && host != "localhost"
}

// ExternalRedis gives an app the connection to a Redis elsewhere, in the form in which Redis gives its own.
type ExternalRedis struct {
	pulumi.ResourceState

	// Connection is how the app gets to it.
	Connection RedisConnection
}

// NewExternalRedis stores the password where the app can mount it.
func NewExternalRedis(
	ctx *pulumi.Context, name string, args *ExternalRedisArgs, opts ...pulumi.ResourceOption,
) (*ExternalRedis, error) {
	r := &ExternalRedis{}
	inputs := pulumi.Map{
		"namespace": args.Namespace, "name": pulumi.String(args.Name),
		"host": pulumi.String(args.Host), "port": pulumi.Int(args.Port),
		"tls": pulumi.Bool(args.TLS), "username": pulumi.String(args.Username),
	}
	if err := register(ctx, "ExternalRedis", name, args.Validate(), inputs, r, opts); err != nil {
		return nil, err
	}
	app := App{Name: "redis", Instance: cmp.Or(args.Name, name)}
	password := pulumi.ToSecret(args.Password).(pulumi.StringOutput) // and so is all that follows from it
	secret, err := newPasswordSecret(ctx, r, name, app, args.Namespace, pulumi.StringMap{passwordKey: password})
	if err != nil {
		return nil, err
	}
	r.Connection = RedisConnection{
		Host:     pulumi.String(args.Host).ToStringOutput(),
		Port:     args.Port,
		TLS:      args.TLS,
		Username: args.Username,
		Secret:   secret.Metadata.Name().Elem(),
		Password: password,
		// The peer stays empty, which is anyone: a NetworkPolicy knows no DNS names, and a managed Redis changes its
		// addresses, so the port is the limit.
	}
	return r, ctx.RegisterResourceOutputs(r, r.Connection.outputs())
}
