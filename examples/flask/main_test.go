package main

import (
	"flag"
	"testing"

	"example.com/scaleout/offline/goldentest"
)

var update = flag.Bool("update", false, "write the golden files instead of comparing them")

// What would be deployed, without a cluster: the way to test a program of one's own.
func TestGolden(t *testing.T) { goldentest.Program(t, program, "dev", *update) }
