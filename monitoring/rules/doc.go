// Package rules has only tests: of the rules and the configuration that the components give to Prometheus.
package rules
