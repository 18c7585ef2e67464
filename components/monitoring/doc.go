// Package monitoring measures a web app and the pods that it runs in, and says when something is wrong.
//
//	Prometheus          one server for one app, with recording rules and alerts
//	KubeStateMetrics    the state of the Kubernetes objects of a namespace as measurements, for that Prometheus
//	Grafana             dashboards over that Prometheus, without logins
//	Operator            the same for a cluster whose Prometheus Operator does the measuring
//
// Alerts has the rules that all apps share, those on the objectives of an app with a histogram of its requests, and
// what a program adds.
package monitoring
