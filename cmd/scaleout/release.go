package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
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
	if err := d.steps.doAll(
		step{"stack " + d.From, func() (string, error) {
			image, err = d.imageOfSource(ctx, r.stack)
			return "runs " + image, err
		}},
		step{"stack " + d.Stack, func() (string, error) { return d.readTarget(ctx, r) }},
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
	if err := d.steps.doAll(
		step{"stack " + d.Stack, func() (string, error) { return d.readTarget(ctx, r) }},
		step{"images that ran there", func() (string, error) {
			if r.to, err = d.goal(ctx, r); err != nil {
				return "", fmt.Errorf("stack %s: %w", d.Stack, err)
			}
			d.steps.note("%s", strings.ReplaceAll(r.now.listed(), "\n", "\n    "))
			return "goes to " + r.to, nil
		}},
		step{"image", func() (string, error) {
			if d.NoCheck {
				return "not asked for: NO_CHECK", nil
			}
			_, err := findImage(ctx, r.to, r.setting(keyImagePlatform))
			return "is in its registry", err
		}},
	); err != nil {
		return err
	}
	return d.deploy(ctx, r)
}

// openRelease opens the stack that gets another image, and finds the Pulumi CLI.
func (d *driver) openRelease(ctx context.Context, what string) (*release, error) {
	s, err := d.openStack(d.Stack, machineKeys...)
	if err != nil {
		return nil, err
	}
	s.existed = true
	project := s.project.Rest["name"]
	if parts := strings.Split(d.Stack, "/"); len(parts) == 3 && parts[1] != project.Value {
		return nil, fmt.Errorf("STACK=%q: its project is %s, and the one here is %s", d.Stack, parts[1], project.Value)
	}
	return &release{stack: s, what: what}, d.steps.do("Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) })
}

// imageOfSource returns what runs in FROM. A stack without a file here, such as one of another project, is looked for
// in the target's backend.
func (d *driver) imageOfSource(ctx context.Context, target *stack) (string, error) {
	s, err := d.openStack(d.From, machineKeys...)
	if errors.Is(err, fs.ErrNotExist) {
		s, err = target, nil
	}
	if err != nil {
		return "", err
	}
	o, err := d.outputs(ctx, s, d.From)
	if err != nil {
		return "", err
	}
	if o.Image == "" {
		return "", fmt.Errorf("stack %s has no output `image`: deploy it first, with `pulumi up --stack %[1]s`", d.From)
	}
	if _, err := name.NewDigest(o.Image); err != nil {
		return "", fmt.Errorf("stack %s: the output `image` is %q: want <repository>@sha256:<digest>: %w",
			d.From, o.Image, err)
	}
	return o.Image, nil
}

// readTarget reads what the stack runs now.
func (d *driver) readTarget(ctx context.Context, r *release) (said string, err error) {
	r.now, err = d.outputs(ctx, r.stack, d.Stack)
	return "runs " + cmp.Or(r.now.Image, "nothing yet"), err
}

// place decides by which reference the target gets an image: as it is, if it is in the target's registry already or if
// the target has none of its own, and otherwise by the same digest in the target's repository.
func (d *driver) place(ctx context.Context, r *release, image string) (string, error) {
	own, err := r.repository(r.now)
	if err != nil {
		return "", err
	}
	repository, digest := splitReference(image)
	same := own == ""
	if !same {
		from, fromErr := name.NewRepository(repository)
		to, err := name.NewRepository(own)
		if err = errors.Join(fromErr, err); err != nil {
			return "", fmt.Errorf("scaleout:imageRepository %q: %w", own, err)
		}
		same = from.RegistryStr() == to.RegistryStr()
	}
	r.to = image
	if !same {
		r.to = own + "@sha256:" + digest
	}
	if !d.NoCheck || !same {
		found, err := findImage(ctx, image, r.setting(keyImagePlatform))
		if err != nil {
			return "", err
		}
		if !same {
			r.source = found
			return "is in another registry: copied to " + own + " before the update", nil
		}
	}
	did := "used where it is, nothing is copied; the target must be allowed to pull from " + repository
	if isECR(repository) {
		did += ":\nAmazonEC2ContainerRegistryPullOnly on its nodes' role, " +
			"and from another account that repository's policy too"
	}
	return did, nil
}

// repository is where the stack's own images are, without a tag; "" if its settings name none. The address of an ECR
// repository is known from what was deployed from it, or from another one of the same account.
func (s *stack) repository(now outputs) (string, error) {
	ecr := s.setting(keyECRRepository)
	if ecr == "" {
		return s.setting(keyImageRepository), nil
	}
	sibling := ""
	for _, v := range append([]deployed{{Image: now.Image}}, now.Images...) {
		repository, _ := splitReference(v.Image)
		registry, path, _ := strings.Cut(repository, "/")
		if path == ecr {
			return repository, nil
		}
		if sibling == "" && isECR(registry) {
			sibling = registry + "/" + ecr
		}
	}
	if sibling == "" {
		return "", fmt.Errorf("the address of scaleout:ecrRepository %s is not known before the first update: run "+
			"`pulumi up` once, which creates the repository; or remove the key, and the image is used where it is", ecr)
	}
	return sibling, nil
}

// goal is the image that a rollback goes to: TO; or that of a rollback that did not end; or the newest that ran before
// what the stack is to run. If that update failed, what ran before is the newest of all.
func (d *driver) goal(ctx context.Context, r *release) (string, error) {
	configured := r.setting(keyImage)
	switch {
	case d.To != "":
		return r.now.choose(d.To)
	case configured != "" && configured == d.mark(markRollback, d.Stack):
		d.steps.note("an earlier rollback did not end; going on with it (TO takes another image)")
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
		d.steps.note("the last update did not succeed: going back to the newest image that did")
		return r.now.before("")
	}
	return r.now.before(r.now.Image)
}

// deploy shows what will change, asks, and changes it: the image's place, the stack file, the stack.
func (d *driver) deploy(ctx context.Context, r *release) error {
	configured, file := r.setting(keyImage), stackFileName(d.Stack)
	if r.to == configured && r.to == r.now.Image {
		d.steps.note("stack %s runs it already: nothing to do", d.Stack)
		return d.clearMark(markRollback, d.Stack)
	}
	d.steps.printf("==> %s of stack %s\n", r.what, d.Stack)
	d.steps.note("runs    %s", cmp.Or(r.now.Image, "nothing yet"))
	if configured != "" && configured != r.now.Image {
		d.steps.note("was to  %s, which no update has brought there", configured)
	}
	d.steps.note("will    %s", r.to)
	d.steps.note("writes  %s in %s", keyImage, file)
	back := "pulumi config rm image --stack " + d.Stack
	if folder := r.setting(keyBuildContext); folder != "" {
		d.steps.note("removes %s: %s", keyBuildContext, folder)
		back += " && pulumi config set buildContext " + shellQuote(folder) + " --stack " + d.Stack
	}
	if configured == "" {
		d.steps.note("        from then on the stack builds no image; back: `%s`", back)
	}
	if err := d.confirm(ctx); err != nil {
		return err
	}
	var steps []step
	if r.source != nil {
		steps = append(steps, step{"copy", func() (string, error) { return copyImage(ctx, r.source, r.to) }})
	}
	steps = append(steps, step{file, func() (string, error) { return "set " + keyImage, d.configure(ctx, r) }})
	if err := d.steps.doAll(steps...); err != nil {
		return err
	}
	steps = nil
	if r.onDocker() { // the refresh would replace what is stopped, and with Redis its data
		steps = append(steps, step{"containers", func() (string, error) { return d.startContainers(ctx, r.stack) }})
	}
	steps = append(steps, step{"pulumi up", func() (string, error) { return d.update(ctx, r.stack) }})
	err := d.steps.doAll(steps...)
	switch {
	case err != nil && r.what == "rollback":
		return fmt.Errorf("%w\n`make rollback%s` tries again, TO=<number> goes to another image", err, stackArgument(d.Stack))
	case err != nil && r.now.Image != "":
		return fmt.Errorf("%w\nto return to %s: make rollback%s", err, r.now.Image, stackArgument(d.Stack))
	case err != nil:
		return err
	}
	d.steps.total(r.what)
	d.steps.note("%s says what runs; commit its line:", file)
	d.steps.note("  %s: %s", keyImage, r.to)
	if r.what == "promote" && r.now.Image != "" {
		d.steps.note("back: make rollback%s", stackArgument(d.Stack))
	}
	return d.clearMark(markRollback, d.Stack)
}

// confirm asks whoever is at the terminal. Where nobody is, as in CI, the command itself is the answer.
func (d *driver) confirm(ctx context.Context) error {
	if d.Yes || !d.terminal {
		return nil
	}
	d.steps.printf("    continue? [y/N] ")
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
		return fmt.Errorf("writing %s: %w", stackFileName(d.Stack), err)
	}
	// The program refuses a finished image beside a folder to build one of. This comes second: without both, an interruption
	// here would have the next update build the default folder.
	if r.setting(keyBuildContext) != "" {
		if _, err := d.runPulumi(ctx, r.stack, "config", "rm", "--stack", d.Stack, keyBuildContext); err != nil {
			return fmt.Errorf("writing %s: %w", stackFileName(d.Stack), err)
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

// digestPrefix is the beginning of a digest. Seven digits, as git's, are enough to tell twenty images apart, and more
// than a number in the list ever has.
var digestPrefix = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

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

// choose returns the one image that TO means.
func (o outputs) choose(to string) (string, error) {
	digits := strings.TrimPrefix(to, "sha256:")
	number, err := strconv.Atoi(to)
	if digestPrefix.MatchString(digits) {
		number = 0
	} else if err != nil && !strings.Contains(to, "@") {
		return "", fmt.Errorf("TO=%q: want a number of the list, a digest or at least its first 7 digits, or "+
			"<repository>@sha256:<digest>; the list is\n%s", to, o.listed())
	}
	var found []string
	for i, v := range o.Images {
		_, digest := splitReference(v.Image)
		means := v.Image == to || number == i+1 || len(digits) >= 7 && strings.HasPrefix(digest, digits)
		if means && !slices.Contains(found, v.Image) {
			found = append(found, v.Image)
		}
	}
	switch len(found) {
	case 0:
		return "", fmt.Errorf("TO=%q: not among the images that ran there, which are\n%s", to, o.listed())
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
