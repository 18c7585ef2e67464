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
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/opthistory"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"

	"example.com/scaleout/internal/registry"
)

// release is a change of the image that a stack runs.
type release struct {
	*driver
	verb   string             // promote or rollback
	now    outputs            // before it
	from   string             // where the image is now
	to     string             // the reference by digest
	source *remote.Descriptor // to be copied there first, or nil
}

// promote deploys in a stack the image that runs in another one. Nothing is built, so the tested image is what runs.
func (d *driver) promote(ctx context.Context) error {
	switch {
	case d.From == "":
		return errors.New("FROM is missing: the stack whose image is deployed, e.g. make promote FROM=staging STACK=prod")
	case !regexp.MustCompile(qualifiedStack).MatchString(d.From):
		return fmt.Errorf("FROM=%q: want the name of a stack, such as staging, or organization/project/stack", d.From)
	case d.From == d.Stack:
		return fmt.Errorf("FROM and STACK are both %s", d.Stack)
	}
	r := &release{driver: d, verb: "promote"}
	return r.run(ctx, step{"image that runs in " + d.From, r.place},
		step{"evidence", func(ctx context.Context) (string, error) { return d.proof(ctx, r.from) }},
		step{"signature", func(ctx context.Context) (string, error) { return d.signature(ctx, r.from) }})
}

// rollback deploys an image that ran in the stack before.
func (d *driver) rollback(ctx context.Context) error {
	r := &release{driver: d, verb: "rollback"}
	return r.run(ctx, step{"images that ran there", func(ctx context.Context) (_ string, err error) {
		if r.to, err = r.goal(ctx); err != nil {
			return "", fmt.Errorf("stack %s: %w; the images that ran there are\n%s", d.Stack, err, r.now.listed())
		}
		_, err = registry.Find(ctx, r.to, r.setting("imagePlatform"))
		return r.now.listed() + "\nselected: " + r.to, err
	}})
}

// run lets steps choose the image, shows what will change, asks, and changes it: the image's place, the stack file,
// the stack.
func (r *release) run(ctx context.Context, choice ...step) error {
	if err := r.begin(ctx, "", machineKeys...); err != nil {
		return err
	}
	err := r.do(ctx, append([]step{{"stack " + r.Stack, func(ctx context.Context) (_ string, err error) {
		r.now, err = r.outputs(ctx, r.stack, r.Stack)
		return "runs " + cmp.Or(r.now.Image, "nothing yet"), err
	}}}, choice...)...)
	if err != nil {
		return err
	}
	configured, file := r.setting("image"), stackFileName(r.Stack)
	if r.to == configured && r.to == r.now.Image {
		r.note("stack %s runs it already: nothing to do", r.Stack)
		return r.clearMark(markRollback, r.Stack)
	}
	r.printf("==> %s of stack %s\n", r.verb, r.Stack)
	r.note("current %s\nnew     %s\nfile    scaleout:image in %s", cmp.Or(r.now.Image, "nothing yet"), r.to, file)
	if folder := r.setting("buildContext"); folder != "" {
		r.note("removes scaleout:buildContext: %s", folder)
	}
	if configured == "" {
		r.note("        from then on the stack builds no image; to build again, undo this change of %s", file)
	}
	if err := r.confirm(ctx); err != nil {
		return err
	}
	var steps []step
	if r.source != nil {
		steps = append(steps, step{"copy", func(ctx context.Context) (string, error) {
			return registry.Copy(ctx, r.from, r.source, r.to)
		}})
	}
	steps = append(steps, step{file, func(context.Context) (string, error) { return "set", r.configure() }},
		step{"pulumi up", r.update})
	if err := r.do(ctx, steps...); err != nil {
		return err
	}
	r.total(r.verb)
	r.note("commit the change of %s:\n  scaleout:image: %s", file, r.to)
	if r.verb == "promote" && r.now.Image != "" {
		r.note("to undo: make rollback%s", stackArgument(r.Stack))
	}
	return nil
}

// place decides by which reference the target gets the image of FROM: its own, if it is in the target's registry
// already or if the target has none, and otherwise the same digest in the target's repository.
func (r *release) place(ctx context.Context) (string, error) {
	source, err := r.openStack(r.From, machineKeys...)
	if errors.Is(err, fs.ErrNotExist) {
		source, err = r.stack, nil // whose backend has a stack without a file here, such as one of another project
	}
	var o outputs
	if err == nil {
		o, err = r.outputs(ctx, source, r.From)
	}
	if err == nil && o.Image == "" {
		err = fmt.Errorf("stack %s has no output `image`: deploy it first, with `pulumi up --stack %[1]s`", r.From)
	}
	if err == nil && r.Expect != "" && r.Expect != o.Image {
		err = fmt.Errorf("stack %s runs %s by now, and not %s (EXPECT)", r.From, o.Image, r.Expect)
	}
	own, ownErr := r.repository()
	if err := errors.Join(err, ownErr); err != nil {
		return "", err
	}
	found, err := registry.Find(ctx, o.Image, r.setting("imagePlatform"))
	if err != nil {
		return "", err
	}
	r.from = o.Image
	from, _ := name.NewDigest(o.Image) // it was found there
	to, err := name.NewRepository(cmp.Or(own, from.Repository.Name()))
	if err != nil {
		return "", fmt.Errorf("scaleout:imageRepository %q: %w", own, err)
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

// goal returns the image that a rollback deploys: TO; or that of a rollback that did not finish; or the newest that ran
// before what the stack is to run. If that update failed, what ran before is the newest of all.
func (r *release) goal(ctx context.Context) (string, error) {
	avoided := r.setting("image")
	switch {
	case r.To != "":
		return r.now.choose(r.To)
	case avoided != "" && avoided == r.mark(markRollback, r.Stack):
		r.note("continuing an earlier rollback that did not finish (TO takes another image)")
		return avoided, nil
	case avoided == "": // the stack builds its image
		updates, err := r.pulumi.History(ctx, 20, 1, opthistory.ShowSecrets(false)) // newest first
		if err != nil {
			return "", r.explain(err)
		}
		last := slices.IndexFunc(updates, func(u auto.UpdateSummary) bool { return u.Kind == "update" })
		if last < 0 || updates[last].Result == "succeeded" {
			avoided = r.now.Image
		} else {
			r.note("the last update failed: going back to the newest image that succeeded")
		}
	}
	before := slices.IndexFunc(r.now.Images, func(v deployed) bool { return v.Image != avoided })
	if before < 0 {
		return "", errors.New("there is no image to go back to")
	}
	return r.now.Images[before].Image, nil
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
func (r *release) configure() error {
	err := r.clearMark(markRollback, r.Stack)
	if r.verb == "rollback" {
		err = r.setMark(markRollback, r.Stack, r.to)
	}
	committed, readErr := r.read(r.committed(r.Stack))
	if err := errors.Join(err, readErr); err != nil {
		return err
	}
	for _, settings := range []*workspace.ProjectStack{committed, r.config} {
		settings.Config[r.key("image")] = config.NewValue(r.to)
		delete(settings.Config, r.key("buildContext")) // the program refuses both
	}
	return errors.Join(committed.Save(r.committed(r.Stack)), r.save())
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
		selected := v.Image == to || fmt.Sprint(i+1) == to || len(digits) >= 7 && strings.HasPrefix(digest, digits)
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

// missingImages returns the URNs of images that their registry on this machine, which may be a new one, does not have.
func missingImages(ctx context.Context, resources []apitype.ResourceV3) (urns []string) {
	for _, r := range resources {
		image, _ := r.Outputs["repoDigest"].(string)
		ref, err := name.NewDigest(image)
		if r.Type != "docker:index/image:Image" || !localRepository.MatchString(image) || err != nil {
			continue
		}
		if _, err := remote.Head(ref, registry.Options(ctx)...); registry.NotFound(err) {
			urns = append(urns, string(r.URN))
		}
	}
	return urns
}
