package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// defaultStack is the stack of commands that name none, here and in the Makefile.
const defaultStack = "dev"

// Defaults of a cluster that does not exist yet; an existing one keeps what it was made with.
const (
	defaultHTTPPort     = 8080 // ports below 1024 need root in rootless Docker
	defaultHTTPSPort    = 8443
	defaultRegistryPort = 5001 // as in kind's guide; 5000 is taken by AirPlay on macOS
)

// settings are what the user can choose, by the environment variables of the same names. A port that is 0 is the one of
// the existing cluster or registry, or the default.
type settings struct {
	Stack, Cluster, NodeImage    string
	HTTPPort, HTTPSPort, Workers int
	RegistryName, RegistryImage  string
	RegistryPort                 int
	Component, From, To          string
	Follow, Yes, NoCheck         bool
}

// variable is one setting's place in the environment.
type variable struct {
	name, usage string
	set         func(string) error
}

func (s *settings) variables() []variable {
	return []variable{
		{"STACK", "the Pulumi stack (dev)", asText(&s.Stack, qualifiedStack,
			"lower-case letters, digits and hyphens, such as prod, or organization/project/stack")},
		{"CLUSTER", "the kind cluster (scaleout)", asName(&s.Cluster)},
		{"HTTP_PORT", "port of the app on 127.0.0.1 (8080; with docker publicPort)", asNumber(&s.HTTPPort, 1, 65535)},
		{"HTTPS_PORT", "ingress TLS port on 127.0.0.1 (8443)", asNumber(&s.HTTPSPort, 1, 65535)},
		{"WORKERS", "nodes of a new cluster besides the control plane (0)", asNumber(&s.Workers, 0, 99)},
		{"NODE_IMAGE", "image of the nodes (Kubernetes 1.34 for kind v0.33.0)", asText(&s.NodeImage, nil, "")},
		{"REGISTRY_NAME", "the registry's container (kind-registry)", asName(&s.RegistryName)},
		{"REGISTRY_PORT", "the registry's port on 127.0.0.1 (5001)", asNumber(&s.RegistryPort, 1, 65535)},
		{"REGISTRY_IMAGE", "image of the registry (registry:3)", asText(&s.RegistryImage, nil, "")},
		{"COMPONENT", "logs of web, redis, traefik or nginx (web)", asText(&s.Component,
			regexp.MustCompile(`^(web|redis|traefik|nginx)$`), "web, redis, traefik or nginx")},
		{"FOLLOW", "keep printing logs: 1 or 0 (0)", asBool(&s.Follow)},
		// FROM and TO are checked where they are used: other programs have variables of these names too.
		{"FROM", "promote: the stack whose image is deployed", asText(&s.From, nil, "")},
		{"TO", "rollback: number, digest or its beginning, or reference (the previous image)", asText(&s.To, nil, "")},
		{"YES", "promote, rollback: do not ask at a terminal: 1 or 0 (0)", asBool(&s.Yes)},
		{"NO_CHECK", "promote, rollback: do not ask whether the image is there: 1 or 0 (0)", asBool(&s.NoCheck)},
	}
}

// parseSettings reads the environment over the defaults. An empty variable counts as unset, since make exports such ones.
// All problems come in one error.
func parseSettings(getenv func(string) string) (settings, error) {
	s := settings{
		Stack: defaultStack, Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: "registry:3", Component: "web",
	}
	var problems []error
	for _, v := range s.variables() {
		if value := getenv(v.name); value != "" {
			if err := v.set(value); err != nil {
				problems = append(problems, fmt.Errorf("%s=%q: %w", v.name, value, err))
			}
		}
	}
	return s, errors.Join(problems...)
}

var (
	// validName is what Docker, kind and Pulumi all take as a name.
	validName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	// qualifiedStack is a stack's name, with or without the organization and the project before it.
	qualifiedStack = regexp.MustCompile(
		`^([A-Za-z0-9][A-Za-z0-9_-]*/([A-Za-z0-9][A-Za-z0-9._-]*/)?)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

// asText takes a value of a form; nil is any.
func asText(p *string, form *regexp.Regexp, want string) func(string) error {
	return func(v string) error {
		if form != nil && !form.MatchString(v) {
			return errors.New("want " + want)
		}
		*p = v
		return nil
	}
}

func asName(p *string) func(string) error {
	return asText(p, validName, "lower-case letters, digits and hyphens")
}

func asNumber(p *int, from, to int) func(string) error {
	return func(v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < from || n > to {
			return fmt.Errorf("want a whole number, %d to %d", from, to)
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
