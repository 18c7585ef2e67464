package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Attach adds content to an image in its registry, as an OCI referrer of an artifact type with annotations, and returns
// the digest of that. The image stays as it is, and several of a type may be attached. A registry without the API of
// referrers gets a tag instead, which all clients know.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
func Attach(ctx context.Context, reference, artifactType string, annotations map[string]string, content []byte) (
	string, error,
) {
	ref, err := name.NewDigest(reference)
	if err != nil {
		return "", fmt.Errorf("image %q: want <repository>@sha256:<digest>: %w", reference, err)
	}
	subject, err := remote.Head(ref, Options(ctx)...)
	if NotFound(err) {
		return "", fmt.Errorf("image %s is not in its registry: %w", reference, err)
	}
	if err != nil {
		return "", fmt.Errorf("looking for image %s: %w", reference, addLogin(ref, err))
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.MediaType(artifactType))
	image, err = mutate.AppendLayers(image, static.NewLayer(content, types.MediaType(artifactType)))
	if err != nil {
		return "", fmt.Errorf("attaching to %s: %w", reference, err)
	}
	attached := mutate.Subject(mutate.Annotations(image, annotations).(v1.Image), *subject).(v1.Image)
	digest, err := attached.Digest()
	if err == nil {
		err = remote.Write(ref.Context().Digest(digest.String()), attached, Options(ctx)...)
	}
	if err != nil {
		return "", fmt.Errorf("attaching to %s: %w", reference, addLogin(ref, err))
	}
	return digest.String(), nil
}

// Attached returns the annotations of everything of some artifact types that is attached to an image.
func Attached(ctx context.Context, reference string, artifactTypes ...string) ([]map[string]string, error) {
	ref, referrers, err := referrers(ctx, reference)
	if err != nil {
		return nil, err
	}
	var found []map[string]string
	for _, r := range referrers {
		// Registries fill the annotations of the list or not, so they are read from the manifest.
		image, err := remote.Image(ref.Context().Digest(r.Digest.String()), Options(ctx)...)
		var manifest *v1.Manifest
		if err == nil {
			manifest, err = image.Manifest()
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s, attached to %s: %w", r.Digest, reference, err)
		}
		if slices.Contains(artifactTypes, string(manifest.Config.MediaType)) {
			found = append(found, manifest.Annotations)
		}
	}
	return found, nil
}

// referrers lists what is attached to an image.
func referrers(ctx context.Context, reference string) (ref name.Digest, found []v1.Descriptor, err error) {
	if ref, err = name.NewDigest(reference); err != nil {
		return ref, nil, fmt.Errorf("image %q: want <repository>@sha256:<digest>: %w", reference, err)
	}
	var manifest *v1.IndexManifest
	index, err := remote.Referrers(ref, Options(ctx)...)
	if err == nil {
		manifest, err = index.IndexManifest()
	}
	if err != nil {
		return ref, nil, fmt.Errorf("listing what is attached to %s: %w", reference, addLogin(ref, err))
	}
	return ref, manifest.Manifests, nil
}

// copyAttached copies what is attached to an image, such as its signature, to another repository. The image is there
// already, and gets the same attachments.
func copyAttached(ctx context.Context, from string, to name.Digest) (int, error) {
	ref, attached, err := referrers(ctx, from)
	if err != nil {
		return 0, err
	}
	var errs []error
	for _, r := range attached {
		found, err := remote.Get(ref.Context().Digest(r.Digest.String()), Options(ctx)...)
		if err == nil {
			err = remote.Push(to.Context().Digest(r.Digest.String()), found, Options(ctx)...)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return 0, fmt.Errorf("copying what is attached to %s: %w", from, err)
	}
	return len(attached), nil
}
