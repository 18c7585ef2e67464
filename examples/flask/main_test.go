package main

import (
	"flag"
	"testing"

	"example.com/scaleout/offline/goldentest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// TestGolden shows how to test a program of your own: it compares the resources without a cluster.
func TestGolden(t *testing.T) { goldentest.Program(t, program, "dev", *update) }
