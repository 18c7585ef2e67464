package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// defaultStack is the stack of a command without STACK, here and in the Makefile.
const defaultStack = "dev"

// settings are the user's choices, from the environment variables of the same names. Port 0 stands for that of the
// existing cluster or registry, or the default.
type settings struct {
	Stack, Cluster, NodeImage    string
	HTTPPort, HTTPSPort, Workers int
	RegistryName, RegistryImage  string
	RegistryPort                 int
	Component, From, To          string
	Kind, Result, File, Proof    string
	Name, Key                    string
	Signature, Identity, Issuer  string
	Expect                       string
	ProofDays, Hours             int
	Follow, Yes                  bool
}

// variable is the environment variable of a setting.
type variable struct {
	name, usage string
	into        any    // *string, *int or *bool
	form        string // a regular expression, or "" for any
	words       string // which describe the form
	commands    string // that use it, or "" for all; others ignore it, since other programs use some names too
}

const (
	// plainName is a name that Docker, kind and Pulumi all accept.
	plainName = `^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`
	// qualifiedStack is a stack's name, with or without organization and project in front.
	qualifiedStack = `^([A-Za-z0-9][A-Za-z0-9_-]*/([A-Za-z0-9][A-Za-z0-9._-]*/)?)?[a-z0-9]([a-z0-9-]*[a-z0-9])?$`

	port = "a port, 1 to 65535"
)

func (s *settings) variables() []variable {
	const name = "lower-case letters, digits and hyphens"
	return []variable{
		{"STACK", "the Pulumi stack (dev)", &s.Stack, qualifiedStack,
			name + ", such as prod, or organization/project/stack", ""},
		{"CLUSTER", "the kind cluster (scaleout)", &s.Cluster, plainName, name, ""},
		{"HTTP_PORT", "port of the app on 127.0.0.1 (8080; with docker publicPort)", &s.HTTPPort, "", port, "up"},
		{"HTTPS_PORT", "ingress TLS port on 127.0.0.1 (8443)", &s.HTTPSPort, "", port, "up"},
		{"WORKERS", "nodes of a new cluster beside the control plane (0)", &s.Workers, `^\d{1,2}$`,
			"a number, 0 to 99", "up"},
		{"NODE_IMAGE", "image of the nodes (Kubernetes 1.34 for kind v0.33.0)", &s.NodeImage, "", "", "up"},
		{"REGISTRY_NAME", "the registry's container (kind-registry)", &s.RegistryName, plainName, name, "up down"},
		{"REGISTRY_PORT", "the registry's port on 127.0.0.1 (5001)", &s.RegistryPort, "", port, "up"},
		{"REGISTRY_IMAGE", "image of the registry (" + registryImage + ")", &s.RegistryImage, "", "", "up"},
		{"COMPONENT", "logs of web, redis, traefik or nginx (web)", &s.Component,
			`^(web|redis|traefik|nginx)$`, "web, redis, traefik or nginx", "logs"},
		{"FOLLOW", "keep printing logs: 1 or 0 (0)", &s.Follow, "^[01]$", "1 or 0", "logs"},
		{"FROM", "promote: the stack whose image is deployed", &s.From, "", "", "promote"},
		{"TO", "rollback: number, digest or its beginning, or reference (the previous image)", &s.To, "", "", "rollback"},
		{"KIND", "evidence: what was measured: e2e, load, policy or another word", &s.Kind, plainName, name, "evidence"},
		{"RESULT", "evidence: passed or failed", &s.Result, "^(passed|failed)$", "passed or failed", "evidence"},
		{"FILE", "evidence: a report to attach with it; plan: the file to write", &s.File, "", "", "evidence plan"},
		{"PROOF", "promote: the kinds of evidence that the image must have, or 0 for none (any)", &s.Proof,
			`^(0|[a-z0-9-]+( [a-z0-9-]+)*)$`, "words such as e2e load, or 0", "promote"},
		{"PROOF_DAYS", "promote: the oldest evidence that counts, in days (7)", &s.ProofDays, `^[1-9]\d{0,3}$`,
			"a number of days, 1 to 9999", "promote"},
		{"KEY", "sign: a private key of cosign, a file or the URI of a KMS (none: keyless)", &s.Key, "", "", "sign"},
		{"SIGNATURE", "promote: 0 does not verify the signature (1)", &s.Signature, "^[01]$", "1 or 0", "promote"},
		{"IDENTITY", "promote: who signs without a key, a regular expression", &s.Identity, "", "", "promote"},
		{"ISSUER", "promote: the OIDC issuer of IDENTITY", &s.Issuer, "", "", "promote"},
		{"EXPECT", "promote: the reference that FROM must run; nothing else is promoted", &s.Expect, "", "", "promote"},
		{"NAME", "env-up, env-down: the environment of a branch", &s.Name, plainName, name, "env-up env-down"},
		{"HOURS", "env-up: how long the environment lives (72)", &s.Hours, `^[1-9]\d{0,3}$`, "hours, 1 to 9999", "env-up"},
		{"YES", "promote, rollback: do not ask at a terminal: 1 or 0 (0)", &s.Yes, "^[01]$", "1 or 0", "promote rollback"},
	}
}

// parseSettings reads the variables that a command uses over the defaults. An empty variable counts as unset, since
// make exports such ones. One error lists all problems.
func parseSettings(command string, lookupEnv func(string) (string, bool)) (settings, error) {
	s := settings{Stack: defaultStack, Cluster: "scaleout", RegistryName: "kind-registry", RegistryImage: registryImage,
		Component: "web"}
	var problems []error
	for _, v := range s.variables() {
		value, _ := lookupEnv(v.name)
		if value == "" || v.commands != "" && !slices.Contains(strings.Fields(v.commands), command) {
			continue
		}
		n, _ := strconv.Atoi(value)
		if !regexp.MustCompile(v.form).MatchString(value) || v.words == port && (n < 1 || n > 65535) {
			problems = append(problems, fmt.Errorf("%s=%q: want %s", v.name, value, v.words))
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
