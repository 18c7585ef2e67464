package components

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"scaleout/internal/check"
)

// ImageArgs say what to build and where to push it.
type ImageArgs struct {
	// Repository is where the image goes, without a tag, e.g. localhost:5001/scaleout. Required.
	Repository pulumi.StringInput
	// Password for Username. Kept as a secret.
	Password pulumi.StringInput
	ImageSettings
}

// ImageSettings are the decisions about an image.
type ImageSettings struct {
	// Context is the folder to build, with a Dockerfile in it, relative to the program. An absolute path is refused:
	// it is part of the recorded inputs, so it would show as a change on every other machine. Required.
	Context string
	// Platform is the operating system and architecture to build for, e.g. linux/amd64; without it an image built on
	// a laptop's arm64 ends in "exec format error" on amd64 nodes. Required.
	Platform string
	// BuildArgs go to the Dockerfile's ARG lines. They are part of the tag. VERSION is set by the component.
	BuildArgs map[string]string
	// Username logs in to the registry. Without one the provider uses the host's Docker config and its credential
	// helpers, which keeps short-lived tokens out of the state.
	Username string
}

// Validate reports everything wrong with the arguments.
func (a *ImageArgs) Validate() field.ErrorList {
	problems := check.Set("repository", a.Repository != nil)
	if (a.Username == "") != (a.Password == nil) {
		problems = append(problems, check.Invalid("username", a.Username, "must be given together with a password")...)
	}
	return append(problems, a.ImageSettings.Validate()...)
}

// Validate reports everything wrong with the settings.
func (s *ImageSettings) Validate() field.ErrorList {
	var problems field.ErrorList
	if s.Context == "" || filepath.IsAbs(s.Context) {
		problems = append(problems, check.Invalid("context", s.Context, "must be a relative path of a folder")...)
	}
	if !platformForm.MatchString(s.Platform) {
		problems = append(problems, check.Invalid("platform", s.Platform,
			"must be one of Linux, e.g. linux/amd64 or linux/arm64")...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.BuildArgs)) {
		if !buildArgForm.MatchString(name) {
			problems = append(problems, check.Invalid("buildArgs", name, "must be the name of an ARG: letters, digits and _, "+
				"beginning with no digit, such as GO_IMAGE")...)
		}
	}
	if _, set := s.BuildArgs["VERSION"]; set {
		problems = append(problems, check.Invalid("buildArgs", "VERSION", "must not set VERSION: it is the image's tag")...)
	}
	return problems
}

var (
	// platformForm has the architectures that Go and the base images know, so that a slip does not end in a failed build.
	platformForm = regexp.MustCompile(`^linux/(386|amd64|arm|arm64|ppc64le|riscv64|s390x)(/v[0-9])?$`)
	buildArgForm = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	digestForm   = regexp.MustCompile(`^[^@]+@sha256:[0-9a-f]{64}$`)
)

// tagLength is how many hexadecimal digits of the content hash make the tag: 64 bits, so that even a million builds
// collide with a probability below 1 in 10 million, and a diff stays readable.
const tagLength = 16

// Image is a container image in a registry. Its tag is a hash of the build context: an unchanged app gives no diff on
// any machine, a changed one gives a diff that shows both tags, and a tag never means two images. A preview needs
// neither a Docker daemon nor a login.
type Image struct {
	pulumi.ResourceState

	// Ref is repository@sha256:..., the only name that cannot come to mean something else.
	Ref pulumi.StringOutput
}

// NewImage builds and pushes the image described by args.
func NewImage(ctx *pulumi.Context, name string, args *ImageArgs, opts ...pulumi.ResourceOption) (*Image, error) {
	problems := args.Validate()
	tag, err := "", error(nil)
	if len(problems) == 0 {
		if tag, err = args.tag(); err != nil {
			problems = check.Invalid("context", args.Context, "must be a folder that can be built: "+err.Error())
		}
	}
	inputs := pulumi.Map{"repository": args.Repository, "context": pulumi.String(args.Context), "tag": pulumi.String(tag)}
	image := &Image{}
	if err := register(ctx, "Image", name, problems, inputs, image, opts); err != nil {
		return nil, err
	}

	built, err := docker.NewImage(ctx, name, &docker.ImageArgs{
		ImageName:      pulumi.Sprintf("%s:%s", args.Repository, tag),
		Build:          args.build(tag),
		BuildOnPreview: pulumi.Bool(false), // a preview would show a local image ID that is never deployed
		Registry:       args.registry(),
	}, pulumi.Parent(image))
	if err != nil {
		return nil, creating("image", name, err)
	}
	image.Ref = built.RepoDigest.ApplyT(checkDigest).(pulumi.StringOutput)
	return image, ctx.RegisterResourceOutputs(image, pulumi.Map{"ref": image.Ref, "tag": pulumi.String(tag)})
}

// tag hashes the context and everything else that decides what the image holds.
func (s *ImageSettings) tag() (string, error) {
	content, err := ContentHash(s.Context)
	if err != nil {
		return "", err
	}
	// JSON writes a map in the order of its keys.
	recipe, err := json.Marshal(map[string]any{"content": content, "platform": s.Platform, "args": s.BuildArgs})
	return fmt.Sprintf("%x", sha256.Sum256(recipe))[:tagLength], err
}

func (a *ImageArgs) build(tag string) *docker.DockerBuildArgs {
	buildArgs := pulumi.StringMap{"VERSION": pulumi.String(tag)}
	for name, value := range a.BuildArgs {
		buildArgs[name] = pulumi.String(value)
	}
	return &docker.DockerBuildArgs{
		Context:    pulumi.String(a.Context),
		Dockerfile: pulumi.String(filepath.ToSlash(filepath.Join(a.Context, "Dockerfile"))),
		Platform:   pulumi.String(a.Platform),
		Args:       buildArgs,
	}
}

func (a *ImageArgs) registry() *docker.RegistryArgs {
	registry := &docker.RegistryArgs{Server: a.Repository.ToStringOutput().ApplyT(func(repository string) string {
		return strings.Split(repository, "/")[0]
	}).(pulumi.StringOutput)}
	if a.Username != "" {
		registry.Username = pulumi.String(a.Username)
		registry.Password = pulumi.ToSecret(a.Password).(pulumi.StringOutput)
	}
	return registry
}

// checkDigest refuses a reference that is not by digest: the Docker provider returns a local image ID where a push
// went wrong (pulumi-docker#778, #812), and nodes would look for that in vain.
func checkDigest(ref string) (string, error) {
	if !digestForm.MatchString(ref) {
		return "", fmt.Errorf("the pushed image has the reference %q, not repository@sha256:<digest>; "+
			"check that the registry accepted the push", ref)
	}
	return ref, nil
}
