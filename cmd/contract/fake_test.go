package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeApp is the app of an image: each field is a defect, and the zero value has none.
type fakeApp struct {
	needsWritable bool // ends unless its file system is writable
	needsRedis    bool // ends without Redis
	silent        bool // runs, but does not listen
	liveAsksRedis bool
	alwaysReady   bool
	ownCounter    bool // keeps the number in the process
	ignoresTerm   bool // keeps running after SIGTERM
	cuts          bool // closes everything at SIGTERM
	dropsKept     bool // after SIGTERM closes a kept-alive connection when a request arrives
	dies          bool // ends by itself on a request for its number
	unnamed       bool // rejects an invalid port without naming the setting
	takesAll      bool // does not validate its settings
}

// fakeDocker runs containers as servers in this process. It records all commands.
type fakeDocker struct {
	t       *testing.T
	app     fakeApp
	host    string           // of the current context
	fails   map[string]error // by the first word of the command
	onStart func()           // when a container of the app starts

	mu         sync.Mutex
	commands   []string
	stdin      string // all of it
	network    bool   // whether it exists
	containers map[string]*fakeContainer
	redis      fakeRedis
}

// fakeRedis counts. While it is paused, it does not respond.
type fakeRedis struct {
	running sync.RWMutex // locked while it is paused
	up      bool
	n       int
}

type fakeContainer struct {
	isApp    bool
	args, in string
	state    containerState
	log      string
	server   *http.Server
	address  string
	reached  bool // whether it has reached Redis
	n        int
	stopping bool
}

func newFakeDocker(t *testing.T, app fakeApp) *fakeDocker {
	f := &fakeDocker{t: t, app: app, host: "unix:///var/run/docker.sock", fails: map[string]error{},
		containers: map[string]*fakeContainer{}}
	t.Cleanup(func() {
		for _, c := range f.containers {
			c.end(137, "")
		}
	})
	return f
}

func (f *fakeDocker) run(ctx context.Context, stdin string, args ...string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands, f.stdin = append(f.commands, strings.Join(args, " ")), f.stdin+stdin
	if err := f.fails[args[0]]; err != nil {
		return "", err
	}
	switch args[0] {
	case "context":
		return f.host, nil
	case "version", "image":
		return "", nil
	case "network":
		f.network = args[1] == "create"
		return "", nil
	case "create":
		id := fmt.Sprintf("id%d", len(f.containers))
		f.containers[id] = &fakeContainer{isApp: slices.Contains(args, "--publish"), args: strings.Join(args, " "), in: stdin}
		return id, nil
	case "cp":
		return "", nil
	case "ps":
		var ids []string
		for id := range f.containers {
			ids = append(ids, id)
		}
		return strings.Join(ids, "\n"), nil
	case "rm":
		for _, id := range args[3:] {
			f.containers[id].end(137, "")
			delete(f.containers, id)
		}
		return "", nil
	case "pause":
		f.mu.Unlock() // for the requests in flight
		f.redis.running.Lock()
		f.mu.Lock()
		return "", nil
	case "unpause":
		f.redis.running.Unlock()
		return "", nil
	}
	return f.container(ctx, args)
}

// container runs the commands for one container.
func (f *fakeDocker) container(ctx context.Context, args []string) (string, error) {
	verb, id := args[0], args[len(args)-1]
	if verb == "port" {
		id = args[1]
	}
	c := f.containers[id]
	switch {
	case c == nil:
		f.t.Errorf("unexpected command: docker %s", strings.Join(args, " "))
		return "", errors.New("unexpected command")
	case verb == "start" && c.isApp:
		if f.onStart != nil {
			f.onStart()
		}
		f.startApp(c)
	case verb == "start":
		f.redis.up, c.state.Running, c.log = true, true, "Ready to accept connections"
	case verb == "stop":
		f.redis.up, c.state.Running = false, false
	case verb == "port":
		return c.address, nil
	case verb == "logs":
		return c.log, nil
	case verb == "inspect":
		state, err := json.Marshal(c.state)
		return string(state), err
	case verb == "kill" && !c.state.Running:
		return "", errors.New("container is not running")
	case verb == "kill":
		f.terminate(c)
	}
	return "", nil
}

// end ends a container's process.
func (c *fakeContainer) end(code int, log string) {
	if c.state.Running {
		c.state, c.log = containerState{ExitCode: code, FinishedAt: time.Now()}, c.log+log
		if c.server != nil {
			_ = c.server.Close()
		}
	}
}

// startApp starts the app's process.
func (f *fakeDocker) startApp(c *fakeContainer) {
	c.state.Running = true
	switch {
	case strings.Contains(c.in, "PORT=none") && !f.app.takesAll:
		name := "PORT"
		if f.app.unnamed {
			name = "something"
		}
		c.end(2, name+": want a number\nbye")
		return
	case f.app.needsWritable && strings.Contains(c.args, "--read-only"):
		c.end(1, "cannot write /var/cache/app")
		return
	case f.app.needsRedis && !f.redis.up:
		c.end(1, "no Redis")
		return
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Error(err)
		return
	}
	c.address = listener.Addr().String()
	if f.app.silent {
		_ = listener.Close()
		return
	}
	c.server = &http.Server{Handler: f.handler(c)}
	go func() { _ = c.server.Serve(listener) }()
}

// handler returns the app's handler.
func (f *fakeDocker) handler(c *fakeContainer) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.app.liveAsksRedis && !f.redis.up {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		c.reached = c.reached || f.redis.up
		if !c.reached && !f.app.alwaysReady {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { time.Sleep(600 * time.Millisecond) })
	mux.HandleFunc("/name", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, c.address) })
	mux.HandleFunc("/{$}", func(w http.ResponseWriter, _ *http.Request) { f.count(c, w) })
	return mux
}

// count serves the app's main page.
func (f *fakeDocker) count(c *fakeContainer, w http.ResponseWriter) {
	f.redis.running.RLock()
	defer f.redis.running.RUnlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	n := &f.redis.n
	if f.app.ownCounter {
		n = &c.n
	}
	switch *n++; {
	case f.app.dies && *n > turns+keptConns:
		c.end(3, "out of luck")
	case c.stopping && f.app.dropsKept:
		panic(http.ErrAbortHandler)
	case c.stopping:
		w.Header().Set("Connection", "close")
	}
	_, _ = fmt.Fprintf(w, "seen %d times", *n)
}

// terminate does what the app does on SIGTERM.
func (f *fakeDocker) terminate(c *fakeContainer) {
	c.stopping = true
	switch {
	case f.app.ignoresTerm:
	case f.app.cuts:
		c.end(143, "")
	default:
		go func() {
			time.Sleep(1500 * time.Millisecond) // the drain: longer than requests are sent
			_ = c.server.Shutdown(context.Background())
			f.mu.Lock()
			defer f.mu.Unlock()
			c.end(0, "")
		}()
	}
}
