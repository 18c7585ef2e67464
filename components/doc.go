// Package components holds the library. It is split by provider, so that a program compiles and starts only the
// providers that it uses. docs/architecture.md lists the packages, docs/components.md the components.
//
// The packages have no configuration keys and no environments: every decision is a field of the arguments.
package components
