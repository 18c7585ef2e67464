// Command balancer runs nginx in front of a changing set of containers.
//
// nginx resolves the name of an upstream server only when it reads its configuration, and checks a server's health
// only by sending it a visitor's request. So this program takes a configuration whose upstream servers are DNS names,
// each of any number of containers, and generates one in which every name is replaced with the addresses of its ready
// servers. It checks once a second; when the result has changed, it tests the new configuration with `nginx -t` and
// reloads nginx.
//
// Settings are environment variables: NGINX_CONF is the configuration, READY_PATH (default /readyz) the path on which
// a ready server returns 200.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	exitFailure = 1
	exitUsage   = 2 // an invalid setting, which a restart cannot fix

	// folder holds nginx's configuration and temporary files: a tmpfs in a read-only container.
	folder = "/tmp/nginx"
)

func main() {
	// Docker sends SIGQUIT, the stop signal of the nginx image; everything else sends SIGTERM.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGQUIT, os.Interrupt)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run implements main with its inputs and outputs as parameters. It returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("balancer", flag.ContinueOnError)
	flags.SetOutput(stderr)
	check := flags.String("healthcheck", "", "only send a GET to this `URL`, and exit with 0 if it returns 200")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "unexpected argument %q\n", flags.Arg(0))
		return exitUsage
	case *check != "":
		if err := healthcheck(*check); err != nil {
			_, _ = fmt.Fprintln(stderr, err)
			return exitFailure
		}
		return 0
	}

	conf, readyPath := getenv("NGINX_CONF"), cmp.Or(getenv("READY_PATH"), "/readyz")
	var problems []string
	if len(namesOf(conf)) == 0 {
		problems = append(problems, "NGINX_CONF: want an nginx configuration with an upstream server of the form "+
			"`server name:port;` on a line of its own")
	}
	if !strings.HasPrefix(readyPath, "/") {
		problems = append(problems, fmt.Sprintf("READY_PATH=%q: want a path such as /readyz", readyPath))
	}
	if problems != nil {
		_, _ = fmt.Fprintln(stderr, "invalid settings:\n  "+strings.Join(problems, "\n  "))
		return exitUsage
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	b := &balancer{
		conf: conf, log: log, finder: newFinder(readyPath), interval: time.Second,
		nginx: &nginx{binary: "nginx", dir: folder, stdout: stdout, stderr: stderr},
	}
	if err := b.run(ctx); err != nil {
		log.Error("stopped by an error", "error", err)
		return exitFailure
	}
	return 0
}

// healthcheck requires a GET of url to return 200. The container has no other HTTP client to check its health with.
func healthcheck(url string) error {
	res, err := (&http.Client{Timeout: 2 * time.Second}).Get(url)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return nil
}
