package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	one = netip.MustParseAddrPort("10.0.0.1:5000")
	two = netip.MustParseAddrPort("10.0.0.2:5000")
)

var errNXDOMAIN = &net.DNSError{Err: "no such host", IsNotFound: true}

// fakeFinder is a finder with the addresses and verdicts that a test sets.
type fakeFinder struct {
	*finder
	verdicts  map[netip.AddrPort]verdict
	unlisted  []netip.AddrPort // servers that DNS omits
	lookupErr error
}

func newFakeFinder(verdicts map[netip.AddrPort]verdict) *fakeFinder {
	f := &fakeFinder{finder: newFinder("web:5000", "/readyz"), verdicts: verdicts}
	f.lookup = func(context.Context, string, string) ([]netip.Addr, error) {
		if f.lookupErr != nil {
			return nil, f.lookupErr
		}
		var found []netip.Addr
		for server := range f.verdicts { // in any order, as from DNS
			if !slices.Contains(f.unlisted, server) {
				found = append(found, server.Addr())
			}
		}
		return found, nil
	}
	f.ask = func(_ context.Context, server netip.AddrPort) verdict { return f.verdicts[server] }
	return f
}

func (f *fakeFinder) expect(t *testing.T, when string, want ...netip.AddrPort) {
	t.Helper()
	f.update(t.Context())
	if got := f.servers(); !slices.Equal(got, want) {
		t.Errorf("%s: got %v, want %v", when, got, want)
	}
}

func TestOnlyReadyServersAreUsed(t *testing.T) {
	f := newFakeFinder(map[netip.AddrPort]verdict{one: ready, two: notReady})
	f.expect(t, "while one starts", one)
	f.verdicts[two] = ready
	f.expect(t, "once it is ready", one, two)
	f.verdicts[one] = notReady
	f.expect(t, "when one is not ready", two)
	f.verdicts[two] = notReady
	f.expect(t, "when none is ready")
}

func TestSilentServerIsUsedForAWhile(t *testing.T) {
	f := newFakeFinder(map[netip.AddrPort]verdict{one: ready, two: silent})
	f.expect(t, "a new one that is silent", one)
	f.verdicts[one] = silent
	for range maxSilent - 1 {
		f.expect(t, "silent, but it was ready", one)
	}
	f.verdicts[one] = ready
	f.expect(t, "back", one)
	f.verdicts[one] = silent
	for range maxSilent - 1 {
		f.expect(t, "the missed probes before are forgotten", one)
	}
	f.expect(t, "silent for too long")
}

// TestGoneFromDNS: a container that has ended is missing from DNS and does not respond, so it is removed at once.
func TestGoneFromDNS(t *testing.T) {
	for name, after := range map[string]verdict{"refuses": notReady, "answers nothing": silent} {
		t.Run(name, func(t *testing.T) {
			f := newFakeFinder(map[netip.AddrPort]verdict{one: ready, two: ready})
			f.expect(t, "at first", one, two)
			f.verdicts[two], f.unlisted = after, []netip.AddrPort{two}
			f.expect(t, "one is gone", one)
			f.lookupErr = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
			f.expect(t, "DNS fails, which does not affect the servers", one)
			f.lookupErr, f.verdicts[one] = errNXDOMAIN, after
			f.expect(t, "all are gone")
		})
	}
}

// TestOneDenialIsNotBelieved: Docker's DNS occasionally denies names that exist
// (https://github.com/moby/moby/issues/31244).
func TestOneDenialIsNotBelieved(t *testing.T) {
	for name, test := range map[string]struct {
		unlisted  []netip.AddrPort
		lookupErr error
		listed    []netip.AddrPort // servers left after the second denial
	}{
		"NXDOMAIN":         {[]netip.AddrPort{one, two}, errNXDOMAIN, nil},
		"no address":       {[]netip.AddrPort{one, two}, nil, nil},
		"a shorter list":   {[]netip.AddrPort{one}, nil, []netip.AddrPort{two}},
		"the other is cut": {[]netip.AddrPort{two}, nil, []netip.AddrPort{one}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFakeFinder(map[netip.AddrPort]verdict{one: ready, two: ready})
			f.expect(t, "at first", one, two)
			for range 2 {
				f.unlisted, f.lookupErr = test.unlisted, test.lookupErr
				f.expect(t, "one denial", one, two)
				f.unlisted, f.lookupErr = nil, nil
				f.expect(t, "listed again, so that the next denial is a first one", one, two)
			}
			f.unlisted, f.lookupErr = test.unlisted, test.lookupErr
			f.expect(t, "one denial", one, two)
			f.lookupErr = &net.DNSError{Err: "server misbehaving", IsTemporary: true}
			f.expect(t, "DNS fails, which is not a second denial", one, two)
			f.lookupErr = test.lookupErr
			f.expect(t, "a second denial", test.listed...)
		})
	}
}

// A busy machine answers neither DNS nor a probe in time.
func TestSilentServerIsUsedForAWhileWithoutDNS(t *testing.T) {
	f := newFakeFinder(map[netip.AddrPort]verdict{one: ready})
	f.expect(t, "at first", one)
	f.verdicts[one], f.lookupErr = silent, context.DeadlineExceeded
	for range maxSilent - 1 {
		f.expect(t, "silent, but it was ready", one)
	}
	f.expect(t, "silent for too long")
}

// TestDeniedServerIsNotTakenIntoUse: only a server already in use is kept despite a denial. Adding one that the next
// answer removes again would be a useless reload.
func TestDeniedServerIsNotTakenIntoUse(t *testing.T) {
	f := newFakeFinder(map[netip.AddrPort]verdict{one: ready, two: notReady})
	f.expect(t, "while one starts", one)
	f.verdicts[two], f.unlisted = ready, []netip.AddrPort{two}
	f.expect(t, "ready, but denied", one)
}

func TestAsk(t *testing.T) {
	var status atomic.Int32
	status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if status.Load() == 0 {
			time.Sleep(probeTimeout + 100*time.Millisecond)
			return
		}
		w.WriteHeader(int(status.Load()))
	}))
	address := netip.MustParseAddrPort(server.Listener.Addr().String())
	f := newFinder("web:5000", "/readyz")
	got := map[string]verdict{"200": f.ask(t.Context(), address)}
	status.Store(0)
	got["late"] = f.ask(t.Context(), address)
	status.Store(http.StatusServiceUnavailable)
	got["503"] = f.ask(t.Context(), address)
	server.Close()
	got["closed"] = f.ask(t.Context(), address)
	want := map[string]verdict{"200": ready, "late": silent, "503": notReady, "closed": notReady}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestSlowDNSIsNotWaitedFor: one lost packet must not delay the loop for longer than a stopping container keeps
// serving.
func TestSlowDNSIsNotWaitedFor(t *testing.T) {
	f := newFakeFinder(map[netip.AddrPort]verdict{one: ready})
	f.expect(t, "at first", one)
	f.lookup = func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Second):
			return nil, &net.DNSError{Err: "the lookup was not canceled", IsNotFound: true}
		}
	}
	f.expect(t, "DNS is slow, which does not affect the servers", one)
}

func TestLookupOfARealName(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	address := netip.MustParseAddrPort(server.Listener.Addr().String())
	f := newFinder(fmt.Sprintf("localhost:%d", address.Port()), "/readyz")
	for _, when := range []string{"at first", "when DNS fails"} {
		f.update(t.Context())
		if got := f.servers(); !slices.Equal(got, []netip.AddrPort{address}) {
			t.Errorf("%s: localhost has the servers %v, want %s", when, got, address)
		}
		f.lookup = func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no resolver") }
	}
}

// Names must not wait for each other: the time until a stopping server is removed is that of one (maxSilent).
func TestNamesAreLookedUpTogether(t *testing.T) {
	b := newBalancer(conf, "/readyz", slog.New(slog.DiscardHandler))
	b.dir = t.TempDir()
	var started sync.WaitGroup
	started.Add(len(b.finders))
	for _, f := range b.finders {
		f.lookup = func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
			started.Done()
			started.Wait()
			return nil, ctx.Err()
		}
	}
	if changed, err := b.refresh(t.Context()); !changed || err != nil {
		t.Errorf("got %t, %v, want a configuration", changed, err)
	}
}
