// Package e2e tests the running stack from outside, as `make e2e` does after `make up`: on a real cluster, through the
// real ingress, with the real Pulumi CLI. The tests need the build tag e2e, run in order, and each can be run alone:
//
//	make e2e RUN=TestScaling
package e2e
