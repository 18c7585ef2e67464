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
	Follow, Yes                  bool
}

// form is what a value looks like.
type form struct {
	pattern *regexp.Regexp
	words   string
}

var (
	anyText   = form{regexp.MustCompile(``), ""}
	component = form{regexp.MustCompile(`^(web|redis|traefik|nginx)$`), "web, redis, traefik or nginx"}
	yesOrNo   = form{regexp.MustCompile(`^[01]$`), "1 or 0"}
	fewNodes  = form{regexp.MustCompile(`^[0-9]{1,2}$`), "a number, 0 to 99"}
	port      = form{regexp.MustCompile(
		`^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$`), "a port, 1 to 65535"}
	// plainName is what Docker, kind and Pulumi all take as a name.
	plainName = form{regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`), "lower-case letters, digits and hyphens"}
	// qualifiedStack is a stack's name, with or without the organization and the project before it.
	qualifiedStack = form{
		regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9_-]*/([A-Za-z0-9][A-Za-z0-9._-]*/)?)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$`),
		"lower-case letters, digits and hyphens, such as prod, or organization/project/stack",
	}
)

// variable is one setting's place in the environment.
type variable struct {
	name, usage string
	into        any // *string, *int or *bool
	form        form
}

func (s *settings) variables() []variable {
	return []variable{
		{"STACK", "the Pulumi stack (dev)", &s.Stack, qualifiedStack},
		{"CLUSTER", "the kind cluster (scaleout)", &s.Cluster, plainName},
		{"HTTP_PORT", "port of the app on 127.0.0.1 (8080; with docker publicPort)", &s.HTTPPort, port},
		{"HTTPS_PORT", "ingress TLS port on 127.0.0.1 (8443)", &s.HTTPSPort, port},
		{"WORKERS", "nodes of a new cluster besides the control plane (0)", &s.Workers, fewNodes},
		{"NODE_IMAGE", "image of the nodes (Kubernetes 1.34 for kind v0.33.0)", &s.NodeImage, anyText},
		{"REGISTRY_NAME", "the registry's container (kind-registry)", &s.RegistryName, plainName},
		{"REGISTRY_PORT", "the registry's port on 127.0.0.1 (5001)", &s.RegistryPort, port},
		{"REGISTRY_IMAGE", "image of the registry (" + registryImage + ")", &s.RegistryImage, anyText},
		{"COMPONENT", "logs of web, redis, traefik or nginx (web)", &s.Component, component},
		{"FOLLOW", "keep printing logs: 1 or 0 (0)", &s.Follow, yesOrNo},
		// FROM and TO are checked where they are used: other programs have variables of these names too.
		{"FROM", "promote: the stack whose image is deployed", &s.From, anyText},
		{"TO", "rollback: number, digest or its beginning, or reference (the previous image)", &s.To, anyText},
		{"YES", "promote, rollback: do not ask at a terminal: 1 or 0 (0)", &s.Yes, yesOrNo},
	}
}

// parseSettings reads the environment over the defaults. An empty variable counts as unset, since make exports such ones.
// All problems come in one error.
func parseSettings(lookupEnv environ) (settings, error) {
	s := settings{
		Stack: defaultStack, Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: registryImage, Component: "web",
	}
	var problems []error
	for _, v := range s.variables() {
		value, _ := lookupEnv(v.name)
		if value == "" {
			continue
		}
		if !v.form.pattern.MatchString(value) {
			problems = append(problems, fmt.Errorf("%s=%q: want %s", v.name, value, v.form.words))
			continue
		}
		switch into := v.into.(type) {
		case *string:
			*into = value
		case *int:
			*into, _ = strconv.Atoi(value) // digits only
		case *bool:
			*into = value == "1"
		}
	}
	return s, errors.Join(problems...)
}
