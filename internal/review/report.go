// Package review judges what a branch changes in all stacks: from data that is lost to what is only added, with the
// reasons and a way around, as one comment for a pull request. It compares golden files, so it needs neither a cluster
// nor a secret, and runs for branches of forks as well.
package review

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"example.com/scaleout/internal/cost"
	"example.com/scaleout/internal/rendered"
)

// Report lists the changes of a branch.
type Report struct {
	prices  *cost.Table
	stacks  []*stack // those that change, sorted by name
	same    []string // the names of the others
	stale   []string // those whose settings change, and none of their golden files
	entries [classes][]*entry
}

// stack is a stack that changes.
type stack struct {
	name          string
	before, after *rendered.Stack // nil if it is new, or removed
	counts        [classes]int
}

// entry is the same change of resources of one type, each in all of the stacks.
type entry struct {
	stacks, titles []string
	typ            string
	effects        []effect
	fields         []field
}

// New compares the stacks of two versions, and what they cost.
func New(before, after map[string]*rendered.Stack, prices *cost.Table) *Report {
	r := &Report{prices: prices}
	names := map[string]bool{}
	for _, stacks := range []map[string]*rendered.Stack{before, after} {
		for name := range stacks {
			names[name] = true
		}
	}
	var all []*entry
	for _, name := range slices.Sorted(maps.Keys(names)) {
		s := &stack{name: name, before: before[name], after: after[name]}
		entries := s.entries()
		if len(entries) == 0 {
			r.same = append(r.same, name)
			continue
		}
		if len(entries) == 1 && entries[0].typ == ofSettings && slices.ContainsFunc(entries[0].fields, func(f field) bool {
			return !strings.HasPrefix(keyOf(f), "policy:") // waivers
		}) {
			r.stale = append(r.stale, name)
		}
		for _, e := range entries {
			s.counts[e.effects[0].class]++
		}
		r.stacks, all = append(r.stacks, s), append(all, entries...)
	}
	all = merge(all, func(e *entry) *[]string { return &e.stacks }, func(e *entry) []string { return e.titles })
	all = merge(all, func(e *entry) *[]string { return &e.titles }, func(e *entry) []string { return e.stacks })
	for _, e := range all {
		class := e.effects[0].class
		r.entries[class] = append(r.entries[class], e)
	}
	for _, entries := range r.entries { // those with a reason first
		slices.SortStableFunc(entries, func(a, b *entry) int { return rank(a) - rank(b) })
	}
	return r
}

// ofSettings is the type of an entry about the settings of a stack.
const ofSettings = "settings"

// entries returns an entry for each change of the stack.
func (s *stack) entries() (all []*entry) {
	add := func(title, typ string, effects []effect, fields []field) {
		all = append(all, &entry{[]string{s.name}, []string{title}, typ, effects, fields})
	}
	if s.after == nil {
		add("stack "+s.name, "stack", []effect{{Replacement, fmt.Sprintf("Removed here, and destroyed nowhere: its %s stay "+
			"as they are.", resources(len(s.before.Resources))),
			"Run `pulumi destroy` first, from a commit that still has the stack file."}}, nil)
		return all
	}
	if settings := settings(s.before, s.after); len(settings) > 0 {
		add("settings", ofSettings, moves(settings), settings)
	}
	for _, c := range compare(s.before, s.after) {
		add(c.title(), c.resource().Type, c.effects(), c.fields)
	}
	return all
}

func rank(e *entry) int {
	if e.effects[0].why == "" {
		return 1
	}
	return 0
}

// settings returns the differences of two versions of a stack file.
func settings(before, after *rendered.Stack) []field {
	if before == nil || after == nil {
		return nil
	}
	fields := differences(before.Settings, after.Settings, nil)
	for i, f := range fields {
		if strings.HasSuffix(f.path, ".secure") {
			if f.before != nil {
				fields[i].before = "[secret]"
			}
			if f.after != nil {
				fields[i].after = "[another secret]"
			}
		}
	}
	return fields
}

// places are the settings that decide in which account and cluster a stack is, those of the project without its name.
// The golden files do not show it: which cluster a name means is known only in an update.
var places = []string{"target", "kubeContext", "eksCluster", "clusterStack", "name", "aws:region", "aws:profile",
	"aws:assumeRole", "aws:assumeRoles", "docker:host", "docker:context"}

// keyOf returns the key of a setting, with the namespace of a provider.
func keyOf(f field) string {
	key := strings.Trim(segment.FindString(f.path), `[]"`) // of ["aws:assumeRole"].roleArn
	if namespace, name, _ := strings.Cut(key, ":"); namespace != "aws" && namespace != "docker" && namespace != "policy" {
		return name
	}
	return key
}

// moves returns what a change of settings does beside the changes in the golden files.
func moves(settings []field) []effect {
	moving := map[string]bool{}
	for _, f := range settings {
		if key := keyOf(f); slices.Contains(places, key) {
			moving[code(key)] = true
		}
	}
	if len(moving) == 0 {
		return []effect{{InPlace, "", ""}}
	}
	return []effect{{DataLoss, "Where the stack is depends on " + enumerate(slices.Sorted(maps.Keys(moving))) + ": in " +
		"another account or cluster everything is created anew, and deleted in the old one, claims included.",
		"Create a second stack for the other place, move data and traffic, and destroy this one last."}}
}

// merge joins entries that differ only in one list.
func merge(entries []*entry, list func(*entry) *[]string, other func(*entry) []string) []*entry {
	var merged []*entry
	known := map[string]*entry{}
	for _, e := range entries {
		parts := append([]string{e.typ}, other(e)...)
		for _, effect := range e.effects {
			parts = append(parts, effect.class.String(), effect.why, effect.instead)
		}
		for _, f := range e.fields {
			parts = append(parts, f.path, fmt.Sprint(f.before), fmt.Sprint(f.after))
		}
		key := strings.Join(parts, "\x00")
		if same := known[key]; same != nil {
			*list(same) = append(*list(same), *list(e)...)
			continue
		}
		known[key] = e
		merged = append(merged, e)
	}
	return merged
}
