package main

import (
	"context"
	"errors"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// lookupTimeout bounds a DNS lookup. Docker's DNS server takes less than a millisecond if the name exists.
	lookupTimeout = 300 * time.Millisecond
	// probeTimeout bounds one readiness probe.
	probeTimeout = 500 * time.Millisecond
	// maxSilent is the number of consecutive probes without a response after which a server that was ready is removed,
	// because a response may be late on a busy machine. A stopping server is therefore detected within two intervals and
	// two rounds of probes: at most 3.6 seconds, usually 1.1. minServe in components/docker allows for that.
	maxSilent = 2
)

// verdict is the result of a readiness probe.
type verdict int

const (
	notReady verdict = iota // a status other than 200, or connection refused
	ready
	silent // no response in time
)

// finder determines which servers of one name are ready.
type finder struct {
	host   string
	port   uint16
	lookup func(ctx context.Context, network, host string) ([]netip.Addr, error)
	ask    func(ctx context.Context, server netip.AddrPort) verdict

	answers  [2][]netip.Addr        // the last two of DNS, the newest last
	silences map[netip.AddrPort]int // servers in use, with their consecutive probes without a response
}

// newFinder returns a finder for a name of the form host:port.
func newFinder(name, readyPath string) *finder {
	host, text, _ := strings.Cut(name, ":")
	port, _ := strconv.ParseUint(text, 10, 16) // docker.Nginx checks it
	// A new connection per probe, because a kept-alive one would delay the server's shutdown.
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return &finder{
		host: host, port: uint16(port), lookup: net.DefaultResolver.LookupNetIP,
		ask: func(ctx context.Context, server netip.AddrPort) verdict {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+server.String()+readyPath, nil)
			if err != nil {
				return notReady
			}
			res, err := client.Do(req)
			switch {
			case errors.Is(err, syscall.ECONNREFUSED):
				return notReady
			case err != nil:
				return silent
			}
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return ready
			}
			return notReady
		},
	}
}

// servers returns the servers in use. They are sorted: another order would be another configuration.
func (f *finder) servers() []netip.AddrPort {
	return slices.SortedFunc(maps.Keys(f.silences), netip.AddrPort.Compare)
}

// update decides which servers are in use. A new server must be listed by DNS and ready. A server in use may miss
// fewer than maxSilent probes, or be missing from one DNS answer while it is ready; one that is both silent and
// unlisted is removed at once, like a killed container. Docker's DNS occasionally denies a name that exists
// (https://github.com/moby/moby/issues/31244), which must not remove every server. A failure of DNS itself (a timeout,
// SERVFAIL) does not count as an answer.
func (f *finder) update(ctx context.Context) {
	soon, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := f.lookup(soon, "ip4", f.host)
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && dns.IsNotFound {
		f.answers = [2][]netip.Addr{f.answers[1], addresses}
	}
	candidates := map[netip.AddrPort]bool{} // with whether the newest answer lists them
	for i, answer := range f.answers {
		for _, a := range answer {
			candidates[netip.AddrPortFrom(a.Unmap(), f.port)] = i == 1
		}
	}
	silences := map[netip.AddrPort]int{}
	var mutex sync.Mutex
	var group sync.WaitGroup
	for server, listed := range candidates {
		group.Go(func() {
			v := f.ask(ctx, server)
			mutex.Lock()
			defer mutex.Unlock()
			count, used := f.silences[server]
			switch {
			case v == ready && (listed || used):
				silences[server] = 0
			case v == silent && listed && used && count+1 < maxSilent:
				silences[server] = count + 1
			}
		})
	}
	group.Wait()
	f.silences = silences
}
