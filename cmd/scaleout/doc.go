// Command scaleout drives the stacks of this project: `up` takes a machine that has Docker and Go to a running app,
// `down` takes all of it away again, and `status`, `logs` and `env` help in between. `promote` and `rollback` change which
// image a stack runs, wherever it is, and need only Pulumi and the registry. The Makefile calls it.
//
// Everything that it makes is found again by asking Docker, Kubernetes and Pulumi; what none of them can know, such as
// what was under way when they were interrupted, it notes in .local (marks.go). So every step can be repeated, and a run
// that was interrupted is finished by the next one. What it creates carries a mark (a label on the registry, a comment
// in the stack file), and `down` removes only what carries it.
package main
