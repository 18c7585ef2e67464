// Package redis describes the connection to any Redis. It imports no provider, so that all packages can share it.
package redis

import (
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Connection holds the connection settings of a Redis, except for the password.
type Connection struct {
	// Host is a DNS name or an IP address. Required.
	Host pulumi.StringInput
	// Port of the server, 1 to 65535. Required.
	Port int
	// TLS is true if the server requires encrypted connections.
	TLS bool
	// Username of the Redis access control list. Empty for the default user.
	Username string
	// Pods are the labels of the pods of a Redis in the client's namespace, for network policies. Nil for any other
	// Redis: a NetworkPolicy does not support DNS names, and the addresses of a managed Redis change, so only the port
	// is restricted.
	Pods map[string]string
	// Ready is a dependency of the client's first rollout. Nil for a Redis that this program does not create.
	Ready pulumi.Resource
}

// Validate reports everything wrong with the connection, as far as its inputs are known.
func (c *Connection) Validate() field.ErrorList {
	host, known := c.Host.(pulumi.String)
	separates := func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }
	return slices.Concat(check.Range("port", c.Port, 1, 65535), check.Set("host", c.Host != nil),
		check.That(!known || isElsewhere(string(host)), "host", string(host),
			"must be a DNS name or an IP address without a port, and not localhost, a loopback or an unspecified address"),
		check.That(!strings.ContainsFunc(c.Username, separates), "username", c.Username,
			"must have no white space and no control characters"))
}

// isElsewhere reports whether a host can be a machine other than the client itself.
func isElsewhere(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return !ip.IsLoopback() && !ip.IsUnspecified()
	}
	return check.IsDNSName(host) && host != "localhost"
}

// Environment holds the names of the variables that an app reads. A variable with an empty name is not set.
type Environment struct {
	// Host, Port (a number), TLS (true or false) and Username (set only if the connection has one).
	Host, Port, TLS, Username string
	// Password holds the password itself, for apps that cannot read PasswordFile, which holds the path of a file:
	// variables are inherited by child processes.
	Password, PasswordFile string
	// CAFile holds the path of the certificate of the server's private authority. Not set for a public one.
	CAFile string
}

// Validate reports invalid variable names, and a missing Host.
func (e *Environment) Validate() field.ErrorList {
	problems := check.That(e.Host != "", "host", e.Host,
		"host must be the name of the variable with the address, such as REDIS_HOST")
	fieldOf := map[string]string{}
	for _, f := range []struct{ name, variable string }{
		{"host", e.Host}, {"port", e.Port}, {"tls", e.TLS}, {"username", e.Username}, {"password", e.Password},
		{"passwordFile", e.PasswordFile}, {"caFile", e.CAFile},
	} {
		other := fieldOf[f.variable]
		problems = slices.Concat(problems, check.Optional(check.Variable, f.name, f.variable),
			check.That(f.variable == "" || other == "", f.name, f.variable, "must differ from the variable of "+other))
		fieldOf[f.variable] = f.name
	}
	return problems
}

// Variables returns the variables that hold no secrets.
func (e *Environment) Variables(c Connection) map[string]pulumi.StringInput {
	variables := map[string]pulumi.StringInput{
		e.Host: c.Host,
		e.Port: pulumi.String(strconv.Itoa(c.Port)),
		e.TLS:  pulumi.String(strconv.FormatBool(c.TLS)),
	}
	if c.Username != "" {
		variables[e.Username] = pulumi.String(c.Username)
	}
	delete(variables, "") // settings that the app does not read
	return variables
}

// Values of Redis' appendfsync. A crash of only the Redis process loses nothing that was written to the file:
// https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
const (
	// FsyncEverySecond flushes the file to disk once a second. A crash of the node loses up to a second of writes, or two
	// while the disk is slow, because Redis delays a write by at most two seconds during a flush.
	FsyncEverySecond = "everysec"
	// FsyncAlways flushes the file before each reply, which costs throughput: docs/reliability.md.
	FsyncAlways = "always"
)

// CheckFsync reports any other value.
func CheckFsync(value string) field.ErrorList {
	return check.OneOf("fsync", value, FsyncEverySecond, FsyncAlways)
}

// Settings shared by all servers of this library, in pods and in containers.
const (
	// Port is the port that the server listens on.
	Port = 6379
	// User is the user ID of the official image, in both its Debian and its Alpine variant.
	User = 999

	// ConfigDir contains ConfigFile, AuthDir contains AuthFile and PasswordFile, and DataDir contains the data.
	ConfigDir = "/etc/redis/conf"
	AuthDir   = "/etc/redis/auth"
	DataDir   = "/data"

	ConfigFile   = "redis.conf"
	AuthFile     = "auth.conf"
	PasswordFile = "password"
	// ClientDir contains the files that an app needs as a client: PasswordFile and CAFile.
	ClientDir = "/etc/redis"
	// CAFile is the name of the certificate file of a private authority in ClientDir.
	CAFile = "ca.crt"
)

// Probe succeeds if the server replies PONG; while Redis loads its file, it replies LOADING. The shell passes the
// password in the environment, because every user of the node can read process arguments.
const Probe = `REDISCLI_AUTH="$(cat ` + AuthDir + `/` + PasswordFile + `)" redis-cli ping | grep -q PONG`

// LingerSeconds limits how long a terminating server keeps serving: as long as a pod of an app behind an AWS load
// balancer takes to terminate with this library's default times (kube.Shutdown).
const LingerSeconds = 40

// Linger returns a shell script that exits when no other client is connected, or after about LingerSeconds. It
// authenticates like Probe, and exits at once if the server does not reply.
func Linger() string {
	return fmt.Sprintf(`export REDISCLI_AUTH="$(cat %s/%s)"
for _ in $(seq %d); do
  [ "$(timeout 2 redis-cli client list | grep -c ^id=)" -gt 1 ] || break
  sleep 1
done`, AuthDir, PasswordFile, LingerSeconds)
}

// Configuration returns the configuration file of a server. The data may use 3/4 of memoryLimit; the rest is for the
// copy that Redis makes while it rewrites its append-only file.
func Configuration(memoryLimit, fsync string) string {
	memory := resource.MustParse(memoryLimit)
	return fmt.Sprintf(`# Other hosts may connect; the password and the network policy decide which.
protected-mode no
include %s/%s
dir %s
appendonly yes
appendfsync %s
save ""
maxmemory %d
# A counter must refuse to grow rather than forget.
maxmemory-policy noeviction
`, AuthDir, AuthFile, DataDir, fsync, memory.Value()/4*3)
}

// RequirePass returns the configuration line that sets the password. Every byte is escaped, so none ends the string.
func RequirePass(password string) string {
	line := `requirepass "`
	for _, b := range []byte(password) {
		line += fmt.Sprintf(`\x%02x`, b)
	}
	return line + "\"\n"
}
