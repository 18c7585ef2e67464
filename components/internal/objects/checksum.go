package objects

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// ChecksumAnnotation on a pod template changes with the configuration, so that a change rolls the pods.
const ChecksumAnnotation = "checksum/config"

// checksumLength is how many hexadecimal digits of the hash are kept: 64 bits, enough to notice any change.
const checksumLength = 16

// Checksum hashes what pods read only when they start. It must get no secrets, only the versions of what holds them:
// whoever may read pods can read it, and could try passwords against the hash of one.
func Checksum(values ...pulumi.Input) pulumi.StringOutput {
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
