// Package offline runs a Pulumi program without a cluster, a cloud account, Docker or the Pulumi CLI, and returns
// what it would deploy. This project and programs that use its components are tested with it:
//
//	Run      runs a program with its real project and stack files
//	Record   runs a program, or a component, without any configuration
//	Result   the registered resources: inputs, options, dependencies, outputs; Golden renders golden files (goldentest)
//	Lookup   returns a value in the inputs of a resource
//	Main     is the command line interface: preview and render
//
// All output is byte-for-byte reproducible. It contains no value that is known only after an `up`, and none that
// depends on such a value.
//
// # Unknown values
//
// The program runs against a recording mock of the engine, which returns a resource's inputs as its state and
// indicates a preview. The SDK then treats all other outputs, such as the digest of an image or the address of an
// Ingress, as unknown and skips their ApplyT callbacks. Results of function calls, such as an EKS cluster, are also
// unknown. In a Result such a value is an Unknown, which names its source.
//
// # Secrets
//
// Decryption requires the stack's passphrase or key, so a placeholder replaces each secret, including those that are
// not set yet. A value that depends on a placeholder, e.g. the checksum of a password, is wrong. To find these
// values, the program runs twice, with two placeholders, and every difference becomes a Secret without a value. This
// also finds values that depend on a secret but are not marked as one (Result.Exposed).
package offline
