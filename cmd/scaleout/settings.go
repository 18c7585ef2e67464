package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
)

// defaultStack is the stack of commands that name none, here and in the Makefile.
const defaultStack = "dev"

// Defaults of a cluster that does not exist yet; an existing one keeps what it was made with.
const (
	defaultHTTPPort     = 8080 // ports below 1024 need root in rootless Docker
	defaultHTTPSPort    = 8443
	defaultRegistryPort = 5001 // as in Kind's guide; 5000 is taken by AirPlay on macOS
)

// settings are what the user can choose. Flags win over the environment variables of the same meaning.
type settings struct {
	// Stack is the Pulumi stack, and with it the file Pulumi.<stack>.yaml.
	Stack string
	// Cluster is the Kind cluster's name; its kubectl context is kind-<name>.
	Cluster string
	// HTTPPort and HTTPSPort are the host ports of the ingress, or of nginx; 0 is the existing cluster's, or the default.
	HTTPPort, HTTPSPort int
	// Workers is the number of nodes besides the control plane of a new cluster.
	Workers int
	// NodeImage is the image of a new cluster's nodes; empty is a pinned one.
	NodeImage string
	// RegistryName is the registry's container, by which the nodes reach it.
	RegistryName string
	// RegistryPort is the registry's port on 127.0.0.1; 0 is the existing container's, or the default.
	RegistryPort int
	// RegistryImage is the image of a new registry.
	RegistryImage string
	// Component is whose logs are printed: web, redis, on Kind traefik, on Docker nginx.
	Component string
	// Follow keeps printing logs.
	Follow bool
	// Confirm has to be the stack's name before `down` destroys a stack that is not on this machine.
	Confirm string
	// From is the stack whose image `promote` deploys.
	From string
	// To says which image `rollback` deploys; empty is the one before.
	To string
	// Yes has `promote` and `rollback` ask nothing.
	Yes bool
	// NoCheck has them ask no registry whether an image is there.
	NoCheck bool
}

// option is one setting's place on the command line and in the environment.
type option struct {
	flag, variable, usage string
	set                   func(string) error
}

func (s *settings) options() []option {
	return []option{
		{"stack", "STACK", "the Pulumi stack (dev)", asStack(&s.Stack)},
		{"cluster", "CLUSTER", "the Kind cluster (scaleout)", asName(&s.Cluster)},
		{"http-port", "HTTP_PORT", "port of the app on 127.0.0.1 (8080; with docker publicPort)", asPort(&s.HTTPPort)},
		{"https-port", "HTTPS_PORT", "ingress TLS port on 127.0.0.1 (8443)", asPort(&s.HTTPSPort)},
		{"workers", "WORKERS", "nodes besides the control plane (0)", asNumber(&s.Workers)},
		{"node-image", "NODE_IMAGE", "image of the nodes (Kubernetes 1.34 for Kind v0.33.0)", asText(&s.NodeImage)},
		{"registry-name", "REGISTRY_NAME", "the registry's container (kind-registry)", asName(&s.RegistryName)},
		{"registry-port", "REGISTRY_PORT", "the registry's port on 127.0.0.1 (5001)", asPort(&s.RegistryPort)},
		{"registry-image", "REGISTRY_IMAGE", "image of the registry (registry:3)", asText(&s.RegistryImage)},
		{"component", "COMPONENT", "logs of web, redis, traefik or nginx (web)", asOneOf(&s.Component, "web", "redis", "traefik", "nginx")},
		{"follow", "FOLLOW", "keep printing logs: 1 or 0 (0)", asBool(&s.Follow)},
		{"confirm", "CONFIRM", "name of the stack, to destroy one that is not on this machine", asText(&s.Confirm)},
		// FROM and TO are checked where they are used: other programs have variables of these names too.
		{"from", "FROM", "promote: the stack whose image is deployed", asText(&s.From)},
		{"to", "TO", "rollback: number, digest or its beginning, or reference (the previous image)", asText(&s.To)},
		{"yes", "YES", "promote, rollback: do not ask at a terminal: 1 or 0 (0)", asBool(&s.Yes)},
		{"no-check", "NO_CHECK", "promote, rollback: do not ask whether the image is there: 1 or 0 (0)", asBool(&s.NoCheck)},
	}
}

// parseSettings reads flags and environment over the defaults. An empty variable counts as unset, since make exports
// such ones. All problems come in one error.
func parseSettings(args []string, getenv func(string) string) (settings, error) {
	s := settings{
		Stack: defaultStack, Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: "registry:3", Component: "web",
	}
	flags := flag.NewFlagSet("scaleout", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	var problems []error
	for _, o := range s.options() {
		if v := getenv(o.variable); v != "" {
			if err := o.set(v); err != nil {
				problems = append(problems, fmt.Errorf("%s=%q: %w", o.variable, v, err))
			}
		}
		flags.Func(o.flag, o.usage, o.set)
	}
	if err := flags.Parse(args); err != nil {
		problems = append(problems, err)
	} else if flags.NArg() > 0 {
		problems = append(problems, fmt.Errorf("unexpected argument %q", flags.Arg(0)))
	}
	return s, errors.Join(problems...)
}

// validName is what Docker, Kind and Pulumi all take as a name.
var validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func asText(p *string) func(string) error {
	return func(v string) error { *p = v; return nil }
}

func asName(p *string) func(string) error {
	return func(v string) error {
		if !validName.MatchString(v) {
			return errors.New("want lower-case letters, digits and hyphens")
		}
		*p = v
		return nil
	}
}

// qualifiedStack is a stack's name, with or without the organization and the project before it.
var qualifiedStack = regexp.MustCompile(
	`^([A-Za-z0-9][A-Za-z0-9_-]*/([A-Za-z0-9][A-Za-z0-9._-]*/)?)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)

func asStack(p *string) func(string) error {
	return func(v string) error {
		if !qualifiedStack.MatchString(v) {
			return errors.New("want lower-case letters, digits and hyphens, such as prod, or organization/project/stack")
		}
		*p = v
		return nil
	}
}

func asOneOf(p *string, values ...string) func(string) error {
	return func(v string) error {
		for _, want := range values {
			if v == want {
				*p = v
				return nil
			}
		}
		return fmt.Errorf("want one of %v", values)
	}
}

func asNumber(p *int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return errors.New("want a whole number, 0 or more")
		}
		*p = n
		return nil
	}
}

func asPort(p *int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 || n > 65535 {
			return errors.New("want a port, 1 to 65535")
		}
		*p = n
		return nil
	}
}

func asBool(p *bool) func(string) error {
	return func(v string) (err error) {
		if *p, err = strconv.ParseBool(v); err != nil {
			return errors.New("want 1 or 0")
		}
		return nil
	}
}

// findRoot returns the folder that holds Pulumi.yaml: the working directory or one above it.
func findRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the project: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "Pulumi.yaml")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no Pulumi.yaml here or in a folder above; run this inside the project")
		}
		dir = parent
	}
}
