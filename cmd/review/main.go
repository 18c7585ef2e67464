// Command review prints what the working tree changes in all stacks, the most dangerous first, as a comment for a pull
// request. `make review` runs it.
package main

import (
	"flag"
	"fmt"
	"os"

	"example.com/scaleout/internal/review"
)

func main() {
	base := flag.String("base", "origin/main", "the `revision` to compare with; compared is where the branch left it")
	limit := flag.Int("limit", 0, "the largest `number` of characters; 65536 for a comment on GitHub; 0 for all")
	flag.Parse()
	before, after, commit, err := review.Load(".", *base)
	if err != nil {
		fmt.Fprintln(os.Stderr, "review:", err)
		os.Exit(1)
	}
	fmt.Print(review.New(before, after).Comment(commit, *limit))
}
