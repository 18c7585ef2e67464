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
	// lookupTimeout bounds a question to DNS. Docker's own answers in less than a millisecond if it knows the name.
	lookupTimeout = 300 * time.Millisecond
	// probeTimeout bounds one question to a server.
	probeTimeout = 500 * time.Millisecond
	// maxSilent is at which unanswered question in a row a server that was ready is given up: on a busy machine an
	// answer may be late. So one that leaves is noticed within two intervals and two sets of questions, 3.6 seconds at
	// the most and 1.1 as a rule, for which minServe in components/docker allows.
	maxSilent = 2
)

// verdict is what a server says of itself.
type verdict int

const (
	notReady verdict = iota // it says no, or nobody listens
	ready
	silent // no answer in time
)

// finder knows which servers are ready.
type finder struct {
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	ask    func(ctx context.Context, server netip.AddrPort) verdict

	answers  map[endpoint][2][]netip.AddrPort // the last two of DNS, the newest first
	silences map[netip.AddrPort]int           // servers in use, and how many answers each owes
}

func newFinder(readyPath string) *finder {
	// A connection of its own for each question: one that is kept would hold up the server's shutdown.
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

// find returns the servers of each name that are to be used now, in order.
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
		slices.SortFunc(found[name], netip.AddrPort.Compare) // another order would be another configuration
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

// judge decides which servers are in use. A new one has to be listed by DNS and say that it is ready. One in use may be
// silent for a while, or missing in one answer of DNS as long as it says that it is ready; one that is both is gone, as
// a container that was killed is.
func (f *finder) judge(verdicts map[netip.AddrPort]verdict, listed map[netip.AddrPort]bool) {
	for server := range f.silences {
		if _, asked := verdicts[server]; !asked {
			delete(f.silences, server) // DNS has denied it twice
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

// resolve asks DNS and returns its last two answers: Docker's DNS now and then denies a name that exists
// (https://github.com/moby/moby/issues/31244), which must not take every server out of use. A failure of DNS itself
// (a timeout, SERVFAIL) says nothing about the servers, and is no answer.
func (f *finder) resolve(ctx context.Context, name endpoint) (newest, before []netip.AddrPort) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	addresses, err := f.lookup(ctx, name.host)
	var dns *net.DNSError
	if err == nil || errors.As(err, &dns) && dns.IsNotFound {
		port, _ := strconv.ParseUint(name.port, 10, 16) // `nginx -t` refuses one that is too large
		var servers []netip.AddrPort
		for _, a := range addresses {
			servers = append(servers, netip.AddrPortFrom(a.Unmap(), uint16(port)))
		}
		f.answers[name] = [2][]netip.AddrPort{servers, f.answers[name][0]}
	}
	return f.answers[name][0], f.answers[name][1]
}
