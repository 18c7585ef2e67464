// Command balancer runs nginx in front of a changing set of containers.
//
// nginx resolves the name of an upstream server only when it reads its configuration, and checks a server's health
// only by sending it a visitor's request. So this program takes a configuration whose upstream servers are DNS names,
// each of any number of containers, and generates one in which every name is replaced with the addresses of its ready
// servers. It checks once a second, and reloads nginx when the result has changed.
//
// Settings are environment variables, which the component docker.Nginx sets and checks: NGINX_CONF is the
// configuration, READY_PATH the path on which a ready server returns 200.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	url := flag.String("healthcheck", "", "only send a GET to this `URL`, and exit with 0 if it returns 200")
	flag.Parse()
	// Docker sends SIGQUIT, the stop signal of the nginx image; everything else sends SIGTERM.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGQUIT, os.Interrupt)
	defer stop()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	var err error
	if *url != "" {
		err = healthcheck(*url)
	} else {
		err = newBalancer(os.Getenv("NGINX_CONF"), os.Getenv("READY_PATH"), log).run(ctx)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		log.Error("stopped by an error", "error", err)
		os.Exit(1)
	}
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
