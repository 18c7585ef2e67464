// Package offline runs a Pulumi program without a cluster, a cloud account, Docker or the Pulumi CLI, and tells what it
// would deploy. It is how this project tests itself, and how others test programs that use its components:
//
//	Run      runs a program with its real project and stack files
//	Record   runs a program, or a component, without any configuration
//	Result   what was registered: inputs, options, order, outputs; Golden makes files of it to compare with (goldentest)
//	Lookup   a value in the inputs of a resource
//	Main     the command line on top: preview and render
//
// Two rules hold for all output. It is the same to the byte in every run. And it shows no value that only an `up` can
// know, and none that follows from such a value.
//
// # Unknown values
//
// The program runs against a recording mock of the engine, which answers with a resource's inputs as its state and says
// that this is a preview. The SDK then treats every other output as unknown and calls no ApplyT on it: the digest of an
// image, the address of an Ingress. Data that the program asks for (an EKS cluster) is unknown as well. In a Result such
// a value is an Unknown, which names where it comes from.
//
// # Secrets
//
// Only who has the stack's passphrase or key can decrypt its secrets, so a placeholder stands in for each, also for one
// that is not set yet. What follows from a placeholder is as good as invented: the checksum of a password, say. To find
// all of it, the program runs twice, with two placeholders, and what differs becomes a Secret without a value. That
// also finds what depends on a secret without being marked as one (Result.Exposed).
package offline
