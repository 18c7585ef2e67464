// Package registry finds and copies container images by digest, without a Docker daemon.
package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// Options authenticate as `docker push` does, with ~/.docker/config.json and its credential helpers. The library uses
// plain HTTP for localhost, and HTTPS otherwise.
func Options(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("scaleout"),
	}
}

// Find returns an image by its digest. It fails if the registry does not have it, or if it does not run on the platform
// (e.g. linux/amd64), where its pods would fail with "exec format error".
func Find(ctx context.Context, reference, platform string) (*remote.Descriptor, error) {
	ref, err := name.NewDigest(reference)
	if err != nil {
		return nil, fmt.Errorf("image %q: want <repository>@sha256:<digest>: %w", reference, err)
	}
	want, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, fmt.Errorf("scaleout:imagePlatform %q: %w", platform, err)
	}
	want.Variant = "" // builders set that of arm64 or not, for the same program
	found, err := remote.Get(ref, append(Options(ctx), remote.WithPlatform(*want))...)
	var config *v1.ConfigFile
	if err == nil {
		var image v1.Image
		if image, err = found.Image(); err == nil { // of an index the one for the platform
			config, err = image.ConfigFile()
		}
	}
	switch {
	case NotFound(err):
		return nil, fmt.Errorf("image %s is not, or no longer, in its registry; it may have expired (for ECR see "+
			"scaleout:ecrKeepImages): %w", reference, err)
	case err != nil:
		return nil, fmt.Errorf("looking for image %s for scaleout:imagePlatform %s: %w",
			reference, platform, addLogin(ref, err))
	case config.Platform() != nil && !config.Platform().Satisfies(*want):
		return nil, fmt.Errorf("image %s was built for %s, but scaleout:imagePlatform of the nodes is %s",
			reference, config.Platform(), platform)
	}
	return found, nil
}

// Copy copies the image from, or an index with its images, to another repository, under the same digest, unless it is
// there, and what is attached to it.
func Copy(ctx context.Context, from string, image *remote.Descriptor, reference string) (string, error) {
	to, err := name.NewDigest(reference)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", reference, err)
	}
	options := Options(ctx)
	if _, err := remote.Head(to, options...); err == nil {
		n, err := copyAttached(ctx, from, to)
		return fmt.Sprintf("exists there; attachments: %d", n), err
	} else if !NotFound(err) {
		return "", fmt.Errorf("looking for image %s: %w", reference, addLogin(to, err))
	}
	// Nothing uses the tag, but many registries expire images without one.
	tag := to.Tag(fmt.Sprintf("promoted-%.16s", strings.TrimPrefix(to.DigestStr(), "sha256:")))
	if err = remote.Push(tag, image, options...); err == nil {
		_, err = remote.Get(to, options...) // which computes the digest of what it gets
	}
	switch {
	case NotFound(err):
		return "", fmt.Errorf("copying to %s: %w\ncreate the repository first: ECR, for one, creates none on push",
			to.Context(), err)
	case err != nil:
		return "", fmt.Errorf("copying to %s: %w", to.Context(), addLogin(to, err))
	}
	n, err := copyAttached(ctx, from, to)
	return fmt.Sprintf("copied to %s, the digest is the same; tag %s; attachments: %d", to.Context(), tag.TagStr(), n), err
}

// NotFound reports whether the registry answered that it does not have the image.
func NotFound(err error) bool { return answered(err, http.StatusNotFound) }

// answered reports whether the registry answered with one of these HTTP statuses.
func answered(err error, statuses ...int) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && slices.Contains(statuses, answer.StatusCode)
}

// addLogin adds how to log in to an error that asks for it.
func addLogin(ref name.Digest, err error) error {
	if !answered(err, http.StatusUnauthorized, http.StatusForbidden) {
		return err
	}
	login := "docker login " + ref.RegistryStr()
	if IsECR(ref.RegistryStr()) {
		login = "aws ecr get-login-password --region <region> | docker login --username AWS --password-stdin " +
			ref.RegistryStr()
	}
	return fmt.Errorf("%w\nlog in with the permission: %s", err, login)
}

// IsECR reports whether a registry is Amazon ECR.
func IsECR(registry string) bool { return strings.Contains(registry, ".dkr.ecr") }
