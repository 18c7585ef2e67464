// Package engine tests both projects for AWS in Pulumi's own engine, from the first `up` to the last `destroy`. In place of
// the plugins of AWS, Kubernetes and Docker it has a substitute that remembers what it was asked for, so that it needs no
// account and no cluster, only the Pulumi CLI with its Go language host. Run it with `make e2e-prod`.
package engine
