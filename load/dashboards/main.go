// Command dashboards makes the Grafana and the Prometheus of a stack reachable from this machine until Ctrl-C.
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
	"syscall"

	"k8s.io/client-go/kubernetes"

	"example.com/scaleout/load/stack"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprintf(os.Stderr, "dashboards: %v\n", err)
		os.Exit(1) //nolint:gocritic // stop only frees the signals
	}
}

// options is the command line.
type options struct {
	stack, context              string
	grafanaPort, prometheusPort int
}

func run(ctx context.Context, args []string, out io.Writer) error {
	var o options
	f := flag.NewFlagSet("dashboards", flag.ContinueOnError)
	f.SetOutput(out)
	f.StringVar(&o.stack, "stack", cmp.Or(os.Getenv("STACK"), "dev"), "stack to look at")
	f.StringVar(&o.context, "context", "", "kubeconfig context of the cluster; required for a stack that is not on kind")
	f.IntVar(&o.grafanaPort, "grafana-port", 3000, "port of this machine for Grafana")
	f.IntVar(&o.prometheusPort, "prometheus-port", 9090, "port of this machine for Prometheus")
	if err := f.Parse(args); err != nil {
		return err
	}
	p, err := stack.Open(o.stack)
	if err != nil {
		return err
	}
	outputs, err := p.Outputs(ctx)
	if err != nil {
		return err
	}
	targets, err := o.targets(outputs)
	if err != nil {
		return err
	}
	config, name, err := p.Cluster(ctx, o.context)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to %s: %w", name, err)
	}
	return forwardAll(ctx, forwarder{config, client, outputs.Namespace, out}, targets)
}

// target is a Service to be reached at a port of this machine.
type target struct {
	title, service, path string
	port                 int
}

// targets are what the stack has, or an error that says how to get it.
func (o options) targets(s *stack.Outputs) ([]target, error) {
	var all []target
	if s.Grafana != "" {
		all = append(all, target{"Grafana", s.Grafana, "/d/scaleout", o.grafanaPort})
	}
	if s.Prometheus != "" {
		all = append(all, target{"Prometheus", s.Prometheus, "/alerts", o.prometheusPort})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf(`stack %s runs neither Grafana nor Prometheus; to have both:
  eval "$(make -s env)"
  pulumi config set --stack %[1]s installPrometheus true
  pulumi config set --stack %[1]s installGrafana true
  make up STACK=%[1]s
with prometheusOperator, the dashboard "scaleout" is in the operator's own Grafana`, o.stack)
	}
	return all, nil
}
