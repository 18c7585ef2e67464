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
)

// release is a change of the image that a stack runs.
type release struct {
	*stack
	what   string             // promote or rollback
	now    outputs            // before it
	to     string             // the reference by digest
	source *remote.Descriptor // what has to be copied there first, or nil
}

// promote deploys in a stack the image that runs in another one. Nothing is built, so what was tested is what runs.
func (d *driver) promote(ctx context.Context) error {
	switch {
	case d.From == "":
		return errors.New("FROM is missing: the stack whose image is deployed, e.g. make promote FROM=staging STACK=prod")
	case !qualifiedStack.pattern.MatchString(d.From):
		return fmt.Errorf("FROM=%q: want the name of a stack, such as staging, or organization/project/stack", d.From)
	case d.From == d.Stack:
		return fmt.Errorf("FROM and STACK are both %s", d.Stack)
	}
	r, err := d.openRelease(ctx, "promote")
	if err != nil {
		return err
	}
	var image string
	if err := d.doAll(
		step{"stack " + d.From, func() (string, error) {
			image, err = d.imageOfSource(ctx, r.stack)
			return "runs " + image, err
		}},
		step{"image", func() (string, error) { return d.place(ctx, r, image) }},
	); err != nil {
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
	if err := d.do("images that ran there", func() (string, error) {
		if r.to, err = d.goal(ctx, r); err != nil {
			return "", fmt.Errorf("stack %s: %w", d.Stack, err)
		}
		d.note("%s", strings.ReplaceAll(r.now.listed(), "\n", "\n    "))
		_, err := findImage(ctx, r.to, r.setting(keyImagePlatform))
		return "goes to " + r.to, err
	}); err != nil {
		return err
	}
	return d.deploy(ctx, r)
}

// openRelease opens the stack that gets another image, and reads what it runs now.
func (d *driver) openRelease(ctx context.Context, what string) (*release, error) {
	s, err := d.openStack(d.Stack, machineKeys...)
	if err != nil {
		return nil, err
	}
	s.existed = true
	if other, here := s.anotherProject(d.Stack); other != "" {
		return nil, fmt.Errorf("STACK=%q: its project is %s, and the one here is %s", d.Stack, other, here)
	}
	r := &release{stack: s, what: what}
	return r, d.doAll(
		step{"Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) }},
		step{"stack " + d.Stack, func() (string, error) {
			r.now, err = d.outputs(ctx, s, d.Stack)
			return "runs " + cmp.Or(r.now.Image, "nothing yet"), err
		}},
	)
}

// anotherProject returns the project in the full name of a stack, "" if that is the one here, and the one here.
func (s *stack) anotherProject(name string) (other, here string) {
	project := s.project.Rest["name"]
	if parts := strings.Split(name, "/"); len(parts) == 3 && parts[1] != project.Value {
		other = parts[1]
	}
	return other, project.Value
}

// imageOfSource returns what runs in FROM. A stack without a file here, such as one of another project, is looked for
// in the target's backend.
func (d *driver) imageOfSource(ctx context.Context, target *stack) (string, error) {
	s := target
	if other, _ := target.anotherProject(d.From); other == "" {
		own, err := d.openStack(d.From, machineKeys...)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		s = cmp.Or(own, target)
	}
	o, err := d.outputs(ctx, s, d.From)
	if err == nil && o.Image == "" {
		err = fmt.Errorf("stack %s has no output `image`: deploy it first, with `pulumi up --stack %[1]s`", d.From)
	}
	return o.Image, err
}

// place decides by which reference the target gets an image: as it is, if it is in the target's registry already or if
// the target has none of its own, and otherwise by the same digest in the target's repository.
func (d *driver) place(ctx context.Context, r *release, image string) (string, error) {
	own, err := r.repository(r.now)
	if err != nil {
		return "", err
	}
	found, err := findImage(ctx, image, r.setting(keyImagePlatform))
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

// repository is where the stack's own images are, without a tag; "" if its settings name none. The account and region
// of an ECR repository are those of what was deployed from ECR before.
func (s *stack) repository(now outputs) (string, error) {
	ecr := s.setting(keyECRRepository)
	if ecr == "" {
		return s.setting(keyImageRepository), nil
	}
	for _, v := range append([]deployed{{Image: now.Image}}, now.Images...) {
		if registry, _, _ := strings.Cut(v.Image, "/"); isECR(registry) {
			return registry + "/" + ecr, nil
		}
	}
	return "", fmt.Errorf("the address of scaleout:ecrRepository %s is not known before the first update: run "+
		"`pulumi up` once, which creates the repository; or remove the key, and the image is used where it is", ecr)
}

// goal is the image that a rollback goes to: TO; or that of a rollback that did not end; or the newest that ran before
// what the stack is to run. If that update failed, what ran before is the newest of all.
func (d *driver) goal(ctx context.Context, r *release) (string, error) {
	configured := r.setting(keyImage)
	switch {
	case d.To != "":
		return r.now.choose(d.To)
	case configured != "" && configured == d.mark(markRollback, d.Stack):
		d.note("an earlier rollback did not end; going on with it (TO takes another image)")
		return configured, nil
	case configured != "":
		return r.now.before(configured)
	}
	updates, err := d.history(ctx, r.stack)
	if err != nil {
		return "", err
	}
	last := slices.IndexFunc(updates, func(u pulumiUpdate) bool { return u.Kind == "update" })
	if last >= 0 && updates[last].Result != "succeeded" {
		d.note("the last update did not succeed: going back to the newest image that did")
		return r.now.before("")
	}
	return r.now.before(r.now.Image)
}

// deploy shows what will change, asks, and changes it: the image's place, the stack file, the stack.
func (d *driver) deploy(ctx context.Context, r *release) error {
	configured, file := r.setting(keyImage), stackFileName(d.Stack)
	if r.to == configured && r.to == r.now.Image {
		d.note("stack %s runs it already: nothing to do", d.Stack)
		return d.clearMark(markRollback, d.Stack)
	}
	d.printf("==> %s of stack %s\n", r.what, d.Stack)
	d.note("runs    %s", cmp.Or(r.now.Image, "nothing yet"))
	d.note("will    %s", r.to)
	d.note("writes  %s in %s", keyImage, file)
	back := "pulumi config rm image --stack " + d.Stack
	if folder := r.setting(keyBuildContext); folder != "" {
		d.note("removes %s: %s", keyBuildContext, folder)
		back += " && pulumi config set buildContext " + shellQuote(folder) + " --stack " + d.Stack
	}
	if configured == "" {
		d.note("        from then on the stack builds no image; back: `%s`", back)
	}
	if err := d.confirm(ctx); err != nil {
		return err
	}
	if r.source != nil {
		if err := d.do("copy", func() (string, error) { return copyImage(ctx, r.source, r.to) }); err != nil {
			return err
		}
	}
	if err := d.do(file, func() (string, error) { return "set " + keyImage, d.configure(ctx, r) }); err != nil {
		return err
	}
	err := d.do("pulumi up", func() (string, error) { return d.update(ctx, r.stack) })
	switch {
	case err != nil && r.what == "rollback":
		return fmt.Errorf("%w\n`make rollback%s` tries again, TO=<number> goes to another image", err, stackArgument(d.Stack))
	case err != nil && r.now.Image != "":
		return fmt.Errorf("%w\nto return to %s: make rollback%s", err, r.now.Image, stackArgument(d.Stack))
	case err != nil:
		return err
	}
	d.total(r.what)
	d.note("%s says what runs; commit its line:", file)
	d.note("  %s: %s", keyImage, r.to)
	if r.what == "promote" && r.now.Image != "" {
		d.note("back: make rollback%s", stackArgument(d.Stack))
	}
	return nil
}

// confirm asks whoever is at the terminal. Where nobody is, as in CI, the command itself is the answer.
func (d *driver) confirm(ctx context.Context) error {
	if d.Yes || !d.terminal {
		return nil
	}
	d.printf("    continue? [y/N] ")
	typed := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(d.stdin).ReadString('\n') // at its end: no
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

// configure writes the image into the committed stack file, which is what the user wants, and into its copy. The mark is
// for a rollback that ends here: the next one could not tell it from a promotion that failed, and would go forth again.
func (d *driver) configure(ctx context.Context, r *release) error {
	err := d.clearMark(markRollback, d.Stack)
	if r.what == "rollback" {
		err = d.setMark(markRollback, d.Stack, r.to)
	}
	if err != nil {
		return err
	}
	if _, err := d.runPulumi(ctx, r.stack, "config", "set", "--stack", d.Stack, keyImage, r.to); err != nil {
		return err
	}
	// The program refuses a finished image beside a folder to build one of. This comes second: without both, an interruption
	// here would have the next update build the default folder.
	if r.setting(keyBuildContext) != "" {
		if _, err := d.runPulumi(ctx, r.stack, "config", "rm", "--stack", d.Stack, keyBuildContext); err != nil {
			return err
		}
	}
	r.file.set(keyImage, r.to)
	delete(r.file.Config, keyBuildContext)
	if r.local() {
		return d.saveCopy(r.stack)
	}
	return nil
}

// deployed is an element of the output `images`: a reference by digest that an update put there, and when that update
// began (RFC 3339, UTC).
type deployed struct {
	Image string `json:"image"`
	Since string `json:"since"`
}

// listed is the images with their numbers, times and as many digits of the digest as Docker shows, a line each.
func (o outputs) listed() string {
	if len(o.Images) == 0 {
		return "none"
	}
	running := slices.IndexFunc(o.Images, func(v deployed) bool { return v.Image == o.Image })
	lines := make([]string, len(o.Images))
	for i, v := range o.Images {
		repository, digest := splitReference(v.Image)
		lines[i] = fmt.Sprintf("%2d  %s  %.12s  %s", i+1, v.Since, digest, repository)
		if i == running {
			lines[i] += "  (runs)"
		}
	}
	return strings.Join(lines, "\n")
}

// splitReference returns the repository of a reference by digest, which may have a tag too, and the digits of the digest.
func splitReference(image string) (repository, digest string) {
	repository, digest, _ = strings.Cut(image, "@")
	if at := strings.LastIndex(repository, ":"); at > strings.LastIndex(repository, "/") { // not before a port
		repository = repository[:at]
	}
	return repository, strings.TrimPrefix(digest, "sha256:")
}

// choose returns the one image that TO means. Seven digits of a digest, as git's, are enough to tell twenty images
// apart, and more than a number in the list ever has.
func (o outputs) choose(to string) (string, error) {
	digits := strings.TrimPrefix(to, "sha256:")
	var found []string
	for i, v := range o.Images {
		_, digest := splitReference(v.Image)
		means := v.Image == to || strconv.Itoa(i+1) == to || len(digits) >= 7 && strings.HasPrefix(digest, digits)
		if means && !slices.Contains(found, v.Image) {
			found = append(found, v.Image)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("TO=%q: want the number of an image, its digest or at least the first 7 digits of that, "+
			"or <repository>@sha256:<digest>; those that ran there are\n%s", to, o.listed())
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("TO=%q means several images: give more digits, the number or the whole reference of one of\n%s",
		to, o.listed())
}

// before returns the newest image that is not this one.
func (o outputs) before(image string) (string, error) {
	i := slices.IndexFunc(o.Images, func(v deployed) bool { return v.Image != image })
	if i < 0 {
		return "", fmt.Errorf("there is no image to go back to; those that ran there are\n%s", o.listed())
	}
	return o.Images[i].Image, nil
}
