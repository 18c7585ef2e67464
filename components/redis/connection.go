// Package redis describes how to reach a Redis, wherever it runs: in the cluster, in a container, at AWS, anywhere
// else. It imports no provider, so that the packages of all of them can share it.
//
//	Connection   the address of a Redis and how to speak to it
//	Environment  the names of the variables by which an app is told about it
package redis

import (
	"net"
	"strconv"
	"strings"
	"unicode"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
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
	problems := check.Range("port", c.Port, 1, 65535)
	problems = append(problems, check.Set("host", c.Host != nil)...)
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
	// Password is for apps that want the password itself. Prefer PasswordFile, the path of a file: a variable passes to
	// child processes and shows in crash dumps.
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
		if f.variable == "" {
			continue
		}
		problems = append(problems, check.Variable(f.name, f.variable)...)
		if other, taken := fieldOf[f.variable]; taken {
			problems = append(problems, check.Invalid(f.name, f.variable, "must be another variable than that of "+other)...)
		}
		fieldOf[f.variable] = f.name
	}
	return problems
}

// Variables are those that hold no secret.
func (e *Environment) Variables(c Connection) map[string]pulumi.StringInput {
	variables := map[string]pulumi.StringInput{}
	set := func(name string, value pulumi.StringInput) {
		if name != "" {
			variables[name] = value
		}
	}
	set(e.Host, c.Host)
	set(e.Port, pulumi.String(strconv.Itoa(c.Port)))
	set(e.TLS, pulumi.String(strconv.FormatBool(c.TLS)))
	if c.Username != "" {
		set(e.Username, pulumi.String(c.Username))
	}
	return variables
}
