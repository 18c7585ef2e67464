package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
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
	if err := d.checkFrom(); err != nil {
		return usageError{err}
	}
	r, err := d.openRelease(ctx, "promote")
	if err != nil {
		return err
	}
	var image string
	if err := d.steps.do("stack "+d.From, func() (string, error) {
		image, err = d.imageOfSource(ctx, r.stack)
		return "runs " + image, err
	}); err != nil {
		return err
	}
	if err := d.readTarget(ctx, r); err != nil {
		return err
	}
	if err := d.steps.do("image", func() (string, error) { return d.place(ctx, r, image) }); err != nil {
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
	if err := d.readTarget(ctx, r); err != nil {
		return err
	}
	if err := d.steps.do("images that ran there", func() (string, error) {
		if r.to, err = d.goal(ctx, r); err != nil {
			return "", err // which lists them
		}
		d.steps.note("%s", strings.ReplaceAll(r.now.listed(), "\n", "\n    "))
		return "goes to " + r.to, nil
	}); err != nil {
		return fmt.Errorf("stack %s: %w", d.Stack, err)
	}
	if err := d.steps.do("image", func() (string, error) {
		if d.NoCheck {
			return "not asked for: NO_CHECK", nil
		}
		_, err := findImage(ctx, r.to, r.setting(keyImagePlatform))
		return "is in its registry", err
	}); err != nil {
		return err
	}
	return d.deploy(ctx, r)
}

func (d *driver) checkFrom() error {
	switch {
	case d.From == "":
		return errors.New("FROM is missing: the stack whose image is deployed, e.g. make promote FROM=staging STACK=prod")
	case !qualifiedStack.MatchString(d.From):
		return fmt.Errorf("FROM=%q: want the name of a stack, such as staging, or organization/project/stack", d.From)
	case d.From == d.Stack:
		return fmt.Errorf("FROM and STACK are both %s", d.Stack)
	}
	return nil
}

// openRelease opens the stack that gets another image, and finds the Pulumi CLI.
func (d *driver) openRelease(ctx context.Context, what string) (*release, error) {
	s, err := d.openAnywhere(d.Stack)
	if err != nil {
		return nil, err
	}
	parts, own := strings.Split(d.Stack, "/"), s.project.get("name")
	if len(parts) == 3 && parts[1] != own {
		return nil, usageError{fmt.Errorf("STACK=%q: its project is %s, and the one here is %s", d.Stack, parts[1], own)}
	}
	return &release{stack: s, what: what}, d.steps.do("Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) })
}

// openAnywhere reads a stack's files and chooses its backend: that of `up`, and for a stack that is not on this
// machine, if the environment names none, the one that pulumi is logged in to. `up` does not take that one: it creates
// stacks, which could then be in the wrong place; those asked for here have to be there.
func (d *driver) openAnywhere(stackName string) (*stack, error) {
	s, err := d.readStack(stackName)
	if err != nil {
		return nil, err
	}
	if !s.local() && d.getenv("PULUMI_BACKEND_URL") == "" && d.getenv("PULUMI_ACCESS_TOKEN") == "" {
		s.backend = backend{env: quietPulumi(), words: "the backend that pulumi is logged in to"}
		return s, nil
	}
	s.backend, err = d.chooseBackend()
	return s, err
}

// imageOfSource returns what runs in FROM. A stack without a file here, such as one of another project, is looked for
// in the target's backend.
func (d *driver) imageOfSource(ctx context.Context, target *stack) (string, error) {
	s, err := d.openAnywhere(d.From)
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
func (d *driver) readTarget(ctx context.Context, r *release) error {
	return d.steps.do("stack "+d.Stack, func() (string, error) {
		var err error
		r.now, err = d.outputs(ctx, r.stack, d.Stack)
		return "runs " + cmp.Or(r.now.Image, "nothing yet"), err
	})
}

// place decides by which reference the target gets an image: as it is, if it is in the target's registry already or if
// the target has none of its own, and otherwise by the same digest in the target's repository.
func (d *driver) place(ctx context.Context, r *release, image string) (string, error) {
	own, err := r.repository(r.now)
	if err != nil {
		return "", err
	}
	repository, digest := splitReference(image)
	same, err := sameRegistry(repository, own)
	if err != nil {
		return "", err
	}
	var found *remote.Descriptor
	if !d.NoCheck || !same {
		if found, err = findImage(ctx, image, r.setting(keyImagePlatform)); err != nil {
			return "", err
		}
	}
	if !same {
		r.to, r.source = own+"@sha256:"+digest, found
		return "is in another registry: copied to " + own + " before the update", nil
	}
	r.to = image
	did := "used where it is, nothing is copied; the target must be allowed to pull from " + repository
	if isECR(repository) {
		did += ":\nAmazonEC2ContainerRegistryPullOnly on its nodes' role, " +
			"and from another account that repository's policy too"
	}
	return did, nil
}

// sameRegistry tells whether an image in one repository needs no copy for a stack with the other; "" is none.
func sameRegistry(repository, own string) (bool, error) {
	if own == "" {
		return true, nil
	}
	from, err := name.NewRepository(repository)
	if err != nil {
		return false, err
	}
	to, err := name.NewRepository(own)
	if err != nil {
		return false, fmt.Errorf("scaleout:imageRepository %q: %w", own, err)
	}
	return from.RegistryStr() == to.RegistryStr(), nil
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
	configured := r.file.get(keyImage)
	switch {
	case d.To != "":
		return r.now.choose(d.To)
	case configured != "" && configured == d.mark(markRollback, d.Stack):
		d.steps.note("an earlier rollback did not end; going on with it (TO takes another image)")
		return configured, nil
	case configured != "":
		return r.now.before(configured)
	}
	last, err := d.history(ctx, r.stack)
	if err != nil {
		return "", err
	}
	if last.Kind == "update" && last.Result != "succeeded" {
		d.steps.note("the last update did not succeed: going back to the newest image that did")
		return r.now.before("")
	}
	return r.now.before(r.now.Image)
}

// deploy shows what will change, asks, and changes it: the image's place, the stack file, the stack.
func (d *driver) deploy(ctx context.Context, r *release) error {
	configured := r.file.get(keyImage)
	if r.to == configured && r.to == r.now.Image {
		d.steps.note("stack %s runs it already: nothing to do", d.Stack)
		return d.clearMark(markRollback, d.Stack)
	}
	d.showPlan(r, configured)
	if err := d.confirm(ctx); err != nil {
		return err
	}
	if r.source != nil {
		if err := d.steps.do("copy", func() (string, error) { return d.copyImage(ctx, r.source, r.to) }); err != nil {
			return err
		}
	}
	if err := d.steps.do(stackFileName(d.Stack), func() (string, error) { return d.configure(ctx, r) }); err != nil {
		return err
	}
	if err := d.updateImage(ctx, r); err != nil {
		return d.explainRelease(r, err)
	}
	d.finishRelease(r)
	return d.clearMark(markRollback, d.Stack)
}

// showPlan tells what will change.
func (d *driver) showPlan(r *release, configured string) {
	d.steps.printf("==> %s of stack %s\n", r.what, d.Stack)
	d.steps.note("runs    %s", cmp.Or(r.now.Image, "nothing yet"))
	if configured != "" && configured != r.now.Image {
		d.steps.note("was to  %s, which no update has brought there", configured)
	}
	d.steps.note("will    %s", r.to)
	d.steps.note("writes  %s in %s", keyImage, stackFileName(d.Stack))
	if configured == "" {
		d.steps.note("        from then on the stack builds no image; back: `pulumi config rm image --stack %s`", d.Stack)
	}
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
		typed <- text
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case text := <-typed:
		if answer := strings.ToLower(strings.TrimSpace(text)); answer == "y" || answer == "yes" {
			return nil
		}
		return errors.New("not confirmed: nothing was changed")
	}
}

// configure writes the image into the stack file. The mark is for a rollback that ends here: the next one could not
// tell it from a promotion that failed, and would go forth again.
func (d *driver) configure(ctx context.Context, r *release) (string, error) {
	err := d.clearMark(markRollback, d.Stack)
	if r.what == "rollback" {
		err = d.setMark(markRollback, d.Stack, r.to)
	}
	if err != nil {
		return "", err
	}
	if _, err := d.runPulumi(ctx, r.stack, "config", "set", "--stack", d.Stack, keyImage, r.to); err != nil {
		return "", fmt.Errorf("writing %s: %w", stackFileName(d.Stack), err)
	}
	if r.file, err = readStackFile(filepath.Join(d.root, stackFileName(d.Stack))); err != nil {
		return "", err
	}
	if got := r.file.get(keyImage); got != r.to {
		return "", fmt.Errorf("%s has %s %q after `pulumi config set`, want %s", stackFileName(d.Stack), keyImage, got, r.to)
	}
	return "set " + keyImage, nil
}

// updateImage runs `pulumi up`: for a stack on this machine as `up` does, for others plainly, since its notes about an
// interruption are made from the state.
func (d *driver) updateImage(ctx context.Context, r *release) error {
	r.existed = true
	if r.onDocker() { // `up --refresh` would replace what is stopped, and with Redis its data
		if err := d.steps.do("containers", func() (string, error) { return d.startContainers(ctx, r.stack) }); err != nil {
			return err
		}
	}
	return d.steps.do("pulumi up", func() (string, error) {
		if r.local() {
			return d.update(ctx, r.stack)
		}
		_, err := d.host.Run(ctx, d.pulumiCommand(r.stack, d.root, d.steps.stream(), "", "up", "--yes", "--stack", d.Stack))
		if err != nil {
			return "", fmt.Errorf("updating stack %s: %w", d.Stack, err)
		}
		return "stack " + d.Stack + " is up to date", nil
	})
}

// explainRelease adds how to return to an update that failed.
func (d *driver) explainRelease(r *release, err error) error {
	switch {
	case r.what == "rollback":
		return fmt.Errorf("%w\n`make rollback%s` tries again, TO=<number> goes to another image", err, stackArgument(d.Stack))
	case r.now.Image == "":
		return err
	}
	return fmt.Errorf("%w\nto return to %s: make rollback%s", err, r.now.Image, stackArgument(d.Stack))
}

// finishRelease tells what is left to do.
func (d *driver) finishRelease(r *release) {
	d.steps.total(r.what)
	marked := ""
	if r.local() {
		marked = " (not those marked `" + mark + "`)"
	}
	d.steps.note("%s says what runs; commit its line%s:", stackFileName(d.Stack), marked)
	d.steps.note("  %s: %s", keyImage, r.to)
	if r.what == "promote" && r.now.Image != "" {
		d.steps.note("back: make rollback%s", stackArgument(d.Stack))
	}
}
