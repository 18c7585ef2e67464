package main

import (
	"flag"
	"testing"

	"example.com/scaleout/offline"
	"example.com/scaleout/offline/goldentest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// What would be deployed, without a cluster: the way to test a program of one's own.
func TestGolden(t *testing.T) {
	result, err := offline.Run(program, ".", "dev")
	if err != nil {
		t.Fatal(err)
	}
	files, err := result.Golden(result.ImageTags()...)
	if err != nil {
		t.Fatal(err)
	}
	goldentest.Check(t, "testdata/golden", files, *update)
	if len(result.Exposed) > 0 {
		t.Errorf("these follow from a secret and are not marked as secret: %v", result.Exposed)
	}
}
