// Package e2e tests the running stack from outside, as `make e2e` does after `make up`: on a real cluster, through the
// real ingress, with the real Pulumi CLI. The tests need the build tag e2e, run in order, and each can be run alone:
//
//	make up WORKERS=2
//	make e2e RUN=TestScaling
//
// What they measure goes to docs/reliability.json, and from there into docs/reliability.md (package report). A test that
// runs again replaces its own figures, so a run that was interrupted can go on with the tests that are missing. Where a
// plugin is not Pulumi's own, SUBSTITUTES="kubernetes docker" names it, and the page says so.
package e2e
