// Command load sends a profile of requests to a running stack, shows how it scales while it does, and reports what came
// of it.
//
//	main.go     what is done, in order
//	options.go  the command line
//	view.go     what is shown while the load goes on
//	stack/      the stack's URL, its autoscaler and its cluster
//	profile/    how many requests when
//	traffic/    sends them
//	watch/      follows the autoscaler and the pods
//	record/     what was seen, and what it means
//	report/     the page and the pictures
//	dashboards/ a command of its own: forwards ports to Grafana and Prometheus
package main
