package main

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// serverLine is an upstream server given by a name: indent, name, port and parameters. One that is given by an
// address begins with a digit and stays as it is.
var serverLine = regexp.MustCompile(`(?m)^([ \t]*)server[ \t]+([A-Za-z][A-Za-z0-9_.-]*):([0-9]+)([^;\n]*);`)

// endpoint is a name and a port, as they stand in the configuration.
type endpoint struct{ host, port string }

// namesOf lists the endpoints of a configuration, each once.
func namesOf(conf string) []endpoint {
	found := map[endpoint]bool{}
	for _, m := range serverLine.FindAllStringSubmatch(conf, -1) {
		found[endpoint{m[2], m[3]}] = true
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b endpoint) int {
		return strings.Compare(a.host+":"+a.port, b.host+":"+b.port)
	})
}

// expand replaces each server that is a name by one for each of its addresses, with the same parameters.
func expand(conf string, servers map[endpoint][]netip.AddrPort) string {
	return serverLine.ReplaceAllStringFunc(conf, func(line string) string {
		m := serverLine.FindStringSubmatch(line)
		indent, name, params := m[1], endpoint{m[2], m[3]}, m[4]
		if len(servers[name]) == 0 {
			// nginx takes no upstream without servers. With this one it answers every request by itself.
			return fmt.Sprintf("%sserver 127.0.0.1:1 down; # no %s:%s is ready", indent, name.host, name.port)
		}
		var lines []string
		for _, server := range servers[name] {
			lines = append(lines, fmt.Sprintf("%sserver %s%s;", indent, server, params))
		}
		return strings.Join(lines, "\n")
	})
}
