package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// healthcheckTimeout is how long the answer may take.
const healthcheckTimeout = 2 * time.Second

// healthcheck asks a URL for 200. Where Docker runs the app without Kubernetes, it can check its health only by a
// command in the container, and the image holds no other program that could ask.
func healthcheck(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), healthcheckTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", url, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	return nil
}
