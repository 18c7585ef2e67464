package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// redisServer is a real redis-server of one test. It writes nothing to disk, which others may keep busy.
type redisServer struct {
	t    testing.TB
	port int
	args []string
	cmd  *exec.Cmd
}

// startRedis starts a redis-server with the given extra arguments on a free port of the loopback interface.
func startRedis(t testing.TB, args ...string) *redisServer {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		message := "NOT TESTED AGAINST REDIS: redis-server is not installed (Debian: apt-get install redis-server)"
		if os.Getenv("CI") != "" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	r := &redisServer{t: t, port: freePort(t)}
	r.args = append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(r.port), "--dir", t.TempDir(), "--save", "",
		"--appendonly", "no", "--loglevel", "warning",
	}, args...)
	t.Cleanup(r.kill)
	r.start()
	return r
}

// start starts the server, on the same port as before if it was killed.
func (r *redisServer) start() {
	r.t.Helper()
	r.cmd = exec.Command("redis-server", r.args...)
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		conn, err := net.Dial("tcp", r.address())
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("redis-server %s does not listen: %v", strings.Join(r.args, " "), err)
		}
	}
}

// kill ends the server at once.
func (r *redisServer) kill() {
	r.cmd.Process.Kill()
	r.cmd.Wait()
}

// pause makes the server hang: it keeps connections, and the kernel accepts new ones, but it sends no replies.
func (r *redisServer) pause() { r.signal(syscall.SIGSTOP) }

// resume ends a pause.
func (r *redisServer) resume() { r.signal(syscall.SIGCONT) }

func (r *redisServer) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

func (r *redisServer) address() string { return fmt.Sprintf("127.0.0.1:%d", r.port) }

// do runs a command as an administrator, with a client that has none of the program's settings.
func (r *redisServer) do(args ...string) string {
	r.t.Helper()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{r.address()}, ForceSingleClient: true, DisableCache: true,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	defer client.Close()
	message, err := client.Do(r.t.Context(), client.B().Arbitrary(args...).Build()).ToMessage()
	if err != nil {
		r.t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	if message.IsInt64() {
		n, _ := message.AsInt64()
		return strconv.FormatInt(n, 10)
	}
	text, _ := message.ToString()
	return text
}

// config returns the program's settings for this server, with short timeouts so that tests of outages are fast.
func (r *redisServer) config() Config { return configFor(r.port) }

func configFor(port int) Config {
	return Config{
		Redis:      RedisConfig{Host: "127.0.0.1", Port: port, Timeout: 200 * time.Millisecond},
		ListenAddr: "127.0.0.1:0", MetricsAddr: "127.0.0.1:0",
		DrainDelay: time.Millisecond, ShutdownTimeout: patience,
	}
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
