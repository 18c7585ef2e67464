package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto/events"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// beginDeployed opens the stack, which must exist in the backend: these commands create none.
func (d *driver) beginDeployed(ctx context.Context) error {
	if err := d.begin(ctx, "", machineKeys...); err != nil || d.existed {
		return err
	}
	create := "pulumi stack init " + d.Stack
	if d.isLocal() {
		create = "make up" + stackArgument(d.Stack)
	}
	return fmt.Errorf("the backend has no stack %s; to create it: %s", d.Stack, create)
}

// drift shows what somebody else changed in the stack's objects, and apart from it what the next update would change
// because the program or the settings have changed. It changes nothing, and fails if there is drift.
func (d *driver) drift(ctx context.Context) error {
	if err := d.beginDeployed(ctx); err != nil {
		return err
	}
	var drifted, pending []string
	err := d.do(ctx,
		step{"compare the objects with the state", func(ctx context.Context) (said string, err error) {
			drifted, err = d.changes(func(log chan<- events.EngineEvent) error {
				_, err := d.pulumi.PreviewRefresh(ctx, optrefresh.EventStreams(log), optrefresh.ShowSecrets(false))
				return err
			})
			return fmt.Sprintf("%d changed by others", len(drifted)), err
		}},
		step{"compare the state with the program", func(ctx context.Context) (said string, err error) {
			pending, err = d.changes(func(log chan<- events.EngineEvent) error {
				_, err := d.pulumi.Preview(ctx, optpreview.EventStreams(log))
				return err
			})
			return fmt.Sprintf("%d to be deployed", len(pending)), err
		}})
	if err != nil {
		return err
	}
	d.printf("\n")
	list := func(title string, lines []string) {
		if len(lines) > 0 {
			d.printf("%s:\n  %s\n", title, strings.Join(lines, "\n  "))
		}
	}
	list("Drift: changed by others; the next update that touches it, or one with --refresh, reverts it", drifted)
	list("Pending: changed here, and not deployed yet", pending)
	if len(drifted) > 0 {
		return fmt.Errorf("stack %s has drifted: %d resources", d.Stack, len(drifted))
	}
	d.printf("No drift.\n")
	return nil
}

// plan shows what an update would do to the real objects, and writes it to FILE as a comment for a pull request.
func (d *driver) plan(ctx context.Context) error {
	if err := d.beginDeployed(ctx); err != nil {
		return err
	}
	var pending []string
	err := d.do(ctx, step{"pulumi preview", func(ctx context.Context) (said string, err error) {
		pending, err = d.changes(func(log chan<- events.EngineEvent) error {
			_, err := d.pulumi.Preview(ctx, optpreview.EventStreams(log), optpreview.ProgressStreams(d.out), optpreview.Diff())
			return err
		})
		return fmt.Sprintf("%d to be changed", len(pending)), err
	}})
	if err != nil || d.File == "" {
		return err
	}
	totals := map[string]int{}
	for _, line := range pending {
		op, _, _ := strings.Cut(line, " ")
		totals[op]++
	}
	title := "no changes"
	if len(totals) > 0 {
		var parts []string
		for _, op := range slices.Sorted(maps.Keys(totals)) {
			parts = append(parts, fmt.Sprintf("%d %s", totals[op], op))
		}
		title = strings.Join(parts, ", ")
	}
	const most = 200 // lines of at most some 300 characters; a comment has 65,536
	text := strings.Join(pending[:min(len(pending), most)], "\n")
	if rest := len(pending) - most; rest > 0 {
		text += fmt.Sprintf("\nand %d more: see the summary of the run", rest)
	}
	comment := fmt.Sprintf("<!-- scaleout: plan %s -->\n### `pulumi preview` of stack %[1]s: %s\n\n````\n%s\n````\n",
		d.Stack, title, text)
	return os.WriteFile(d.File, []byte(comment), 0o600)
}

// changes runs a preview, and returns a line for each resource that it would change.
func (d *driver) changes(preview func(chan<- events.EngineEvent) error) ([]string, error) {
	log, found, done := make(chan events.EngineEvent), map[string]string{}, make(chan struct{})
	go func() {
		defer close(done)
		for event := range log {
			var step *apitype.StepEventMetadata
			switch { // a refresh knows what it found only afterwards
			case event.ResOutputsEvent != nil:
				step = &event.ResOutputsEvent.Metadata
			case event.ResourcePreEvent != nil:
				step = &event.ResourcePreEvent.Metadata
			default:
				continue
			}
			switch step.Op {
			case apitype.OpSame, apitype.OpRead, apitype.OpReadReplacement, apitype.OpRefresh, apitype.OpReadDiscard:
				continue
			}
			urn := resource.URN(step.URN)
			if urn.Type() == resource.RootStackType || urn.Type() == "pulumi:pulumi:StackReference" {
				continue
			}
			paths := slices.Sorted(maps.Keys(step.DetailedDiff))
			if len(paths) == 0 {
				paths = step.Diffs
			}
			line := fmt.Sprintf("%-8s %s %s", step.Op, urn.Type().DisplayName(), urn.Name())
			if len(paths) > 0 {
				line += ": " + strings.Join(paths[:min(len(paths), 5)], ", ")
			}
			if rest := len(paths) - 5; rest > 0 {
				line += fmt.Sprintf(" and %d more", rest)
			}
			found[step.URN] = line
		}
	}()
	err := d.explain(preview(log))
	<-done // the automation API closes the channel
	var lines []string
	for _, urn := range slices.Sorted(maps.Keys(found)) {
		lines = append(lines, found[urn])
	}
	return lines, err
}

// deploy updates a stack that exists, wherever it is. Unlike up, it creates nothing around it.
func (d *driver) deploy(ctx context.Context) error {
	if err := d.beginDeployed(ctx); err != nil {
		return err
	}
	if d.isLocal() {
		return errors.New("this stack runs on this machine: use make up")
	}
	if err := d.do(ctx, step{"pulumi up", d.update}); err != nil {
		return err
	}
	d.total("deploy")
	return nil
}
