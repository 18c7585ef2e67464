package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/scaleout/internal/registry"
)

// evidenceType is the artifact type of what was measured about an image.
const evidenceType = "application/vnd.scaleout.evidence.v1"

// The annotations of evidence.
const (
	kindAnnotation    = "scaleout.kind"   // e2e, load, policy, or another word
	resultAnnotation  = "scaleout.result" // passed or failed
	stackAnnotation   = "scaleout.stack"  // where it was measured
	createdAnnotation = "org.opencontainers.image.created"
)

// evidence attaches what was measured about the image that runs in the stack to the image in its registry.
func (d *driver) evidence(ctx context.Context) error {
	var problems []error
	if d.Kind == "" {
		problems = append(problems, errors.New("KIND is missing: what was measured, e.g. KIND=e2e, load or policy"))
	}
	if d.Result == "" {
		problems = append(problems, errors.New("RESULT is missing: passed or failed"))
	}
	content := []byte("{}")
	if d.File != "" {
		var err error
		if content, err = os.ReadFile(d.File); err != nil {
			problems = append(problems, fmt.Errorf("FILE: %w", err))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	return d.onImage(ctx, "evidence", func(ctx context.Context, image string) (string, error) {
		digest, err := d.attach(ctx, image, evidenceType, d.Kind, d.Result, content)
		return fmt.Sprintf("%s %s\nattached to %s\nas %s", d.Kind, d.Result, image, digest), err
	})
}

// attach attaches content of an artifact type to an image, as evidence of a kind.
func (d *driver) attach(ctx context.Context, image, artifactType, kind, result string, content []byte) (string, error) {
	return registry.Attach(ctx, image, artifactType, map[string]string{
		kindAnnotation: kind, resultAnnotation: result, stackAnnotation: d.Stack,
		createdAnnotation: time.Now().UTC().Format(time.RFC3339),
	}, content)
}

// defaultProofDays is the age from which on evidence no longer counts: a dependency may have got a known hole, and the
// cluster another version.
const defaultProofDays = 7

// proof shows what was measured about an image. It refuses one without evidence, with a failed newest result of a kind,
// without a kind that PROOF names, or with one that is too old. PROOF=0 only shows it.
func (d *driver) proof(ctx context.Context, image string) (string, error) {
	attached, err := registry.Attached(ctx, image, evidenceType, spdxType)
	if err != nil {
		return "", err
	}
	results, lines, problems := newest(attached), []string(nil), []string(nil)
	for _, a := range results {
		lines = append(lines, fmt.Sprintf("%-8s %s  %s in %s", a[kindAnnotation], a[resultAnnotation],
			a[createdAnnotation], a[stackAnnotation]))
		if problem := d.problemOf(a); problem != "" {
			problems = append(problems, a[kindAnnotation]+" "+problem)
		}
	}
	if len(results) == 0 {
		lines, problems = []string{"none"}, []string{"nothing was measured about it"}
	}
	for _, kind := range strings.Fields(d.Proof) {
		measured := slices.ContainsFunc(results, func(a map[string]string) bool { return a[kindAnnotation] == kind })
		if d.Proof != "0" && len(results) > 0 && !measured {
			problems = append(problems, "there is no "+kind)
		}
	}
	said := strings.Join(lines, "\n")
	switch {
	case len(problems) == 0:
		return said, nil
	case d.Proof == "0":
		return said + "\nignored (PROOF=0): " + strings.Join(problems, ", "), nil
	}
	return "", fmt.Errorf("image %s: %s\nevidence:\n%s\nmeasure it, and attach the result: make evidence STACK=%s "+
		"KIND=e2e RESULT=passed; or promote it all the same: PROOF=0",
		image, strings.Join(problems, ", "), said, cmp.Or(d.From, d.Stack))
}

// newest returns the newest result of each kind, the newest first.
func newest(attached []map[string]string) (results []map[string]string) {
	// The time has a fixed format, in which later is greater. Of one second, the failed result counts.
	slices.SortFunc(attached, func(a, b map[string]string) int {
		return cmp.Or(cmp.Compare(b[createdAnnotation], a[createdAnnotation]),
			cmp.Compare(a[resultAnnotation], b[resultAnnotation]), cmp.Compare(a[kindAnnotation], b[kindAnnotation]))
	})
	known := map[string]bool{}
	for _, a := range attached {
		kind := a[kindAnnotation]
		if kind+a[resultAnnotation] == "" || known[kind] { // without both it is an SBOM that others attached
			continue
		}
		known[kind] = true
		results = append(results, a)
	}
	return results
}

// problemOf returns why a result does not count, or "".
func (d *driver) problemOf(a map[string]string) string {
	at, err := time.Parse(time.RFC3339, a[createdAnnotation])
	days := cmp.Or(d.ProofDays, defaultProofDays)
	switch {
	case a[resultAnnotation] != "passed":
		return "did not pass"
	case err == nil && time.Until(at) > time.Hour: // it would never be too old
		return "has a time in the future"
	case err != nil || time.Since(at) > time.Duration(days)*24*time.Hour:
		return fmt.Sprintf("is older than %d days", days)
	}
	return ""
}
