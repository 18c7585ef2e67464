package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// registryOptions log in as `docker push` would: with ~/.docker/config.json and its credential helpers. The library
// talks plain HTTP to localhost, and HTTPS to others.
func registryOptions(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain), remote.WithUserAgent("scaleout"),
	}
}

// findImage asks the registry for an image by its digest. It fails if the image is not there, or does not run on the
// platform (e.g. linux/amd64), on which its pods would end with "exec format error".
func findImage(ctx context.Context, reference, platform string) (*remote.Descriptor, error) {
	ref, err := name.NewDigest(reference)
	if err != nil {
		return nil, fmt.Errorf("image %q: want <repository>@sha256:<digest>: %w", reference, err)
	}
	want, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, fmt.Errorf("scaleout:imagePlatform %q: %w", platform, err)
	}
	want.Variant = "" // builders leave that of arm64 out or not, for the same program
	found, err := remote.Get(ref, append(registryOptions(ctx), remote.WithPlatform(*want))...)
	var config *v1.ConfigFile
	if err == nil {
		var image v1.Image
		if image, err = found.Image(); err == nil { // of an index the one for the platform
			config, err = image.ConfigFile()
		}
	}
	switch {
	case notFound(err):
		return nil, fmt.Errorf("image %s is not, or no longer, in its registry; an old one may have expired (with ECR, see "+
			"scaleout:ecrKeepImages): %w", reference, err)
	case err != nil:
		return nil, fmt.Errorf("looking for image %s for scaleout:imagePlatform %s: %w",
			reference, platform, addLogin(ref, err))
	case config.Platform() != nil && !config.Platform().Satisfies(*want):
		return nil, fmt.Errorf("image %s was built for %s, and the nodes have scaleout:imagePlatform %s",
			reference, config.Platform(), platform)
	}
	return found, nil
}

// copyImage copies an image, or an index with its images, to another repository, where it keeps its digest. What is
// there already is not copied again.
func copyImage(ctx context.Context, image *remote.Descriptor, reference string) (string, error) {
	to, err := name.NewDigest(reference)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", reference, err)
	}
	options := registryOptions(ctx)
	if _, err := remote.Head(to, options...); err == nil {
		return "is there already", nil
	} else if !notFound(err) {
		return "", fmt.Errorf("looking for image %s: %w", reference, addLogin(to, err))
	}
	// Nothing refers to the tag, but many registries delete what has none after a while.
	tag := to.Tag(fmt.Sprintf("promoted-%.16s", strings.TrimPrefix(to.DigestStr(), "sha256:")))
	if err = remote.Push(tag, image, options...); err == nil {
		_, err = remote.Get(to, options...) // which computes the digest of what it gets
	}
	switch {
	case notFound(err):
		return "", fmt.Errorf("copying to %s: %w\nthe repository has to be there: a push to ECR, for one, creates none",
			to.Context(), err)
	case err != nil:
		return "", fmt.Errorf("copying to %s: %w", to.Context(), addLogin(to, err))
	}
	return fmt.Sprintf("copied to %s, the digest is the same; tag %s", to.Context(), tag.TagStr()), nil
}

func notFound(err error) bool { return statusCode(err) == http.StatusNotFound }

// statusCode is what the registry answered, 0 if it did not.
func statusCode(err error) int {
	var answered *transport.Error
	if errors.As(err, &answered) {
		return answered.StatusCode
	}
	return 0
}

// addLogin adds how to log in to what a registry answered, if that is what it asks for.
func addLogin(ref name.Digest, err error) error {
	if code := statusCode(err); code != http.StatusUnauthorized && code != http.StatusForbidden {
		return err
	}
	login := "docker login " + ref.RegistryStr()
	if isECR(ref.RegistryStr()) {
		login = "aws ecr get-login-password --region <region> | docker login --username AWS --password-stdin " +
			ref.RegistryStr()
	}
	return fmt.Errorf("%w\nlog in as somebody who may do that: %s", err, login)
}

// isECR tells whether a registry is one of Amazon's.
func isECR(registry string) bool { return strings.Contains(registry, ".dkr.ecr") }
