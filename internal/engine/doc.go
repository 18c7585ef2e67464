// Package engine tests both AWS projects in the real Pulumi engine, from the first `up` to the last `destroy`. A
// substitute replaces the AWS, Kubernetes and Docker plugins and records their calls, so that the tests need no
// account and no cluster, only the Pulumi CLI with its Go language host. Run them with `make e2e-prod`.
package engine
