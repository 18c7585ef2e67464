package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"example.com/scaleout/internal/rendered"
)

const usage = `Checks what a stack would deploy. It reads the golden files of the stack from standard input:

  scaleout golden -stack prod | policy -stack-file Pulumi.prod.yaml

`

func main() {
	path := flag.String("stack-file", "", "the stack `file`, with tags and waivers; required")
	list := flag.Bool("list", false, "list the rules, and check nothing")
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), usage)
		flag.PrintDefaults()
	}
	flag.Parse()
	if *list {
		for _, rule := range rules() {
			fmt.Printf("%-8s %s\n         otherwise: %s\n         fix: %s\n", rule.Severity, rule.ID, rule.Reason, rule.Fix)
		}
		return
	}
	if *path == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	failed, err := run(*path, os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "policy:", err)
	}
	if failed || err != nil {
		os.Exit(1)
	}
}

func run(path string, stdin io.Reader, stdout io.Writer) (failed bool, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return false, fmt.Errorf("-stack-file: %w", err)
	}
	stack, err := rendered.ReadArchive(stdin)
	if err != nil {
		return false, err
	}
	config, waivers, err := stackFile(content, ids(), time.Now())
	if config == nil {
		return false, err
	}
	return report(&Stack{stack, config}, waivers, err, stdout), nil
}

// ids returns the names of the rules.
func ids() []string {
	var ids []string
	for _, rule := range rules() {
		ids = append(ids, rule.ID)
	}
	return ids
}

// report writes the violations, those that are waived, waivers that nothing needs, and what is wrong with the invalid
// ones. It fails if an error is left.
func report(s *Stack, waivers []*Waiver, invalid error, out io.Writer) (failed bool) {
	errors, warnings := 0, 0
	for _, rule := range rules() {
		violations := rule.Check(s)
		slices.SortFunc(violations, func(a, b Violation) int { return cmp.Compare(a.Object+a.Problem, b.Object+b.Problem) })
		shown := false
		for _, v := range violations {
			if w := waiverOf(waivers, rule.ID, v.Object); w != nil {
				fmt.Fprintf(out, "waived   %s: %s: %s\n         until %s: %s\n", rule.ID, v.Object, v.Problem, w.Until, w.Reason)
				continue
			}
			fmt.Fprintf(out, "%-8s %s: %s: %s\n", rule.Severity, rule.ID, v.Object, v.Problem)
			if shown = true; rule.Severity == Error {
				errors++
			} else {
				warnings++
			}
		}
		if shown {
			fmt.Fprintf(out, "         otherwise: %s\n         fix: %s\n", rule.Reason, rule.Fix)
		}
	}
	for _, w := range waivers {
		if !w.used {
			fmt.Fprintf(out, "%-8s there is no such finding for the waiver of %s for %s: correct or remove it\n", Warning,
				w.Rule, w.Object)
			warnings++
		}
	}
	if invalid != nil {
		for line := range strings.Lines(invalid.Error()) {
			fmt.Fprintf(out, "%-8s %s\n", Error, strings.TrimSpace(line))
			errors++
		}
	}
	fmt.Fprintf(out, "%d rules: %s, %s\n", len(rules()), plural(errors, "error"), plural(warnings, "warning"))
	return errors > 0
}

func plural(n int, word string) string {
	if n != 1 {
		word += "s"
	}
	return strings.TrimSpace(fmt.Sprint(n, " ", word))
}
