// Package componenttest has what the tests of components share: what a program registers, what is wrong with its
// pods, and an engine that answers as a cluster would.
package componenttest
