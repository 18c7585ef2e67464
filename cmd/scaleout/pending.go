package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// leaveWait is how long objects whose deletion had begun may take to go; a pod that leaves answers for some time.
// noteWait is how long an interruption may wait until what is under way has been noted.
const (
	leaveWait = 5 * time.Minute
	noteWait  = 30 * time.Second
)

// settle finds out what became of what Pulumi was doing when it was stopped, and returns it in words.
//
// Pulumi saves what it is about to do before it does it. But of a creation that it did not see the end of it never asks
// again: the object is there, the state does not have it, and the next update fails because it exists. The flag that is
// meant for this, `pulumi refresh --import-pending-creates`, only forgets the creation (v3.259 makes an import of it,
// and a refresh carries out no imports). So the object gets its place in the state here, and a refresh takes out what
// is not there.
func (d *driver) settle(ctx context.Context, s *stack) (string, error) {
	begun, err := d.adopt(ctx, s)
	if err != nil || len(begun) == 0 {
		return "", err
	}
	st, err := d.look(ctx, s, begun)
	if err != nil {
		return "", err
	}
	if err := st.distrust(begun); err != nil {
		return "", fmt.Errorf("changing the state of stack %s: %w", d.Stack, err)
	}
	if err := d.importState(ctx, s, st); err != nil {
		return "", err
	}
	return st.outcome(begun), d.clearMark(markUnderWay, d.Stack)
}

// noteUnderWay keeps what Pulumi is doing for the next run. What Ctrl-C cancels counts as failed for Pulumi, which then
// forgets it, although the request that its provider gave up may have arrived.
func (d *driver) noteUnderWay(ctx context.Context, s *stack) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteWait)
	defer cancel()
	st, err := d.exportState(ctx, s, d.Stack)
	if err == nil {
		err = d.keepNoted(st)
	}
	if err != nil {
		d.steps.note("what is under way could not be noted: %v", err)
	}
}

// keepNoted adds what was noted before to the pending operations in the state, and notes all of them.
func (d *driver) keepNoted(st *state) error {
	if err := d.addNoted(st); err != nil || len(st.pending) == 0 {
		return err
	}
	text, err := json.Marshal(st.pending)
	if err != nil {
		return err
	}
	return d.setMark(markUnderWay, d.Stack, string(text))
}

func (d *driver) addNoted(st *state) error {
	text := d.mark(markUnderWay, d.Stack)
	if text == "" {
		return nil
	}
	var noted []operation
	if err := json.Unmarshal([]byte(text), &noted); err != nil {
		return fmt.Errorf("reading what was under way: %w", err)
	}
	for _, op := range noted {
		urn := readRecord(op.Resource).URN
		isPending := func(other operation) bool { return readRecord(other.Resource).URN == urn }
		if !slices.ContainsFunc(st.pending, isPending) {
			st.pending = append(st.pending, op)
		}
	}
	return nil
}

// operations are what was begun, by the URN of the resource that it was about.
type operations map[string]string

// adopt gives the objects that Pulumi was working on when it was stopped their place in the state, and returns what it
// was doing to them. Whether they are there is not known yet: Pulumi asks before its next operation. The state loses the
// pending operations here, so they stay noted until the caller knows the end of them, or this run is interrupted too.
func (d *driver) adopt(ctx context.Context, s *stack) (operations, error) {
	st, err := d.exportState(ctx, s, d.Stack)
	if err != nil {
		return nil, err
	}
	if st.deployment == nil { // nothing was ever done to this stack; what is noted was about one of the same name
		return nil, d.clearMark(markUnderWay, d.Stack)
	}
	if err := d.keepNoted(st); err != nil || len(st.pending) == 0 {
		return nil, err
	}
	d.steps.note("Pulumi was stopped while %s; asking what is there", st.underWay())
	begun, lost, err := st.adopt()
	if err != nil {
		return nil, fmt.Errorf("changing the state of stack %s: %w", d.Stack, err)
	}
	for _, what := range lost {
		d.steps.note("%s has no place in the state; if it is there, delete it by hand", what)
	}
	// An update that is running after all holds the lock, and the import fails. One that ends between the export and this
	// would lose its last steps; Pulumi keeps the state before each import as .bak.
	if err := d.importState(ctx, s, st); err != nil {
		return nil, err
	}
	if err := d.removeUnfinished(ctx, s, st); err != nil {
		return nil, err
	}
	if len(begun) == 0 {
		return nil, d.clearMark(markUnderWay, d.Stack)
	}
	return begun, nil
}

// underWay is the pending operations in words.
func (st *state) underWay() string {
	var words []string
	for _, op := range st.pending {
		words = append(words, op.Type+" "+readRecord(op.Resource).title())
	}
	return strings.Join(words, ", ")
}

// adopt puts the objects whose creation is pending among the resources. Those, and what was being changed or deleted,
// get Pulumi's own mark for what it has to look at before its next operation, so that nothing is taken for granted even
// if this run ends here. Images are forgotten and built again, parts of Docker removed (removeUnfinished). What else was
// under creation is lost, and returned in words: a replacement beside the one that it replaces, what is in AWS, and what
// belongs to something that is gone.
func (st *state) adopt() (begun operations, lost []string, err error) {
	begun = operations{}
	for _, op := range st.pending {
		r := readRecord(op.Resource)
		at := st.find(r.URN)
		resource, fields := op.Resource, map[string]any{"refreshBeforeUpdate": true}
		switch {
		case op.Type == "creating" && r.objectID() != "" && !st.has(r.URN) && st.hasAll(r.needs()):
			fields["id"] = r.objectID()
		case r.isObject() && at >= 0 && (op.Type != "creating" || readRecord(st.resources[at]).ID == r.objectID()):
			resource = st.resources[at]
		default:
			if op.Type == "creating" && r.Custom && !r.isMadeAnew() {
				lost = append(lost, r.title())
			}
			continue
		}
		resource, err := with(resource, fields)
		if err != nil {
			return nil, nil, err
		}
		if at >= 0 {
			st.resources[at] = resource
		} else {
			st.resources = append(st.resources, resource) // behind all that it depends on
		}
		begun[r.URN] = op.Type
	}
	return begun, lost, nil
}

// look asks the cluster about what was begun, until nothing of it is on its way out: an object that is being deleted is
// still there, but not for long.
func (d *driver) look(ctx context.Context, s *stack, begun operations) (*state, error) {
	ask := slices.Sorted(maps.Keys(begun))
	for deadline := time.Now().Add(leaveWait); ; time.Sleep(500 * time.Millisecond) {
		args := []string{"refresh", "--yes", "--skip-preview", "--stack", d.Stack}
		for _, urn := range ask {
			args = append(args, "--target", urn)
		}
		if err := d.runUnlocked(ctx, s, nil, "", args...); err != nil {
			return nil, fmt.Errorf("asking the cluster what is there: %w", err)
		}
		st, err := d.exportState(ctx, s, d.Stack)
		if err != nil {
			return nil, err
		}
		ask = slices.DeleteFunc(ask, func(urn string) bool { return !st.leaving(urn) })
		if len(ask) == 0 {
			return st, nil
		}
		if time.Now().After(deadline) {
			left := readRecord(st.resources[st.find(ask[0])])
			return nil, fmt.Errorf("%s is being deleted, and is still there after %s", left.title(), leaveWait)
		}
	}
}

// distrust marks what was created or changed as not known to work, as Pulumi does itself when it does not see an object
// become ready: the next update then applies it once more, and waits for it.
func (st *state) distrust(begun operations) error {
	for urn, doing := range begun {
		if doing == "deleting" || !st.has(urn) {
			continue
		}
		at := st.find(urn)
		resource, err := with(st.resources[at], map[string]any{
			"initErrors": []string{"the update that was " + doing + " it was killed"},
		})
		if err != nil {
			return err
		}
		st.resources[at] = resource
	}
	return nil
}

// outcome is what became of the creations, in words.
func (st *state) outcome(begun operations) string {
	adopted, missing := 0, 0
	for urn, doing := range begun {
		switch {
		case doing != "creating":
		case st.has(urn):
			adopted++
		default:
			missing++
		}
	}
	var words []string
	if adopted > 0 {
		words = append(words, fmt.Sprintf("adopted %d object(s)", adopted))
	}
	if missing > 0 {
		words = append(words, fmt.Sprintf("%d had not been created", missing))
	}
	return strings.Join(words, ", ")
}

// dockerParts are what `docker` calls the resources of a stack on Docker, the template of their name in its lists, and
// how it removes one.
var dockerParts = map[string]struct {
	kind, name string
	remove     []string
}{
	"docker:index/container:Container": {"container", "{{.Names}}", []string{"rm", "--force", "--volumes"}},
	"docker:index/network:Network":     {"network", "{{.Name}}", []string{"rm"}},
	"docker:index/volume:Volume":       {"volume", "{{.Name}}", []string{"rm"}},
}

// isMadeAnew tells whether it does no harm to create a resource that may be there already.
func (r record) isMadeAnew() bool {
	_, isPart := dockerParts[r.Type]
	return isPart || r.Type == imageType || strings.HasPrefix(r.Type, "pulumi:")
}

// removeUnfinished removes what Docker made of a creation that Pulumi did not see the end of. Pulumi cannot find it
// again, since Docker chose its ID, and nothing has used it yet. Only what carries the label of this stack goes.
func (d *driver) removeUnfinished(ctx context.Context, s *stack, st *state) error {
	for _, op := range st.pending {
		r := readRecord(op.Resource)
		part, known := dockerParts[r.Type]
		if op.Type != "creating" || !known || st.has(r.URN) {
			continue
		}
		args := []string{part.kind, "ls", "--filter", "label=scaleout.network=" + s.setting(keyNamespace),
			"--filter", "name=^/?" + r.Inputs.text("name") + "$", "--format", part.name}
		if part.kind == "container" {
			args = append(args, "--all")
		}
		names, err := d.docker(ctx, args...)
		if err != nil {
			return fmt.Errorf("looking for what an update left: %w", err)
		}
		for _, name := range strings.Fields(names) {
			if _, err := d.docker(ctx, append(append([]string{part.kind}, part.remove...), name)...); err != nil {
				return fmt.Errorf("removing what an update left: %w", err)
			}
			d.steps.note("removed %s %s, which it left", part.kind, name)
		}
	}
	return nil
}
