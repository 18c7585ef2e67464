package main

import (
	"context"
	"strings"
	"testing"
)

func TestNewEnough(t *testing.T) {
	tests := []struct {
		got  string
		want bool
	}{
		{"v3.276.0", true}, {"3.276.1", true}, {"v3.300.0", true}, {"v3.277.0-alpha.1787", true},
		{"v3.275.9", false}, {"v3.99.0", false}, {"v4.0.0", false}, {"v2.900.0", false}, {"dev", false}, {"", false},
	}
	for _, tt := range tests {
		if got := newEnough(tt.got); got != tt.want {
			t.Errorf("newEnough(%q): got %t, want %t", tt.got, got, tt.want)
		}
	}
}

func TestFindPulumi(t *testing.T) {
	tests := []struct {
		name           string
		onPath, own    string // versions, empty for none
		want, wantNote string
	}{
		{"on PATH", "v3.277.0", "v3.276.0", "v3.277.0 on PATH", ""},
		{"too old on PATH", "v3.100.0", "v3.276.0", "v3.276.0 in .local/bin", "v3.100.0 on PATH is not used"},
		{"only ours", "", "v3.276.0", "v3.276.0 in .local/bin", ""},
		{"none", "", "", "", ""},
		{"both too old", "v3.1.0", "v2.0.0", "", "v2.0.0 in .local/bin is not used"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, host, out := newTestDriver(t)
			if tt.onPath != "" {
				host.replies = append(host.replies, reply{command: "pulumi version", out: tt.onPath + "\n"})
			}
			if tt.own != "" {
				host.replies = append(host.replies, reply{command: d.local("bin", "pulumi") + " version", out: tt.own + "\n"})
			}
			got, ok := d.findPulumi(context.Background())
			if got != tt.want || ok != (tt.want != "") {
				t.Errorf("got %q and %t, want %q", got, ok, tt.want)
			}
			if !strings.Contains(out.String(), tt.wantNote) {
				t.Errorf("got note %q, want %q in it", out, tt.wantNote)
			}
		})
	}
}

// TestNoPulumi checks the one line that is left when nothing works: what was needed, what was tried, what to set.
func TestNoPulumi(t *testing.T) {
	const noWayOut = "curl: (6) Could not resolve host: get.pulumi.com"
	d, _, _ := newTestDriver(t, reply{command: "curl -fsSL", fails: noWayOut})
	_, err := d.ensurePulumi(context.Background())
	wantError(t, err, "needs the Pulumi CLI", "3.276.0", "none on PATH", noWayOut, "HTTPS_PROXY")
}

func TestInstalledPulumi(t *testing.T) {
	d, host, _ := newTestDriver(t)
	host.replies = []reply{
		{command: "curl -fsSL"},
		{command: "sh ", does: func(command) {
			installed := reply{command: d.local("bin", "pulumi") + " version", out: "v3.276.0\n"}
			host.replies = append(host.replies, installed)
		}},
	}
	got, err := d.ensurePulumi(context.Background())
	if err != nil || got != "installed v3.276.0 in .local/bin" {
		t.Fatalf("got %q and %v, want it installed", got, err)
	}
	want := "--version 3.276.0 --install-root " + d.local() + " --no-edit-path"
	if ran := host.asked("sh "); len(ran) != 1 || !strings.HasSuffix(ran[0], want) {
		t.Errorf("got %q, want %q", ran, want)
	}
}
