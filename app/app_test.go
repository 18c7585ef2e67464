package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// testApp is the whole program (serve) running in the test's process.
type testApp struct {
	url, metricsURL string
	logs            *logBuffer
	signals         chan os.Signal
	result          chan error
	client          *http.Client
	transport       *http.Transport
}

// startApp starts the program with cfg, waits until it listens, and stops it when the test ends.
func startApp(t *testing.T, cfg Config) *testApp {
	t.Helper()
	a := &testApp{
		logs: &logBuffer{}, signals: make(chan os.Signal, 2), result: make(chan error, 1),
		transport: &http.Transport{MaxIdleConnsPerHost: 1000},
	}
	// Visitors get a response within a second whatever Redis does. A call takes at most cfg.Redis.Timeout, a fifth of a
	// second in tests.
	a.client = &http.Client{Transport: a.transport, Timeout: time.Second}
	log := slog.New(slog.NewJSONHandler(a.logs, &slog.HandlerOptions{Level: cfg.LogLevel}))
	go func() { a.result <- serve(cfg, log, a.signals) }()
	eventually(t, "the program to serve", func() bool {
		for line := range strings.Lines(a.logs.String()) {
			var event struct{ Msg, Address, Metrics string }
			if json.Unmarshal([]byte(line), &event) == nil && event.Msg == "serving" {
				a.url, a.metricsURL = "http://"+event.Address, "http://"+event.Metrics
			}
		}
		return a.url != ""
	})
	t.Cleanup(func() {
		a.signals <- syscall.SIGTERM
		a.signals <- syscall.SIGTERM // skip the drain
	})
	return a
}

// get returns the status code and body of the response. The test fails without a response within a second.
func (a *testApp) get(t *testing.T, url string) (int, string) {
	t.Helper()
	answer, err := a.client.Get(url)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Error(err)
	}
	return answer.StatusCode, string(body)
}

// burst sends n concurrent GET / and returns the number of responses by status code. Its timeout is long, because so
// many requests take a while on a busy machine.
func (a *testApp) burst(t *testing.T, n int) map[int]int {
	t.Helper()
	client := &http.Client{Transport: a.transport, Timeout: patience}
	codes := make(chan int, n)
	for range n {
		go func() {
			answer, err := client.Get(a.url + "/")
			if err != nil {
				t.Error(err)
				codes <- 0
				return
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			codes <- answer.StatusCode
		}()
	}
	counts := map[int]int{}
	for range n {
		counts[<-codes]++
	}
	return counts
}

func (a *testApp) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-a.result:
		return err
	case <-time.After(patience):
		t.Fatal("the program did not stop")
		return nil
	}
}

// eventuallyLogs waits until the log contains text.
func (a *testApp) eventuallyLogs(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the log to contain "+text, func() bool { return strings.Contains(a.logs.String(), text) })
}

// eventuallyAnswers waits until a GET of path returns code, and returns the body.
func (a *testApp) eventuallyAnswers(t *testing.T, path string, code int) (body string) {
	t.Helper()
	eventually(t, http.StatusText(code)+" from "+path, func() bool {
		var got int
		got, body = a.get(t, a.url+path)
		return got == code
	})
	return body
}
