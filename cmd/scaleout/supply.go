package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// The supply chain of an image: a list of what is in it (SBOM, by syft), and a signature (by cosign), both attached to
// the image in its registry.
const (
	spdxType = "application/spdx+json" // https://www.iana.org/assignments/media-types/application/spdx+json
	// publicKey is the file in the project's folder that makes promote demand a signature.
	publicKey = "cosign.pub"
	sbomKind  = "sbom" // for PROOF
)

// sbom lists what is in the image that runs in the stack, and attaches the list to it.
func (d *driver) sbom(ctx context.Context) error {
	return d.onImage(ctx, "SBOM", func(ctx context.Context, image string) (string, error) {
		list, err := d.tool(ctx, "syft", "scan", "registry:"+image, "--output", "spdx-json", "--quiet")
		if err != nil {
			return "", err
		}
		digest, err := d.attach(ctx, image, spdxType, sbomKind, "passed", []byte(list))
		return fmt.Sprintf("%d KB of SPDX attached to %s\nas %s", len(list)/1024, image, digest), err
	})
}

// sign signs the image that runs in the stack: with KEY, a file or the URI of a key in a KMS, or else with the identity
// of the CI job (keyless), which public logs record with the name of the image.
func (d *driver) sign(ctx context.Context) error {
	return d.onImage(ctx, "signature", func(ctx context.Context, image string) (string, error) {
		args := []string{"sign", "--yes"}
		if d.Key != "" { // without the public log, which would have the names of private images
			args = append(args, "--key", d.Key, "--tlog-upload=false", "--use-signing-config=false")
		}
		_, err := d.tool(ctx, "cosign", append(args, image)...)
		return "attached to " + image, err
	})
}

// onImage runs a step for the image that runs in the stack.
func (d *driver) onImage(ctx context.Context, title string, run func(context.Context, string) (string, error)) error {
	if err := d.begin(ctx, "", machineKeys...); err != nil {
		return err
	}
	return d.do(ctx, step{title + " of the image of " + d.Stack, func(ctx context.Context) (string, error) {
		o, err := d.outputs(ctx, d.stack, d.Stack)
		if err == nil && o.Image == "" {
			err = fmt.Errorf("stack %s has no output `image`: deploy it first", d.Stack)
		}
		if err != nil {
			return "", err
		}
		return run(ctx, o.Image)
	}})
}

// signature verifies the signature of an image if the project has cosign.pub, or if IDENTITY and ISSUER name who signs
// without a key. SIGNATURE=0 switches it off.
func (d *driver) signature(ctx context.Context, image string) (string, error) {
	args := []string{"verify"}
	key := filepath.Join(d.root, publicKey)
	switch _, err := os.Stat(key); {
	case d.Signature == "0":
		return "not verified (SIGNATURE=0)", nil
	case (d.Identity == "") != (d.Issuer == ""):
		return "", errors.New("IDENTITY and ISSUER belong together: who signs without a key, and who vouches for them")
	case d.Identity != "":
		args = append(args, "--certificate-identity-regexp", d.Identity, "--certificate-oidc-issuer", d.Issuer)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return "", err
	case err == nil:
		args = append(args, "--key", key, "--insecure-ignore-tlog=true")
	default:
		return "not verified: there is no " + publicKey, nil
	}
	if _, err := d.tool(ctx, "cosign", append(args, image)...); err != nil {
		return "", fmt.Errorf("image %s has no valid signature: %w\nsign it: make sign STACK=%s KEY=cosign.key; "+
			"or promote it all the same: SIGNATURE=0", image, err, d.From)
	}
	return "valid", nil
}

// tool runs a program that is on PATH, or else the one of tools/, which Go compiles first: that takes minutes.
func (d *driver) tool(ctx context.Context, name string, args ...string) (string, error) {
	if _, err := exec.LookPath(name); err == nil {
		return d.host.Run(ctx, command{name: name, args: args})
	}
	d.note("%s is not on PATH: compiling that of tools/%[1]s, once, for minutes", name)
	return d.host.Run(ctx, command{name: "go", args: append([]string{
		"tool", "-modfile=" + filepath.Join(d.root, "tools", name, "go.mod"), name}, args...)})
}
