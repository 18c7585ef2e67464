// Command review prints what a branch changes in all stacks, the most dangerous first, as a comment for a pull request.
// `make review` runs it.
package main

import (
	"flag"
	"fmt"
	"os"

	"example.com/scaleout/internal/cost"
	"example.com/scaleout/internal/review"
)

// least is the smallest limit: the headline and the counts of some stacks need as much.
const least = 2000

func main() {
	base := flag.String("base", "origin/main", "the `revision` to compare with; compared is where the branch left it")
	head := flag.String("head", "", "the `revision` to judge, of which no code runs; the default is the working tree")
	limit := flag.Int("limit", 0, "the largest `number` of characters; 65536 for a comment on GitHub; 0 for all")
	file := flag.String("prices", "", "a `file` like internal/cost/prices.yaml, which is the default")
	flag.Parse()
	if flag.NArg() > 0 || *limit != 0 && *limit < least {
		fmt.Fprintf(os.Stderr, "review: want no arguments, and LIMIT to be 0 or at least %d\n", least)
		os.Exit(2)
	}
	if err := run(*base, *head, *file, *limit); err != nil {
		fmt.Fprintln(os.Stderr, "review:", err)
		os.Exit(1)
	}
}

func run(base, head, file string, limit int) error {
	prices, err := table(file)
	if err != nil {
		return err
	}
	before, after, commit, err := review.Load(".", base, head)
	if err != nil {
		return err
	}
	if head == "" {
		head = "this working tree"
	}
	_, err = fmt.Print(review.New(before, after, prices).Comment(head, commit, limit))
	return err
}

func table(file string) (*cost.Table, error) {
	if file == "" {
		return cost.Embedded()
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("the price table: %w", err)
	}
	return cost.Parse(content)
}
