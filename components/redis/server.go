package redis

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// When Redis forces its append-only file to disk. The crash of only its process loses nothing that was written to the
// file: https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/
const (
	// FsyncEverySecond forces it once a second. The crash of a node loses what was not yet forced: normally up to one
	// second, up to two while the disk is slow, since Redis delays a write by at most two while a force is under way.
	FsyncEverySecond = "everysec"
	// FsyncAlways forces it before each answer. The crash of a node loses nothing that was answered, which costs
	// throughput: docs/reliability.md has the measured cost.
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

// Configuration is that of a server with this much memory, whose file is forced to disk when fsync says. The data may
// use 3/4 of the memory; the rest is for the copy that Redis makes while it rewrites its append-only file.
func Configuration(memoryLimit, fsync string) string {
	memory := resource.MustParse(memoryLimit)
	return strings.Join([]string{
		"# Other hosts may connect; the password and the network policy decide which.",
		"protected-mode no",
		"include " + AuthDir + "/" + AuthFile,
		"dir " + DataDir,
		"appendonly yes",
		"appendfsync " + fsync,
		`save ""`,
		fmt.Sprintf("maxmemory %d", memory.Value()/4*3),
		"# A counter must refuse to grow rather than forget.",
		"maxmemory-policy noeviction",
		"",
	}, "\n")
}

// RequirePass is the configuration line that sets the password. Escaping every byte leaves no character that could end
// the string or start another directive.
func RequirePass(password string) string {
	var line strings.Builder
	line.WriteString(`requirepass "`)
	for _, b := range []byte(password) {
		fmt.Fprintf(&line, `\x%02x`, b)
	}
	line.WriteString("\"\n")
	return line.String()
}
