package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
)

// defaultStack is the stack of a command without STACK, here and in the Makefile.
const defaultStack = "dev"

// Defaults of a cluster that does not exist yet; an existing one keeps its ports.
const (
	defaultHTTPPort     = 8080 // ports below 1024 need root in rootless Docker
	defaultHTTPSPort    = 8443
	defaultRegistryPort = 5001 // as in kind's guide; 5000 is taken by AirPlay on macOS
)

// settings are the user's choices, from the environment variables of the same names. Port 0 stands for that of the
// existing cluster or registry, or the default.
type settings struct {
	Stack, Cluster, NodeImage    string
	HTTPPort, HTTPSPort, Workers int
	RegistryName, RegistryImage  string
	RegistryPort                 int
	Component, From, To          string
	Follow, Yes                  bool

	platform string // operating system and architecture of the Docker daemon, such as linux/amd64
}

// variable is the environment variable of a setting.
type variable struct {
	name, usage string
	into        any            // *string, *int or *bool
	form        *regexp.Regexp // nil for any
	words       string         // which describe the form
}

const port = "a port, 1 to 65535"

var (
	// plainName is a name that Docker, kind and Pulumi all accept.
	plainName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	// qualifiedStack is a stack's name, with or without organization and project in front.
	qualifiedStack = regexp.MustCompile(
		`^([A-Za-z0-9][A-Za-z0-9_-]*/([A-Za-z0-9][A-Za-z0-9._-]*/)?)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
)

func (s *settings) variables() []variable {
	const name = "lower-case letters, digits and hyphens"
	flag := regexp.MustCompile(`^[01]$`)
	return []variable{
		{"STACK", "the Pulumi stack (dev)", &s.Stack, qualifiedStack, name + ", such as prod, or organization/project/stack"},
		{"CLUSTER", "the kind cluster (scaleout)", &s.Cluster, plainName, name},
		{"HTTP_PORT", "port of the app on 127.0.0.1 (8080; with docker publicPort)", &s.HTTPPort, nil, port},
		{"HTTPS_PORT", "ingress TLS port on 127.0.0.1 (8443)", &s.HTTPSPort, nil, port},
		{"WORKERS", "nodes of a new cluster in addition to the control plane (0)", &s.Workers,
			regexp.MustCompile(`^[0-9]{1,2}$`), "a number, 0 to 99"},
		{"NODE_IMAGE", "image of the nodes (Kubernetes 1.34 for kind v0.33.0)", &s.NodeImage, nil, ""},
		{"REGISTRY_NAME", "the registry's container (kind-registry)", &s.RegistryName, plainName, name},
		{"REGISTRY_PORT", "the registry's port on 127.0.0.1 (5001)", &s.RegistryPort, nil, port},
		{"REGISTRY_IMAGE", "image of the registry (" + registryImage + ")", &s.RegistryImage, nil, ""},
		{"COMPONENT", "logs of web, redis, traefik or nginx (web)", &s.Component,
			regexp.MustCompile(`^(web|redis|traefik|nginx)$`), "web, redis, traefik or nginx"},
		{"FOLLOW", "keep printing logs: 1 or 0 (0)", &s.Follow, flag, "1 or 0"},
		// FROM and TO are checked where they are used: other programs use these names too.
		{"FROM", "promote: the stack whose image is deployed", &s.From, nil, ""},
		{"TO", "rollback: number, digest or its beginning, or reference (the previous image)", &s.To, nil, ""},
		{"YES", "promote, rollback: do not ask at a terminal: 1 or 0 (0)", &s.Yes, flag, "1 or 0"},
	}
}

// parseSettings reads the environment over the defaults. An empty variable counts as unset, since make exports such
// ones. One error lists all problems.
func parseSettings(lookupEnv func(string) (string, bool)) (settings, error) {
	s := settings{
		Stack: defaultStack, Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: registryImage,
		Component: "web",
	}
	var problems []error
	for _, v := range s.variables() {
		value, _ := lookupEnv(v.name)
		if value == "" {
			continue
		}
		n, _ := strconv.Atoi(value)
		if v.form != nil && !v.form.MatchString(value) || v.words == port && (n < 1 || n > 65535) {
			problems = append(problems, fmt.Errorf("%s=%q: want %s", v.name, value, v.words))
			continue
		}
		switch into := v.into.(type) {
		case *string:
			*into = value
		case *int:
			*into = n
		case *bool:
			*into = value == "1"
		}
	}
	return s, errors.Join(problems...)
}
