package main

import (
	"path/filepath"
	"strings"
	"testing"

	ours "example.com/scaleout/internal/registry"
)

// onPath puts a program into an otherwise empty PATH.
func onPath(t *testing.T, names ...string) {
	dir := t.TempDir()
	for _, name := range names {
		writeProgram(t, filepath.Join(dir, name), "exit 0")
	}
	t.Setenv("PATH", dir)
}

// The signature is verified with the key of the project, or the identity of who signs without one, before a promotion
// changes anything.
func TestSignature(t *testing.T) {
	onPath(t, "cosign")
	for _, tt := range []struct {
		name                        string
		key                         bool
		signature, identity, issuer string
		asked, want                 string
		fails                       bool
	}{
		{name: "no key", want: "not verified: there is no cosign.pub"},
		{name: "a key", key: true, asked: "cosign verify --key ", want: "valid"},
		{name: "a wrong signature", key: true, fails: true, want: "has no valid signature", asked: "cosign verify --key "},
		{name: "switched off", key: true, signature: "0", want: "not verified (SIGNATURE=0)"},
		{name: "keyless", identity: "^https://ci/", issuer: "https://token", want: "valid",
			asked: "cosign verify --certificate-identity-regexp ^https://ci/ --certificate-oidc-issuer https://token app@"},
		{name: "half of an identity", identity: "x", want: "IDENTITY and ISSUER belong together"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verify := reply{command: "cosign verify"}
			if tt.fails {
				verify.fails = "no signatures found"
			}
			d, host, _ := newTestDriver(t, verify)
			d.Signature, d.Identity, d.Issuer, d.From = tt.signature, tt.identity, tt.issuer, "staging"
			if tt.key {
				write(t, filepath.Join(d.root, publicKey), "key")
			}
			said, err := d.signature(t.Context(), "app@sha256:1")
			if err != nil {
				said = err.Error()
			}
			wantParts(t, said, tt.want)
			got := strings.Join(host.asked("cosign"), "\n")
			if !strings.HasPrefix(got, tt.asked) || (got == "") != (tt.asked == "") {
				t.Errorf("got %q, want %q", got, tt.asked)
			}
		})
	}
}

func TestPromoteWithoutSignature(t *testing.T) {
	onPath(t, "cosign")
	r := newTestRegistry(t)
	d, _, _ := newRelease(t, "", outputsAre("staging", r.push("app")), outputsAre("prod"),
		reply{command: "cosign verify", fails: "no signatures found"})
	write(t, filepath.Join(d.root, publicKey), "key")
	wantError(t, d.promote(t.Context()), "has no valid signature", "make sign STACK=staging", "SIGNATURE=0")
	wantUntouched(t, d, "")
}

// The SBOM is attached, and counts as evidence of kind sbom.
func TestSBOM(t *testing.T) {
	onPath(t) // no syft: that of tools/
	r := newTestRegistry(t)
	image := r.pushBare("app")
	d, host, out := newRelease(t, "", outputsAre("prod", image),
		reply{command: "go tool", out: `{"spdxVersion": "SPDX-2.3"}`})
	ok(t, d.sbom(t.Context()))
	if got := host.asked("go tool -modfile="); len(got) != 1 || !strings.HasSuffix(got[0],
		"tools/syft/go.mod syft scan registry:"+image+" --output spdx-json --quiet") {
		t.Errorf("got %q", got)
	}
	wantParts(t, out, "SPDX attached to "+image, "syft is not on PATH")
	if lists := must(ours.Attached(t.Context(), image, spdxType)); len(lists) != 1 {
		t.Errorf("got %v, want one list", lists)
	}
	d.Proof = sbomKind
	wantParts(t, must(d.proof(t.Context(), image)), "sbom     passed")
}

func TestSign(t *testing.T) {
	onPath(t, "cosign")
	image := imageOf("app", "1")
	d, host, _ := newRelease(t, "", outputsAre("prod", image), reply{command: "cosign sign"})
	ok(t, d.sign(t.Context()))
	d.Key = "cosign.key"
	ok(t, d.sign(t.Context()))
	want := "cosign sign --yes " + image + "\n" +
		"cosign sign --yes --key cosign.key --tlog-upload=false --use-signing-config=false " + image
	if got := strings.Join(host.asked("cosign"), "\n"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	d, _, _ = newRelease(t, "", outputsAre("prod"))
	wantError(t, d.sign(t.Context()), "stack prod has no output `image`")
}
