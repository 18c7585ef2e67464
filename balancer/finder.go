package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
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

// finder determines which servers are ready.
type finder struct {
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	ask    func(ctx context.Context, server netip.AddrPort) verdict

	answers  map[endpoint][2][]netip.AddrPort // the last two DNS answers, the newest first
	silences map[netip.AddrPort]int           // servers in use, with their consecutive probes without a response
}

func newFinder(readyPath string) *finder {
	// A new connection per probe, because a kept-alive one would delay the server's shutdown.
	client := &http.Client{Timeout: probeTimeout, Transport: &http.Transport{DisableKeepAlives: true}}
	return &finder{
		lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip4", host)
		},
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
		answers:  map[endpoint][2][]netip.AddrPort{},
		silences: map[netip.AddrPort]int{},
	}
}

// find returns the servers to use now for each name, sorted.
func (f *finder) find(ctx context.Context, names []endpoint) map[endpoint][]netip.AddrPort {
	found := map[endpoint][]netip.AddrPort{}
	verdicts := map[netip.AddrPort]verdict{}
	listed := map[netip.AddrPort]bool{}
	var mutex sync.Mutex
	var group sync.WaitGroup
	for _, name := range names {
		newest, before := f.resolve(ctx, name)
		for _, server := range newest {
			listed[server] = true
		}
		found[name] = slices.Concat(newest, before)
		slices.SortFunc(found[name], netip.AddrPort.Compare) // a different order would be a different configuration
		found[name] = slices.Compact(found[name])
		for _, server := range found[name] {
			group.Go(func() {
				v := f.ask(ctx, server)
				mutex.Lock()
				defer mutex.Unlock()
				verdicts[server] = v
			})
		}
	}
	group.Wait()
	f.judge(verdicts, listed)
	for name, servers := range found {
		found[name] = slices.DeleteFunc(servers, func(s netip.AddrPort) bool {
			_, used := f.silences[s]
			return !used
		})
	}
	return found
}

// judge decides which servers are in use. A new server must be listed by DNS and ready. A server in use may miss
// fewer than maxSilent probes, or be missing from one DNS answer while it is ready; one that is both silent and
// unlisted is removed at once, like a killed container.
func (f *finder) judge(verdicts map[netip.AddrPort]verdict, listed map[netip.AddrPort]bool) {
	for server := range f.silences {
		if _, asked := verdicts[server]; !asked {
			delete(f.silences, server) // missing from two DNS answers
		}
	}
	for server, v := range verdicts {
		count, used := f.silences[server]
		switch {
		case v == ready && (listed[server] || used):
			f.silences[server] = 0
		case v == silent && listed[server] && used && count+1 < maxSilent:
			f.silences[server] = count + 1
		default:
			delete(f.silences, server)
		}
	}
}

// resolve queries DNS and returns its last two answers: Docker's DNS occasionally denies a name that exists
// (https://github.com/moby/moby/issues/31244), which must not remove every server. A failure of DNS itself (a
// timeout, SERVFAIL) does not count as an answer.
func (f *finder) resolve(ctx context.Context, name endpoint) (newest, before []netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := f.lookup(ctx, name.host)
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && dns.IsNotFound {
		port, _ := strconv.ParseUint(name.port, 10, 16) // `nginx -t` rejects one that is too large
		var servers []netip.AddrPort
		for _, a := range addresses {
			servers = append(servers, netip.AddrPortFrom(a.Unmap(), uint16(port)))
		}
		f.answers[name] = [2][]netip.AddrPort{servers, f.answers[name][0]}
	}
	return f.answers[name][0], f.answers[name][1]
}
