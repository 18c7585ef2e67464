package review

import (
	"cmp"
	_ "embed" // for kinds.yaml
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"example.com/scaleout/internal/rendered"
)

// Class grades what a change endangers, the worst first.
type Class int

// The classes.
const (
	DataLoss    Class = iota // data is deleted
	Outage                   // requests fail, or what others need is missing for a while
	Replacement              // an object is deleted, or deleted and created again, without either of these
	InPlace
	Addition
	classes = iota
)

// String returns the heading of a class.
func (c Class) String() string {
	return [...]string{"Data loss", "Outage", "Replaced or removed", "Changed in place", "Added"}[c]
}

// UnmarshalText accepts the classes of kinds.yaml.
func (c *Class) UnmarshalText(text []byte) error {
	classes := map[string]Class{"data loss": DataLoss, "outage": Outage, "replacement": Replacement}
	class, known := classes[string(text)]
	if !known {
		return fmt.Errorf("class %q is none of data loss, outage, replacement", text)
	}
	*c = class
	return nil
}

// kind is an entry of kinds.yaml.
type kind struct {
	Class         Class
	Lost, Instead string
	Immutable     []string
}

//go:embed kinds.yaml
var kindsYAML string

// kinds has the entries of kinds.yaml.
var kinds = func() (kinds map[string]kind) {
	decoder := yaml.NewDecoder(strings.NewReader(kindsYAML))
	decoder.KnownFields(true)
	if err := decoder.Decode(&kinds); err != nil {
		panic(err) // tests read the file as well
	}
	return kinds
}()

// containerUpdates are the only inputs of a container that pulumi-docker changes without replacing it.
var containerUpdates = []string{
	"cpuPeriod", "cpuQuota", "cpuSet", "cpuShares", "destroyGraceSeconds", "healthcheck", "init", "memory", "memorySwap",
	"mustRun", "restart", "tmpfs", "wait", "waitTimeout",
}

// kindOf returns the entry of a type such as kubernetes:core/v1:Service or aws:kms/key:Key, and whether there is one.
// For other types it is the worst, so that nobody relies on it.
func kindOf(typ string) (entry kind, listed bool) {
	name := typ
	if isObject(typ) {
		name = typ[strings.LastIndexByte(typ, ':')+1:]
	}
	if entry, listed = kinds[name]; !listed {
		entry = kind{DataLoss, "what is lost with a resource of this type is not known here", "", nil}
	}
	return entry, listed
}

func isObject(typ string) bool { return strings.HasPrefix(typ, "kubernetes:") }

// Replaces reports whether a change of the input at a path makes the provider replace a resource of the type.
func Replaces(typ, path string) bool {
	switch {
	case typ == container:
		return !within(path, containerUpdates)
	case typ == provider:
		return within(path, []string{"clusterIdentifier", "kubeconfig", "context", "cluster"})
	case isObject(typ) && within(path, []string{"metadata.name", "metadata.namespace"}):
		return true
	}
	entry, _ := kindOf(typ)
	return within(path, entry.Immutable)
}

// HoldsData reports whether data is lost with a resource of the type. Types that kinds.yaml does not have are unknown.
func HoldsData(typ string) bool {
	entry, listed := kindOf(typ)
	return listed && entry.Class == DataLoss
}

// replacesValue reports whether a change makes the provider replace a resource only because of its values: ElastiCache
// upgrades in place, also from Redis OSS to Valkey, encrypts connections in place from Redis OSS 7.0.5 on, and does
// nothing else.
func replacesValue(of *rendered.Resource, f field) bool {
	if !strings.HasPrefix(of.Type, "aws:elasticache/") {
		return false
	}
	before, after := fmt.Sprint(f.before), fmt.Sprint(f.after)
	switch f.path {
	case "engine":
		return before != "redis" || after != "valkey"
	case "engineVersion":
		return older(after, before)
	case "transitEncryptionEnabled":
		return older(fmt.Sprint(of.Get("engineVersion")), "7.1") // 7.0 may be an earlier one
	}
	return false
}

// older reports whether version a, e.g. 7.0, comes before b.
func older(a, b string) bool {
	return slices.CompareFunc(strings.Split(a, "."), strings.Split(b, "."), func(a, b string) int {
		return cmp.Or(len(a)-len(b), strings.Compare(a, b))
	}) < 0
}

// Types with rules of their own.
const (
	container = "docker:index/container:Container"
	provider  = "pulumi:providers:kubernetes"
)
