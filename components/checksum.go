package components

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// checksumAnnotation on a pod template changes with the configuration, so that a change rolls the pods.
const checksumAnnotation = "checksum/config"

// checksumLength is how many hexadecimal digits of the hash are kept: enough to notice a change, too few to tell which of
// many guesses at a password is right. Whoever may read pods can read it.
const checksumLength = 8

// checksum hashes values that a pod reads only when it starts. It is as secret as its most secret value.
func checksum(values ...pulumi.Input) pulumi.StringOutput {
	inputs := make([]any, len(values))
	for i, v := range values {
		inputs[i] = v
	}
	return pulumi.All(inputs...).ApplyT(func(all []any) string {
		sum := sha256.New()
		for _, v := range all {
			fmt.Fprintf(sum, "%q\n", v)
		}
		return hex.EncodeToString(sum.Sum(nil))[:checksumLength]
	}).(pulumi.StringOutput)
}
