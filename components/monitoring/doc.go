// Package monitoring collects metrics of a web app and its pods, and alerts on problems.
//
//	Prometheus          one server for one app, with recording rules and alerts
//	KubeStateMetrics    the state of a namespace's Kubernetes objects as metrics for that Prometheus
//	Grafana             dashboards over that Prometheus, without logins
//	Operator            the same for a cluster with a Prometheus Operator
//
// Alerts contains the rules that all apps share, those on the objectives of an app with a histogram of its requests,
// and rules that a program adds.
package monitoring
