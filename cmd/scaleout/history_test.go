package main

import (
	"strings"
	"testing"
)

// imageOf is a reference whose digest begins with these digits.
func imageOf(repository, digits string) string {
	return repository + "@sha256:" + digits + strings.Repeat("0", 64-len(digits))
}

func TestChoose(t *testing.T) {
	newest, previous, oldest := imageOf("a/app", "1234567a"), imageOf("a/app", "1234567b"), imageOf("b/app", "1234567b")
	o := outputs{Image: previous, Images: []deployed{
		{newest, "2026-11-29T15:04:05Z"}, {previous, "2026-11-28T15:04:05Z"}, {oldest, "2026-11-27T15:04:05Z"},
		{previous, "2026-11-26T15:04:05Z"},
	}}
	tests := []struct{ name, to, want, wantErr string }{
		{"number", "1", newest, ""},
		{"number of one that ran twice", "4", previous, ""},
		{"beginning of a digest", "1234567a", newest, ""},
		{"with its algorithm", "sha256:1234567a0", newest, ""},
		{"whole digest", strings.SplitN(newest, ":", 2)[1], newest, ""},
		{"reference", oldest, oldest, ""},
		{"beginning of several", "1234567", "", "means several images"},
		{"the same digest in two repositories", "1234567b", "", "means several images"},
		{"no such number", "5", "", "that ran there are"},
		{"nought", "0", "", "that ran there are"},
		{"negative", "-1", "", "that ran there are"},
		{"too short", "abcdef", "", "at least the first 7 digits"},
		{"no digest", "sha256:xyz", "", "at least the first 7 digits"},
		{"a tag", "a/app:v1", "", "at least the first 7 digits"},
		{"unknown digest", "deadbeef", "", "that ran there are"},
		{"unknown reference", imageOf("a/app", "5"), "", "that ran there are"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := o.choose(tt.to)
			if tt.wantErr != "" {
				wantError(t, err, tt.wantErr, `"`+tt.to+`"`, " 1  2026-11-29T15:04:05Z  1234567a0000  a/app\n",
					" 2  2026-11-28T15:04:05Z  1234567b0000  a/app  (runs)\n", " 3  2026-11-27T15:04:05Z  1234567b0000  b/app\n")
			} else if err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
	if got := strings.Count(o.listed(), "(runs)"); got != 1 {
		t.Errorf("got %d images that run in %q, want 1", got, o.listed())
	}
}

// TestGoal: what "back" means depends on whether the update that is to be undone went well.
func TestGoal(t *testing.T) {
	newest, previous, oldest := imageOf("a/app", "3"), imageOf("a/app", "2"), imageOf("a/app", "1")
	broken := imageOf("a/app", "4")
	three := []deployed{{newest, ""}, {previous, ""}, {oldest, ""}}
	const succeeded, failed = `[{"kind":"update","result":"succeeded"}]`, `[{"kind":"update","result":"failed"}]`
	tests := []struct {
		name, configured, unfinished, to, history string
		images                                    []deployed
		want                                      string
	}{
		{"the newest runs", newest, "", "", "", three, previous},
		{"its update failed", broken, "", "", "", three, newest},
		{"its update failed, and it ran once", oldest, "", "", "", three, newest},
		{"a rollback to it was interrupted", oldest, oldest, "", "", three, oldest},
		{"something else was configured since", newest, oldest, "", "", three, previous},
		{"TO", newest, "", "3", "", three, oldest},
		{"TO in place of an interrupted one", previous, previous, "3", "", three, oldest},
		{"built by the stack", "", "", "", succeeded, three, previous},
		{"built by the stack, never updated", "", "", "", "[]", three, previous},
		{"built by the stack, and that failed", "", "", "", failed, three, newest},
		{"destroyed since", "", "", "", `[{"kind":"destroy","result":"failed"}]`, three, previous},
		{"nothing before", newest, "", "", "", three[:1], ""},
		{"nothing at all", "", "", "", succeeded, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, _, _ := newTestDriver(t, reply{command: "pulumi stack history --json --page-size 20 --stack dev", out: tt.history})
			r := &release{stack: openTestStack(t, d), now: outputs{Images: tt.images}}
			if d.To = tt.to; len(tt.images) > 0 {
				r.now.Image = tt.images[0].Image
			}
			if tt.configured != "" {
				r.set(keyImage, tt.configured)
			}
			if err := d.setMark(markRollback, d.Stack, tt.unfinished); err != nil {
				t.Fatal(err)
			}
			got, err := d.goal(t.Context(), r)
			if tt.want == "" {
				wantError(t, err, "no image to go back to")
			} else if err != nil || got != tt.want {
				t.Errorf("got %q and %v, want %q", got, err, tt.want)
			}
		})
	}
}
