package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"example.com/scaleout/internal/rendered"
)

var trafficRules = []Rule{
	{
		ID: "tls-at-load-balancer", Severity: Error,
		Reason: "passwords and sessions cross the internet in plain text",
		Fix:    "set certificateArn, or tlsSecret; redirect port 80",
		Check: func(s *Stack) (found []Violation) {
			for _, ingress := range s.ofKind("Ingress") {
				public := ingress.ALBAnnotation("scheme") == "internet-facing"
				listeners := ingress.ALBAnnotation("listen-ports")
				switch {
				case public && !strings.Contains(listeners, `"HTTPS"`):
					found = append(found, violation(ingress, "its public load balancer does not listen for HTTPS"))
				case public && strings.Contains(listeners, `"HTTP"`) && ingress.ALBAnnotation("ssl-redirect") == "":
					found = append(found, violation(ingress, "its public load balancer serves HTTP without a redirect"))
				}
			}
			return found
		},
	},
	{
		ID: "tls-at-ingress", Severity: Warning,
		Reason: "passwords and sessions cross the network in plain text",
		Fix:    "set tlsSecret",
		Check: func(s *Stack) (found []Violation) {
			for _, ingress := range s.ofKind("Ingress") {
				hosts := slices.ContainsFunc(rendered.List(ingress.Inputs, "spec", "rules"), func(rule any) bool {
					return rendered.Get(rule, "host") != nil
				})
				if !ingress.IsALB() && hosts && ingress.Get("spec", "tls") == nil {
					found = append(found, violation(ingress, "has a host and no spec.tls"))
				}
			}
			return found
		},
	},
	{
		ID: "no-public-database", Severity: Error,
		Reason: "anybody may try passwords, and known holes of the server",
		Fix:    "reach it from the network of the cluster only",
		Check:  publicDatabases,
	},
}

// databasePorts lists the default ports of Redis, PostgreSQL, MySQL, SQL Server, MongoDB, Cassandra and Elasticsearch.
var databasePorts = []string{"6379", "5432", "3306", "1433", "27017", "9042", "9200"}

// databaseNames lists names of such ports.
var databaseNames = []string{"redis", "postgres", "postgresql", "mysql", "mongodb"}

var databaseImage = regexp.MustCompile(`(^|/)(redis|valkey|postgres|postgresql|mysql|mariadb|mongo|mongodb)(:|@|$)`)

func publicDatabases(s *Stack) (found []Violation) {
	for _, r := range s.Resources {
		switch {
		case r.Kind() == "Service" && (r.Get("spec", "type") == "LoadBalancer" || r.Get("spec", "type") == "NodePort"):
			for _, port := range rendered.List(r.Inputs, "spec", "ports") {
				for _, field := range []string{"port", "targetPort"} {
					number := fmt.Sprint(rendered.Get(port, field))
					if slices.Contains(slices.Concat(databasePorts, databaseNames), number) {
						found = append(found, violation(r, "publishes port %s as a %v", number, r.Get("spec", "type")))
						break
					}
				}
			}
		case strings.HasPrefix(r.Type, "aws:") && r.Get("publiclyAccessible") == true:
			found = append(found, violation(r, "is publicly accessible"))
		case r.Type == "aws:ec2/securityGroup:SecurityGroup":
			for _, rule := range rendered.List(r.Inputs, "ingress") {
				if ports := opened(rule); len(ports) > 0 && world(rule) {
					found = append(found, violation(r, "allows %s from everywhere", strings.Join(ports, ", ")))
				}
			}
		case r.Type == "aws:ec2/securityGroupRule:SecurityGroupRule" && r.Get("type") == "ingress":
			if ports := opened(r.Inputs); len(ports) > 0 && world(r.Inputs) {
				found = append(found, violation(r, "allows %s from everywhere", strings.Join(ports, ", ")))
			}
		case r.Type == "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule":
			anywhere := strings.HasSuffix(fmt.Sprint(r.Get("cidrIpv4")), "/0") ||
				strings.HasSuffix(fmt.Sprint(r.Get("cidrIpv6")), "/0")
			if ports := opened(r.Inputs); len(ports) > 0 && anywhere {
				found = append(found, violation(r, "allows %s from everywhere", strings.Join(ports, ", ")))
			}
		case r.Type == dockerContainer && len(rendered.List(r.Inputs, "ports")) > 0:
			for _, port := range rendered.List(r.Inputs, "ports") {
				internal, _ := rendered.Get(port, "internal").(int)
				ip, _ := rendered.Get(port, "ip").(string)
				image, _ := r.Get("image").(string)
				if ip != "127.0.0.1" && ip != "::1" &&
					(slices.Contains(databasePorts, fmt.Sprint(internal)) || databaseImage.MatchString(image)) {
					found = append(found, violation(r, "publishes port %d on all interfaces", internal))
				}
			}
		}
	}
	return found
}

// opened returns the ports of databases in the range of a rule. A rule for all protocols has no range.
func opened(rule any) (ports []string) {
	from, _ := rendered.Get(rule, "fromPort").(int)
	to, _ := rendered.Get(rule, "toPort").(int)
	protocol := fmt.Sprint(cmp.Or(rendered.Get(rule, "protocol"), rendered.Get(rule, "ipProtocol")))
	for _, port := range databasePorts {
		if n, _ := strconv.Atoi(port); from <= n && n <= max(from, to) || protocol == "-1" {
			ports = append(ports, port)
		}
	}
	return ports
}

// world reports whether a rule of a security group is for all addresses.
func world(rule any) bool {
	for _, field := range []string{"cidrBlocks", "ipv6CidrBlocks"} {
		for _, block := range rendered.List(rule, field) {
			if strings.HasSuffix(fmt.Sprint(block), "/0") {
				return true
			}
		}
	}
	return false
}
