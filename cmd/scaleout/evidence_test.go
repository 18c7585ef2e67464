package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	ours "example.com/scaleout/internal/registry"
)

// An image is promoted only with evidence that passed, is of each wanted kind and not too old.
func TestProof(t *testing.T) {
	r, now := newTestRegistry(t), time.Now()
	type result struct {
		kind, result string
		days         int // ago
	}
	for _, tt := range []struct {
		name    string
		results []result // beside e2e, passed now
		proof   string
		days    int
		want    string // of the error; none without one
	}{
		{"the only one", nil, "", 0, ""},
		{"a wanted kind", []result{{"load", "passed", 1}}, "e2e load", 0, ""},
		{"a missing kind", nil, "e2e load", 0, "there is no load"},
		{"one that failed", []result{{"policy", "failed", 0}}, "", 0, "policy did not pass"},
		{"one that failed in the same second", []result{{"e2e", "failed", 0}}, "", 0, "e2e did not pass"},
		{"one that failed before", []result{{"e2e", "failed", 1}}, "", 0, ""},
		{"one of tomorrow", []result{{"load", "passed", -1}}, "", 0, "load has a time in the future"},
		{"an old one", []result{{"load", "passed", 8}}, "", 0, "load is older than 7 days"},
		{"another limit", []result{{"load", "passed", 8}}, "", 30, ""},
		{"switched off", []result{{"load", "failed", 0}}, "0", 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			image := r.pushBare("app")
			for _, e := range append(tt.results, result{"e2e", "passed", 0}) {
				measured(image, e.kind, e.result, now.AddDate(0, 0, -e.days))
			}
			d, _, _ := newTestDriver(t)
			d.Proof, d.ProofDays, d.From = tt.proof, tt.days, "staging"
			said, err := d.proof(t.Context(), image)
			if tt.want == "" {
				ok(t, err)
				wantParts(t, said, "e2e      passed", " in staging")
				return
			}
			wantError(t, err, tt.want, "evidence:\n", "e2e      ", "make evidence STACK=staging", "PROOF=0")
		})
	}
	d, _, _ := newTestDriver(t)
	_, err := d.proof(t.Context(), r.pushBare("app"))
	wantError(t, err, "nothing was measured about it", "evidence:\nnone")
}

// EXPECT is the image that was approved: another one is not promoted.
func TestPromoteExpects(t *testing.T) {
	r := newTestRegistry(t)
	d, _, _ := newRelease(t, "", outputsAre("staging", r.push("app")), outputsAre("prod"))
	d.Expect = imageOf("app", "1")
	wantError(t, d.promote(t.Context()), "stack staging runs ", " by now, and not "+d.Expect)
	wantUntouched(t, d, "")
}

// A promotion that is refused has changed nothing.
func TestPromoteWithoutEvidence(t *testing.T) {
	r := newTestRegistry(t)
	d, _, _ := newRelease(t, "", outputsAre("staging", r.pushBare("app")), outputsAre("prod"))
	wantError(t, d.promote(t.Context()), "nothing was measured")
	wantUntouched(t, d, "")
}

func TestEvidence(t *testing.T) {
	r := newTestRegistry(t)
	image := r.pushBare("app")
	d, _, out := newRelease(t, "", outputsAre("prod", image))
	wantError(t, d.evidence(t.Context()), "KIND is missing", "RESULT is missing")
	d.Kind, d.Result, d.File = "load", "passed", filepath.Join(t.TempDir(), "report.json")
	wantError(t, d.evidence(t.Context()), "FILE: ")
	write(t, d.File, `{"p95": 0.1}`)
	ok(t, d.evidence(t.Context()))
	wantParts(t, out, "load passed", "attached to "+image)
	attached := must(ours.Attached(t.Context(), image, evidenceType))
	if len(attached) != 1 || attached[0][stackAnnotation] != "prod" ||
		!strings.HasPrefix(attached[0][createdAnnotation], "20") {
		t.Errorf("got %v", attached)
	}
}
