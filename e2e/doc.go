// Package e2e tests the running stack from outside, as `make e2e` does after `make up`: on a real cluster, through the
// real ingress, with the real Pulumi CLI. The tests need the build tag e2e, run in order, and each can be run alone:
//
//	make up WORKERS=2
//	make e2e RUN=TestScaling
//
// Their measurements go to docs/reliability.json, and from there into docs/reliability.md (type Book). A repeated test
// replaces its own figures, so an interrupted run can continue with the missing tests.
// SUBSTITUTES="kubernetes docker" names plugins that are not Pulumi's own, and the page marks them as substitutes.
package e2e
