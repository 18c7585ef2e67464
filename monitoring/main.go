// Command monitoring writes the dashboards that the program embeds; `make golden` runs it. Its tests prove, with
// Prometheus' own packages, that all queries and rules are what Prometheus takes, and that the alerts fire when they are to.
package main

import (
	"fmt"
	"os"

	"example.com/scaleout/monitoring/dashboard"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: monitoring FILE\n\nwrites the dashboard to FILE")
		os.Exit(2)
	}
	content, err := dashboard.JSON()
	if err == nil {
		err = os.WriteFile(os.Args[1], content, 0o644) //nolint:gosec // a dashboard is no secret
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "monitoring: %v\n", err)
		os.Exit(1)
	}
}
