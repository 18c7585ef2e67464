package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/opthistory"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"example.com/scaleout/internal/registry"
)

// release is a change of the image that a stack runs.
type release struct {
	*stack
	verb   string             // promote or rollback
	now    outputs            // before it
	to     string             // the reference by digest
	source *remote.Descriptor // to be copied there first, or nil
}

// promote deploys in a stack the image that runs in another one. Nothing is built, so the tested image is what runs.
func (d *driver) promote(ctx context.Context) error {
	switch {
	case d.From == "":
		return errors.New("FROM is missing: the stack whose image is deployed, e.g. make promote FROM=staging STACK=prod")
	case !qualifiedStack.MatchString(d.From):
		return fmt.Errorf("FROM=%q: want the name of a stack, such as staging, or organization/project/stack", d.From)
	case d.From == d.Stack:
		return fmt.Errorf("FROM and STACK are both %s", d.Stack)
	}
	r := &release{verb: "promote"}
	return d.release(ctx, r, step{"image that runs in " + d.From, func(ctx context.Context) (string, error) {
		return d.place(ctx, r)
	}})
}

// rollback deploys an image that ran in the stack before.
func (d *driver) rollback(ctx context.Context) error {
	r := &release{verb: "rollback"}
	return d.release(ctx, r, step{"images that ran there", func(ctx context.Context) (_ string, err error) {
		if r.to, err = d.goal(ctx, r); err != nil {
			return "", fmt.Errorf("stack %s: %w; the images that ran there are\n%s", d.Stack, err, r.now.listed())
		}
		_, err = registry.Find(ctx, r.to, r.setting("imagePlatform"))
		return r.now.listed() + "\ngoes to " + r.to, err
	}})
}

// release deploys in the stack the image that a step chooses.
func (d *driver) release(ctx context.Context, r *release, choice step) (err error) {
	if r.stack, err = d.begin(ctx, "", machineKeys...); err != nil {
		return err
	}
	if r.otherProject(d.Stack) {
		return fmt.Errorf("STACK=%q: the project here is %s", d.Stack, r.project.Name)
	}
	err = d.do(ctx, step{"stack " + d.Stack, func(ctx context.Context) (string, error) {
		r.now, err = d.outputs(ctx, r.stack, d.Stack)
		return "runs " + cmp.Or(r.now.Image, "nothing yet"), err
	}}, choice)
	if err != nil {
		return err
	}
	return d.deploy(ctx, r)
}

// otherProject reports whether the full name of a stack is that of one of another project.
func (s *stack) otherProject(name string) bool {
	parts := strings.Split(name, "/")
	return len(parts) == 3 && parts[1] != string(s.project.Name)
}

// place decides by which reference the target gets the image of FROM: its own, if it is in the target's registry
// already or if the target has none, and otherwise the same digest in the target's repository.
func (d *driver) place(ctx context.Context, r *release) (string, error) {
	source, err := d.openStack(d.From, machineKeys...)
	if r.otherProject(d.From) || errors.Is(err, fs.ErrNotExist) {
		source, err = r.stack, nil // whose backend has a stack without a file here, such as one of another project
	}
	if err != nil {
		return "", err
	}
	o, err := d.outputs(ctx, source, d.From)
	if err == nil && o.Image == "" {
		err = fmt.Errorf("stack %s has no output `image`: deploy it first, with `pulumi up --stack %[1]s`", d.From)
	}
	if err != nil {
		return "", err
	}
	own, err := r.repository()
	if err != nil {
		return "", err
	}
	found, err := registry.Find(ctx, o.Image, r.setting("imagePlatform"))
	if err != nil {
		return "", err
	}
	from, _ := name.NewDigest(o.Image) // it was found there
	to := from.Repository
	if own != "" {
		if to, err = name.NewRepository(own); err != nil {
			return "", fmt.Errorf("scaleout:imageRepository %q: %w", own, err)
		}
	}
	if to.RegistryStr() != from.RegistryStr() {
		r.to, r.source = own+"@"+from.DigestStr(), found
		return o.Image + "\nis in another registry: copied to " + own + " before the update", nil
	}
	r.to = o.Image
	return o.Image + "\nused where it is, nothing is copied; the target must be allowed to pull from " +
		from.Repository.Name() + " (docs/releases.md)", nil
}

// repository returns the repository of the stack's own images, or "" if its settings name none. The account and region
// of an ECR repository are those of an earlier image from ECR.
func (r *release) repository() (string, error) {
	ecr := r.setting("ecrRepository")
	if ecr == "" {
		return r.setting("imageRepository"), nil
	}
	for _, v := range append([]deployed{{Image: r.now.Image}}, r.now.Images...) {
		if host, _, _ := strings.Cut(v.Image, "/"); registry.IsECR(host) {
			return host + "/" + ecr, nil
		}
	}
	return "", fmt.Errorf("the address of scaleout:ecrRepository %s is not known before the first update: run "+
		"`pulumi up` once, which creates the repository; or remove the key, and the image is used where it is", ecr)
}

// goal returns the image that a rollback goes to: TO; or that of a rollback that did not finish; or the newest that ran
// before what the stack is to run. If that update failed, what ran before is the newest of all.
func (d *driver) goal(ctx context.Context, r *release) (string, error) {
	avoided := r.setting("image")
	switch {
	case d.To != "":
		return r.now.choose(d.To)
	case avoided != "" && avoided == d.mark(markRollback, d.Stack):
		d.note("continuing an earlier rollback that did not finish (TO takes another image)")
		return avoided, nil
	case avoided == "": // the stack builds its image
		updates, err := r.pulumi.History(ctx, 20, 1, opthistory.ShowSecrets(false)) // newest first
		if err != nil {
			return "", d.explain(err)
		}
		last := slices.IndexFunc(updates, func(u auto.UpdateSummary) bool { return u.Kind == "update" })
		if last < 0 || updates[last].Result == "succeeded" {
			avoided = r.now.Image
		} else {
			d.note("the last update failed: going back to the newest image that succeeded")
		}
	}
	before := slices.IndexFunc(r.now.Images, func(v deployed) bool { return v.Image != avoided })
	if before < 0 {
		return "", errors.New("there is no image to go back to")
	}
	return r.now.Images[before].Image, nil
}

// deploy shows what will change, asks, and changes it: the image's place, the stack file, the stack.
func (d *driver) deploy(ctx context.Context, r *release) error {
	configured, file := r.setting("image"), stackFileName(d.Stack)
	if r.to == configured && r.to == r.now.Image {
		d.note("stack %s runs it already: nothing to do", d.Stack)
		return d.clearMark(markRollback, d.Stack)
	}
	d.printf("==> %s of stack %s\n", r.verb, d.Stack)
	d.note("runs    %s\nwill    %s\nwrites  scaleout:image in %s", cmp.Or(r.now.Image, "nothing yet"), r.to, file)
	if folder := r.setting("buildContext"); folder != "" {
		d.note("removes scaleout:buildContext: %s", folder)
	}
	if configured == "" {
		d.note("        from then on the stack builds no image; back: undo this change of %s", file)
	}
	if err := d.confirm(ctx); err != nil {
		return err
	}
	var steps []step
	if r.source != nil {
		steps = append(steps, step{"copy", func(ctx context.Context) (string, error) {
			return registry.Copy(ctx, r.source, r.to)
		}})
	}
	steps = append(steps, step{file, func(context.Context) (string, error) { return "set", d.configure(r) }},
		step{"pulumi up", r.with(d.update)})
	if err := d.do(ctx, steps...); err != nil {
		return err
	}
	d.total(r.verb)
	d.note("commit the change of %s:\n  scaleout:image: %s", file, r.to)
	if r.verb == "promote" && r.now.Image != "" {
		d.note("back: make rollback%s", stackArgument(d.Stack))
	}
	return nil
}

// confirm asks the person at the terminal. Without one, as in CI, running the command is the confirmation.
func (d *driver) confirm(ctx context.Context) error {
	if d.Yes || !d.terminal {
		return nil
	}
	d.printf("    continue? [y/N] ")
	typed := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(d.stdin).ReadString('\n')
		typed <- strings.ToLower(strings.TrimSpace(text))
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case answer := <-typed:
		if answer != "y" && answer != "yes" {
			return errors.New("not confirmed: nothing was changed")
		}
		return nil
	}
}

// configure writes the image into the committed stack file, which is the result that the user wants, and into its copy.
// The mark is for a rollback that ends here: the next one could not tell it from a failed promotion, and would revert
// it.
func (d *driver) configure(r *release) error {
	err := d.clearMark(markRollback, d.Stack)
	if r.verb == "rollback" {
		err = d.setMark(markRollback, d.Stack, r.to)
	}
	committed, readErr := r.read(d.committed(d.Stack))
	if err := errors.Join(err, readErr); err != nil {
		return err
	}
	for _, settings := range []*workspace.ProjectStack{committed, r.settings} {
		settings.Config[r.key("image")] = config.NewValue(r.to)
		delete(settings.Config, r.key("buildContext")) // the program refuses both
	}
	return errors.Join(committed.Save(d.committed(d.Stack)), d.save(r.stack))
}

// deployed is an element of the output `images`: a reference by digest, and when the update that deployed it began
// (RFC 3339, UTC).
type deployed struct {
	Image string `json:"image"`
	Since string `json:"since"`
}

// listed returns a line for each image: its number, time, 12 digits of the digest as in Docker, and repository.
func (o outputs) listed() string {
	lines := make([]string, len(o.Images))
	running := slices.IndexFunc(o.Images, func(v deployed) bool { return v.Image == o.Image })
	for i, v := range o.Images {
		repository, digest, _ := strings.Cut(v.Image, "@sha256:")
		lines[i] = fmt.Sprintf("%2d  %s  %.12s  %s", i+1, v.Since, digest, repository)
		if i == running {
			lines[i] += "  (runs)"
		}
	}
	return cmp.Or(strings.Join(lines, "\n"), "none")
}

// choose returns the one image that TO selects. Seven digits of a digest, as in git, distinguish twenty images, and are
// more than a number in the list ever has.
func (o outputs) choose(to string) (string, error) {
	digits := strings.TrimPrefix(to, "sha256:")
	var found []string
	for i, v := range o.Images {
		_, digest, _ := strings.Cut(v.Image, "@sha256:")
		selected := v.Image == to || strconv.Itoa(i+1) == to || len(digits) >= 7 && strings.HasPrefix(digest, digits)
		if selected && !slices.Contains(found, v.Image) {
			found = append(found, v.Image)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("TO=%q selects %d images: want the number of one, its digest or at least the first 7 digits "+
			"of that, or <repository>@sha256:<digest>", to, len(found))
	}
	return found[0], nil
}
