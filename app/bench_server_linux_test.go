package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// benchServer is a server in a separate process.
type benchServer struct {
	cmd     *exec.Cmd
	address string
}

// startServer builds the package in folder pkg as the Dockerfile does, and starts it.
func startServer(b *testing.B, redis *redisServer, pkg string) *benchServer {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "server")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, pkg)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		b.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	s := &benchServer{cmd: exec.Command(binary), address: fmt.Sprintf("127.0.0.1:%d", freePort(b))}
	s.cmd.Env = []string{
		"LISTEN_ADDR=" + s.address, "METRICS_ADDR=127.0.0.1:0",
		"REDIS_HOST=127.0.0.1", fmt.Sprintf("REDIS_PORT=%d", redis.port),
	}
	if err := startOnFirstCPU(s.cmd); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	})
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		answer, err := http.Get("http://" + s.address + "/")
		if err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return s
			}
		}
		if time.Now().After(deadline) {
			b.Fatalf("%s does not respond: %v", pkg, err)
		}
	}
}

// load sends requests on benchConnections connections for duration. It returns the CPU time (user and system) that
// the server used, and the number of requests.
func (s *benchServer) load(b *testing.B, duration time.Duration) (cpu time.Duration, requests int64) {
	b.Helper()
	var total atomic.Int64
	var visitors sync.WaitGroup
	before, end := s.cpuTime(b), time.Now().Add(duration)
	for range benchConnections {
		visitors.Go(func() {
			n, err := visit(s.address, end)
			if err != nil {
				b.Errorf("visiting: %v", err)
			}
			total.Add(n)
		})
	}
	visitors.Wait()
	return s.cpuTime(b) - before, total.Load()
}

// visit sends GET / on one connection until end. It costs little CPU, so that the server is the bottleneck.
func visit(address string, end time.Time) (n int64, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	reader := bufio.NewReader(conn)
	request := []byte("GET / HTTP/1.1\r\nHost: app\r\n\r\n")
	for ; time.Now().Before(end); n++ {
		if _, err := conn.Write(request); err != nil {
			return n, err
		}
		if err := readAnswer(reader); err != nil {
			return n, err
		}
	}
	return n, nil
}

// readAnswer reads one response, whose status must be 200.
func readAnswer(reader *bufio.Reader) error {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return fmt.Errorf("got %q, want 200", line)
	}
	length := int64(0)
	for len(line) > len("\r\n") {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return err
		}
		if value, found := bytes.CutPrefix(line, []byte("Content-Length: ")); found {
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil {
				return err
			}
		}
	}
	_, err = io.CopyN(io.Discard, reader, length)
	return err
}

// cpuTime returns the server's CPU time in nanoseconds rather than clock ticks. The clock ID is derived from the
// process ID: see clock_getcpuclockid(3).
func (s *benchServer) cpuTime(b *testing.B) time.Duration {
	b.Helper()
	const schedulerClock = 2 // CPUCLOCK_SCHED
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^s.cmd.Process.Pid<<3|schedulerClock), &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// rss returns the resident memory of the server in MB.
func (s *benchServer) rss(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kib * 1024 / 1e6
}

// pinProcess restricts this process and its children to all CPUs but the first.
func pinProcess(b *testing.B) {
	b.Helper()
	var others unix.CPUSet
	for cpu := 1; cpu < runtime.NumCPU(); cpu++ {
		others.Set(cpu)
	}
	if others.Count() == 0 {
		b.Log("only one CPU: server, visitors and Redis share it, which makes all figures worse")
		return
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		b.Fatal(err)
	}
	for _, thread := range threads { // a new thread inherits the CPU set of its creator
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			b.Fatal(err)
		}
		if err := unix.SchedSetaffinity(tid, &others); err != nil && err != unix.ESRCH {
			b.Fatal(err)
		}
	}
}

// startOnFirstCPU starts cmd on CPU 0, which pinProcess keeps free.
func startOnFirstCPU(cmd *exec.Cmd) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread and its CPU set end with this goroutine
		var first unix.CPUSet
		first.Set(0)
		if err := unix.SchedSetaffinity(0, &first); err != nil {
			result <- err
			return
		}
		result <- cmd.Start()
	}()
	return <-result
}
