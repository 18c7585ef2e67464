// Package redis describes how to reach a Redis, wherever it runs: in the cluster, in a container, at AWS, anywhere
// else. It imports no provider, so that the packages of all of them can share it.
//
//	Connection   the address of a Redis and how to speak to it
//	Environment  the names of the variables by which an app is told about it
package redis

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Connection is what a client needs to know of a Redis, but for the password.
type Connection struct {
	// Host is a DNS name or an IP address. Required.
	Host pulumi.StringInput
	// Port of the server, 1 to 65535. Required.
	Port int
	// TLS says whether the server expects an encrypted connection.
	TLS bool
	// Username of the Redis access control list. Empty for the default user.
	Username string
	// Pods are the labels of the pods that serve it, where they are in the client's namespace. Nil for a Redis elsewhere:
	// a NetworkPolicy knows no DNS names, and a managed Redis changes its addresses, so the port is then the only limit.
	Pods map[string]string
	// Ready is what a client waits for before its first rollout. Nil for a Redis that this program does not create.
	Ready pulumi.Resource
}

// Validate reports everything wrong with the connection, as far as it is known.
func (c *Connection) Validate() field.ErrorList {
	problems := append(check.Range("port", c.Port, 1, 65535), check.Set("host", c.Host != nil)...)
	if host, known := c.Host.(pulumi.String); known && !isElsewhere(string(host)) {
		problems = append(problems, check.Invalid("host", string(host),
			"must be a DNS name or an IP address, without a port, that is not of the pod itself")...)
	}
	if strings.ContainsFunc(c.Username, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		problems = append(problems, check.Invalid("username", c.Username,
			"must have no white space, as Redis allows none")...)
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

// Environment has the names of the variables that an app reads. What is empty is not passed.
type Environment struct {
	// Host, Port (a number), TLS (true or false) and Username (only where there is one).
	Host, Port, TLS, Username string
	// Password itself, for apps that cannot read PasswordFile, its path: a variable passes to child processes.
	Password, PasswordFile string
	// CAFile is the path of a file with the authority that signed the server's certificate (only where it is private).
	CAFile string
}

// Validate reports names that no variable can have, and an app that would get no address.
func (e *Environment) Validate() field.ErrorList {
	var problems field.ErrorList
	if e.Host == "" {
		problems = field.ErrorList{field.Required(field.NewPath("host"), "host must be the variable with the address, such as REDIS_HOST")}
	}
	fieldOf := map[string]string{}
	for _, f := range []struct{ name, variable string }{
		{"host", e.Host}, {"port", e.Port}, {"tls", e.TLS}, {"username", e.Username}, {"password", e.Password},
		{"passwordFile", e.PasswordFile}, {"caFile", e.CAFile},
	} {
		problems = append(problems, check.Optional(check.Variable, f.name, f.variable)...)
		if other := fieldOf[f.variable]; f.variable != "" && other != "" {
			problems = append(problems, check.Invalid(f.name, f.variable, "must be another variable than that of "+other)...)
		}
		fieldOf[f.variable] = f.name
	}
	return problems
}

// Variables are those that hold no secret.
func (e *Environment) Variables(c Connection) map[string]pulumi.StringInput {
	variables := map[string]pulumi.StringInput{
		e.Host: c.Host,
		e.Port: pulumi.String(strconv.Itoa(c.Port)),
		e.TLS:  pulumi.String(strconv.FormatBool(c.TLS)),
	}
	if c.Username != "" {
		variables[e.Username] = pulumi.String(c.Username)
	}
	delete(variables, "") // what the app does not read
	return variables
}

// When Redis forces its append-only file to disk. The crash of only its process loses nothing that was written to the
// file: https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
const (
	// FsyncEverySecond forces it once a second. The crash of a node loses what was not yet forced: normally up to one
	// second, up to two while the disk is slow, since Redis delays a write by at most two while a force is under way.
	FsyncEverySecond = "everysec"
	// FsyncAlways forces it before each answer. That costs throughput: docs/reliability.md.
	FsyncAlways = "always"
)

// CheckFsync reports what is neither of the two.
func CheckFsync(value string) field.ErrorList {
	return check.OneOf("fsync", value, FsyncEverySecond, FsyncAlways)
}

// What every server of this library has, in a pod as in a container.
const (
	// Port it listens on.
	Port = 6379
	// User is the one that the official image makes, in its Debian and its Alpine form alike.
	User = 999

	// ConfigDir has ConfigFile; AuthDir has AuthFile and PasswordFile; DataDir is where the data goes.
	ConfigDir = "/etc/redis/conf"
	AuthDir   = "/etc/redis/auth"
	DataDir   = "/data"

	ConfigFile   = "redis.conf"
	AuthFile     = "auth.conf"
	PasswordFile = "password"
	// ClientDir is where an app finds the files that it needs as a client: PasswordFile and CAFile.
	ClientDir = "/etc/redis"
	// CAFile is where a client finds a private authority, beside the password.
	CAFile = "ca.crt"
)

// Probe asks for a PONG: while Redis loads its file it answers LOADING instead. The shell hands the password over in
// the environment, since process arguments are readable for everyone on the node.
const Probe = `REDISCLI_AUTH="$(cat ` + AuthDir + `/` + PasswordFile + `)" redis-cli ping | grep -q PONG`

// LingerSeconds limits how long a server that is to stop goes on serving: as long as a pod of an app behind an AWS load
// balancer takes to leave, with the times that this library proposes (kube.Drain).
const LingerSeconds = 40

// Linger returns a shell script that ends when no other client is connected, or after about LingerSeconds. It asks as
// Probe does; a server that does not answer is not waited for.
func Linger() string {
	return fmt.Sprintf(`export REDISCLI_AUTH="$(cat %s/%s)"
for _ in $(seq %d); do
  [ "$(timeout 2 redis-cli client list | grep -c ^id=)" -gt 1 ] || break
  sleep 1
done`, AuthDir, PasswordFile, LingerSeconds)
}

// Configuration is that of a server with this much memory, whose file is forced to disk when fsync says. The data may
// use 3/4 of the memory; the rest is for the copy that Redis makes while it rewrites its append-only file.
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

// RequirePass is the line that sets the password. Every byte is escaped, so that none ends the string.
func RequirePass(password string) string {
	var line strings.Builder
	line.WriteString(`requirepass "`)
	for _, b := range []byte(password) {
		fmt.Fprintf(&line, `\x%02x`, b)
	}
	line.WriteString("\"\n")
	return line.String()
}
