// Package objects makes the Kubernetes objects that components of several packages have in common, each with the
// settings that this library stands for: labels, a locked-down pod, a network policy, an account, a claim.
package objects
