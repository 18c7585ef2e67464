// Command load sends a profile of requests to a running stack, shows how it scales meanwhile, and writes a report.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"

	"k8s.io/client-go/kubernetes"

	"example.com/scaleout/load/record"
	"example.com/scaleout/load/report"
	"example.com/scaleout/load/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	stack := pulumiStack{name: cmp.Or(os.Getenv("STACK"), "dev"), run: pulumi}
	if err := run(ctx, os.Args[1:], stack, os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintf(os.Stderr, "load: %v\n", err)
		os.Exit(1)
	}
}

// run sends a load, or reads the run of an earlier one, and reports on it.
func run(ctx context.Context, args []string, stack pulumiStack, out io.Writer) error {
	o, err := parseOptions(args, out)
	if err != nil {
		return err
	}
	var base, r *record.Run
	if o.baseline != "" {
		if base, err = record.Read(o.baseline); err != nil {
			return err
		}
	}
	if o.from != "" {
		r, err = record.Read(o.from)
	} else {
		r, err = send(ctx, o, stack, out)
	}
	if err != nil {
		return err
	}
	r.Name = cmp.Or(o.name, r.Name)
	name := regexp.MustCompile(`[^\pL\pN.]+`).ReplaceAllString(r.Name, "-")
	folder := cmp.Or(o.out, filepath.Join("reports", r.Started.Format("20060102-150405")+"-"+strings.Trim(name, "-.")))
	goal := o.goal.Seconds() * 1000
	if err := save(folder, r, base, goal); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	conclude(out, r, goal, folder)
	return nil
}

// send sends the load and returns the run. Ctrl-C ends it early with what was recorded until then.
func send(ctx context.Context, o *options, stack pulumiStack, out io.Writer) (*record.Run, error) {
	s, err := stack.outputs(ctx)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(out, "%s to %s of stack %s: %s, up to %.0f requests a second; Ctrl-C ends it with a report\n",
		o.profile.Name, s.URL, stack.name, o.profile.Duration(), o.profile.Peak())
	r := &record.Run{
		Stack: stack.name, URL: s.URL, Host: o.host, Image: s.Image, Profile: o.profile, Name: o.profile.Name,
		Machine: fmt.Sprintf("%d cores, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH),
	}
	namespace, hpa := s.Namespace, s.HPA
	if o.host != "" { // another host is not the stack's app
		r.Image, hpa = "", ""
	}
	if o.hpa != "" {
		namespace, hpa, _ = strings.Cut(o.hpa, "/")
	}
	var watcher *watch.Watcher
	if hpa != "" {
		config, name, err := stack.cluster(ctx, o.context)
		if err != nil {
			return nil, err
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("connecting to %s: %w", name, err)
		}
		_, _ = fmt.Fprintf(out, "following the autoscaler %s/%s in %s\n", namespace, hpa, name)
		if watcher, err = watch.Start(ctx, client, namespace, hpa); err != nil {
			return nil, err
		}
		r.Autoscaler, r.HPA, r.Context = watcher.Settings, namespace+"/"+hpa, name
	}
	observe(ctx, r, out, watcher)
	if len(r.Samples) == 0 {
		return nil, errors.New("interrupted before its first second; there is nothing to report")
	}
	return r, nil
}

// save writes the report to a folder. If one of its files cannot be created, the others are written anyway.
func save(folder string, r, base *record.Run, goal float64) error {
	files, err := report.Files(r, base, goal)
	err = errors.Join(err, os.MkdirAll(folder, 0o755))
	for name, text := range files {
		err = errors.Join(err, os.WriteFile(filepath.Join(folder, name), text, 0o644))
	}
	return err
}

// conclude prints the verdict and the path of the report.
func conclude(out io.Writer, r *record.Run, goal float64, folder string) {
	_, _ = fmt.Fprintln(out)
	for _, row := range r.Rows(goal) {
		_, _ = fmt.Fprintf(out, "  %-24s %s\n", row.Name, row.Value)
	}
	for _, reason := range r.Total.Reasons() {
		_, _ = fmt.Fprintf(out, "  %d times %s\n", r.Total.Failures[reason], reason)
	}
	if a := r.Advise(goal); a.Problem != "" {
		_, _ = fmt.Fprintf(out, "\n  no advice on the autoscaler: %s\n", a.Problem)
	} else {
		_, _ = fmt.Fprintf(out, "\n  suggested: cpuRequest %dm, targetCpuUtilization %d, minReplicas %d, "+
			"maxReplicas %d; the report has the reasons\n",
			a.Settings.Request, a.Settings.Target, a.Settings.Min, a.Settings.Max)
	}
	_, _ = fmt.Fprintf(out, "\n  report: %s\n", filepath.Join(folder, "report.html"))
}
