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
	"time"

	"golang.org/x/term"
	"k8s.io/client-go/kubernetes"

	"example.com/scaleout/load/record"
	"example.com/scaleout/load/stack"
	"example.com/scaleout/load/traffic"
	"example.com/scaleout/load/watch"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		_, _ = fmt.Fprintf(os.Stderr, "load: %v\n", err)
		os.Exit(1) //nolint:gocritic // stop only frees the signals
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	o, err := parseOptions(args, os.Getenv, out)
	if err != nil {
		return err
	}
	p, err := stack.Open(o.stack)
	if err != nil {
		return err
	}
	var base *record.Run
	if o.baseline != "" {
		if base, err = record.Read(o.baseline); err != nil {
			return err
		}
	}
	var r *record.Run
	if o.from != "" {
		r, err = record.Read(o.from)
	} else {
		r, err = send(ctx, o, p, out)
	}
	if err != nil {
		return err
	}
	if o.name != "" {
		r.Name = o.name
	}
	folder := cmp.Or(o.out, filepath.Join(p.Root, "reports", r.Started.Format("20060102-150405")+"-"+slug(r.Name)))
	if err := save(folder, r, base, milliseconds(o.goal)); err != nil {
		return err
	}
	conclude(out, r, milliseconds(o.goal), folder)
	return nil
}

// send sends the load and returns what was seen. Ctrl-C ends it early, and what was seen until then counts.
func send(ctx context.Context, o *options, p stack.Project, out io.Writer) (*record.Run, error) {
	s, err := p.Outputs(ctx)
	if err != nil {
		return nil, err
	}
	url, namespace, hpa, err := o.aim(s)
	if err != nil {
		return nil, err
	}
	_, _ = fmt.Fprintf(out, "%s to %s of stack %s: %s, up to %.0f requests a second; Ctrl-C ends it with a report\n",
		o.profile.Name, url, o.stack, o.profile.Duration(), o.profile.Peak())
	r := &record.Run{
		Stack: o.stack, URL: url, Host: o.host, Profile: o.profile, Name: o.name,
		Machine: fmt.Sprintf("%d cores, %s/%s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH),
	}
	if !o.elsewhere() {
		r.Image = s.Image
	}
	var watcher *watch.Watcher
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if hpa != "" {
		config, context, err := p.Cluster(ctx, o.context)
		if err != nil {
			return nil, err
		}
		client, err := kubernetes.NewForConfig(config)
		if err != nil {
			return nil, fmt.Errorf("connecting to %s: %w", context, err)
		}
		_, _ = fmt.Fprintf(out, "following the autoscaler %s/%s in %s\n", namespace, hpa, context)
		if watcher, err = watch.Start(ctx, watching, client, namespace, hpa); err != nil {
			return nil, err
		}
		settings := watcher.Settings()
		r.Autoscaler, r.HPA, r.Context = &settings, namespace+"/"+hpa, context
	}
	v := &view{out: out, terminal: isTerminal(out), settings: r.Autoscaler}
	observe(ctx, r, v, watcher, traffic.Settings{URL: url, Host: o.host, Timeout: o.timeout, Workers: workers})
	if len(r.Samples) == 0 {
		return nil, errors.New("interrupted before its first second; there is nothing to report")
	}
	return r, nil
}

// slug is a name as a part of a path.
func slug(name string) string {
	return strings.Trim(notInPaths.ReplaceAllString(name, "-"), "-.")
}

var notInPaths = regexp.MustCompile(`[^\pL\pN.]+`)

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

func isTerminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	return ok && term.IsTerminal(int(file.Fd())) //nolint:gosec // a file descriptor is a small number
}
