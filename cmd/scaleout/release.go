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
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"

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
	r, err := d.openRelease(ctx, "promote")
	if err != nil {
		return err
	}
	var image string
	err = d.do(ctx, step{"stack " + d.From, func(ctx context.Context) (string, error) {
		image, err = d.imageOfSource(ctx, r.stack)
		return "runs " + image, err
	}}, step{"image", func(ctx context.Context) (string, error) { return r.place(ctx, image) }})
	if err != nil {
		return err
	}
	return d.deploy(ctx, r)
}

// rollback deploys an image that ran in the stack before.
func (d *driver) rollback(ctx context.Context) error {
	r, err := d.openRelease(ctx, "rollback")
	if err != nil {
		return err
	}
	err = d.do(ctx, step{"images that ran there", func(ctx context.Context) (string, error) {
		if r.to, err = d.goal(ctx, r); err != nil {
			return "", fmt.Errorf("stack %s: %w", d.Stack, err)
		}
		_, err := registry.Find(ctx, r.to, r.setting("imagePlatform"))
		return r.now.listed() + "\ngoes to " + r.to, err
	}})
	if err != nil {
		return err
	}
	return d.deploy(ctx, r)
}

// openRelease opens the stack that gets another image, and reads what it runs now.
func (d *driver) openRelease(ctx context.Context, verb string) (*release, error) {
	s, err := d.openStack(d.Stack, machineKeys...)
	if err != nil {
		return nil, err
	}
	if s.otherProject(d.Stack) {
		return nil, fmt.Errorf("STACK=%q: the project here is %s", d.Stack, s.project.Name)
	}
	r := &release{stack: s, verb: verb}
	var steps []step
	if s.local() {
		steps = append(steps, step{"Docker", s.with(d.dockerAnswers)})
	}
	return r, d.do(ctx, append(steps, step{"Pulumi CLI", s.with(d.ensurePulumi)},
		step{"stack " + d.Stack, func(ctx context.Context) (string, error) {
			r.now, err = s.outputs(ctx, d.Stack)
			return "runs " + cmp.Or(r.now.Image, "nothing yet"), err
		}})...)
}

// otherProject reports whether the full name of a stack is that of one of another project.
func (s *stack) otherProject(name string) bool {
	parts := strings.Split(name, "/")
	return len(parts) == 3 && parts[1] != string(s.project.Name)
}

// imageOfSource returns the image that runs in FROM. A stack without a file here, such as one of another project, is
// looked up in the target's backend.
func (d *driver) imageOfSource(ctx context.Context, target *stack) (string, error) {
	s := target
	if !target.otherProject(d.From) {
		own, err := d.openStack(d.From, machineKeys...)
		switch {
		case err == nil:
			s = own
			err = d.connect(ctx, s)
		case errors.Is(err, fs.ErrNotExist):
			err = nil
		}
		if err != nil {
			return "", err
		}
	}
	o, err := s.outputs(ctx, d.From)
	if err == nil && o.Image == "" {
		err = fmt.Errorf("stack %s has no output `image`: deploy it first, with `pulumi up --stack %[1]s`", d.From)
	}
	return o.Image, err
}

// place decides by which reference the target gets an image: its own, if it is in the target's registry already or if
// the target has none, and otherwise the same digest in the target's repository.
func (r *release) place(ctx context.Context, image string) (string, error) {
	own, err := r.repository()
	if err != nil {
		return "", err
	}
	found, err := registry.Find(ctx, image, r.setting("imagePlatform"))
	if err != nil {
		return "", err
	}
	repository, digest := splitReference(image)
	if own != "" {
		from, _ := name.NewRepository(repository) // it was found there
		to, err := name.NewRepository(own)
		if err != nil {
			return "", fmt.Errorf("scaleout:imageRepository %q: %w", own, err)
		}
		if from.RegistryStr() != to.RegistryStr() {
			r.to, r.source = own+"@sha256:"+digest, found
			return "is in another registry: copied to " + own + " before the update", nil
		}
	}
	r.to = image
	return "used where it is, nothing is copied; the target must be allowed to pull from " + repository +
		" (docs/releases.md)", nil
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
	configured := r.setting("image")
	switch {
	case d.To != "":
		return r.now.choose(d.To)
	case configured != "" && configured == d.mark(markRollback, d.Stack):
		d.note("continuing an earlier rollback that did not finish (TO takes another image)")
		return configured, nil
	case configured != "":
		return r.now.before(configured)
	}
	updates, err := d.history(ctx, r.stack)
	if err != nil {
		return "", err
	}
	last := slices.IndexFunc(updates, func(u auto.UpdateSummary) bool { return u.Kind == "update" })
	if last >= 0 && updates[last].Result != "succeeded" {
		d.note("the last update failed: going back to the newest image that succeeded")
		return r.now.before("")
	}
	return r.now.before(r.now.Image)
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
	err := d.do(ctx, steps...)
	switch {
	case err != nil && r.verb == "rollback":
		return fmt.Errorf("%w\n`make rollback%s` tries again, TO=<number> goes to another image", err, stackArgument(d.Stack))
	case err != nil && r.now.Image != "":
		return fmt.Errorf("%w\nto return to %s: make rollback%s", err, r.now.Image, stackArgument(d.Stack))
	case err != nil:
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
	committed.Config[r.key("image")] = config.NewValue(r.to)
	delete(committed.Config, r.key("buildContext")) // the program refuses both
	if err := committed.Save(d.committed(d.Stack)); err != nil || !r.local() {
		return err
	}
	r.set("image", r.to)
	delete(r.settings.Config, r.key("buildContext"))
	return d.saveCopy(r.stack)
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
		repository, digest := splitReference(v.Image)
		lines[i] = fmt.Sprintf("%2d  %s  %.12s  %s", i+1, v.Since, digest, repository)
		if i == running {
			lines[i] += "  (runs)"
		}
	}
	return cmp.Or(strings.Join(lines, "\n"), "none")
}

// splitReference returns the repository of a reference by digest, which may have a tag too, and the digits of the
// digest.
func splitReference(image string) (repository, digest string) {
	repository, digest, _ = strings.Cut(image, "@")
	if at := strings.LastIndex(repository, ":"); at > strings.LastIndex(repository, "/") { // not before a port
		repository = repository[:at]
	}
	return repository, strings.TrimPrefix(digest, "sha256:")
}

// choose returns the one image that TO selects. Seven digits of a digest, as in git, distinguish twenty images, and are
// more than a number in the list ever has.
func (o outputs) choose(to string) (string, error) {
	digits := strings.TrimPrefix(to, "sha256:")
	var found []string
	for i, v := range o.Images {
		_, digest := splitReference(v.Image)
		selected := v.Image == to || strconv.Itoa(i+1) == to || len(digits) >= 7 && strings.HasPrefix(digest, digits)
		if selected && !slices.Contains(found, v.Image) {
			found = append(found, v.Image)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("TO=%q: want the number of an image, its digest or at least the first 7 digits of that, "+
			"or <repository>@sha256:<digest>; the images that ran there are\n%s", to, o.listed())
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("TO=%q selects several images: give more digits, the number or the whole reference of one "+
		"of\n%s", to, o.listed())
}

// before returns the newest image that is not this one.
func (o outputs) before(image string) (string, error) {
	i := slices.IndexFunc(o.Images, func(v deployed) bool { return v.Image != image })
	if i < 0 {
		return "", fmt.Errorf("there is no image to go back to; those that ran there are\n%s", o.listed())
	}
	return o.Images[i].Image, nil
}
