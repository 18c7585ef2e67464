package main

import (
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

const conf = `
upstream app {
    zone app 64k;
    server web:5000 weight=2 max_fails=1;
    server canary.example:5001;
    server 10.0.0.9:5000 backup;
}
server {
    server_name web;
    listen 8080;
}
`

func TestNewBalancerFindsTheNames(t *testing.T) {
	want := []string{"canary.example:5001", "web:5000"}
	b := newBalancer(conf, "/readyz", slog.Default())
	if got := slices.Sorted(maps.Keys(b.finders)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if f := b.finders["canary.example:5001"]; f.host != "canary.example" || f.port != 5001 {
		t.Errorf("got the host %q and the port %d", f.host, f.port)
	}
}

func TestExpand(t *testing.T) {
	got := expand(conf, map[string][]netip.AddrPort{
		"web:5000": {netip.MustParseAddrPort("10.0.0.2:5000"), netip.MustParseAddrPort("10.0.0.3:5000")},
	})
	want := strings.ReplaceAll(conf, "    server web:5000 weight=2 max_fails=1;",
		"    server 10.0.0.2:5000 weight=2 max_fails=1;\n    server 10.0.0.3:5000 weight=2 max_fails=1;")
	want = strings.ReplaceAll(want, "server canary.example:5001;",
		"server 127.0.0.1:1 down; # no canary.example:5001 is ready")
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}
