// Command load sends a profile of requests to a running stack, shows how it scales while it does, and reports what came
// of it.
//
//	main.go     what is done, in order
//	options.go  the command line
//	stack.go    the stack's URL, its autoscaler and its cluster
//	view.go     what is shown while the load goes on
//	profile/    how many requests when
//	traffic/    sends them
//	watch/      follows the autoscaler and the pods
//	record/     what was seen, and what it means
//	report/     the page and the pictures
package main
