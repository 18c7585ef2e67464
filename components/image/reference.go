package image

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// CheckReference wants the reference of a finished image: <registry>/<repository>@sha256:<64 digits>, with or without a
// tag before the @. A tag alone can come to mean another image between two pods of one rollout, and names nothing to go
// back to. The registry is given, since Docker and a cluster may complete a name in two ways.
func CheckReference(name, ref string) field.ErrorList {
	named, err := reference.ParseNormalizedNamed(ref)
	if err == nil && check.Image(name, ref) == nil && strings.HasPrefix(ref, reference.Domain(named)+"/") {
		if _, ok := named.(reference.Digested); ok {
			return nil
		}
	}
	return check.Invalid(name, ref, "must be <registry>/<repository>@sha256:<64 digits>. "+
		"The digest of a tag is in the answer of `docker buildx imagetools inspect <registry>/<repository>:<tag>` "+
		"and of `crane digest <registry>/<repository>:<tag>`")
}

// checkPushed refuses a reference without a digest, which nodes would look for in vain: where the local image has none
// for the repository, the Docker provider returns <none>@<none> (4.11.2, provider/image.go: getRepoDigest).
func checkPushed(ref string) (string, error) {
	if CheckReference("ref", ref) != nil {
		return "", fmt.Errorf("the pushed image has the reference %q, not repository@sha256:<digest>; "+
			"check that the registry accepted the push", ref)
	}
	return ref, nil
}
