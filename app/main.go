// Command app is the hit counter that scaleout deploys: it counts visits in Redis and greets each visitor with the
// total. It is stateless, so any number of instances can run behind one load balancer.
//
// Port 5000 serves visitors and probes, port 9090 serves metrics; -help lists every setting.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set at build time: -ldflags "-X main.version=...".
var version = "dev"

// Exit codes. An invalid setting has its own, because a restart cannot fix it.
const exitOK, exitFailure, exitUsage = 0, 1, 2

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is main with its inputs and outputs as parameters, for tests. It returns the exit code.
func run(args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("app", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // problems are reported below, help goes to stdout
	check := flags.String("healthcheck", "", "")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		writeHelp(stdout)
		return exitOK
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "%v (-help lists the settings)\n", err)
		return exitUsage
	case flags.NArg() > 0:
		_, _ = fmt.Fprintf(stderr, "unexpected argument %q: settings are variables, -help lists them\n", flags.Arg(0))
		return exitUsage
	case *check != "":
		if err := healthcheck(*check); err != nil {
			_, _ = fmt.Fprintln(stderr, err)
			return exitFailure
		}
		return exitOK
	}

	cfg, err := loadConfig(environ)
	if err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return exitUsage
	}
	log := slog.New(slog.NewJSONHandler(stdout, &slog.HandlerOptions{Level: cfg.LogLevel}))

	// Room for two signals: the first one shuts down gracefully, the second one at once.
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)

	if err := serve(cfg, log, signals); err != nil {
		log.Error("stopped by an error", "error", err)
		return exitFailure
	}
	return exitOK
}

// healthcheck requires a GET of url to return 200. Docker without Kubernetes checks the app's health by a command in
// the container, and the image contains no other HTTP client.
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
