// Package image builds a container image from a folder and pushes it, tagged by its content, and checks the reference
// of one that is already built.
package image

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"github.com/pulumi/pulumi-docker/sdk/v4/go/docker"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// Args say what to build and where to push it.
type Args struct {
	// Repository is where the image goes, without a tag, e.g. localhost:5001/scaleout. Required.
	Repository pulumi.StringInput
	// Context is the folder to build, relative to the program; .dockerignore counts (see ContentHash). Required.
	Context string
	// Dockerfile is the path of the Dockerfile, relative to Context and inside it. An ignore file beside it, such as
	// app.Dockerfile.dockerignore, counts in place of .dockerignore. The default is Dockerfile.
	Dockerfile string
	// Platform to build for, e.g. linux/amd64: on nodes of another one the image ends in "exec format error". Required.
	Platform string
	// BuildArgs go to the Dockerfile's ARG lines. They are part of the tag. VERSION is set by the component.
	BuildArgs map[string]string
	// Username logs in to the registry. Without one the host's Docker config does, and no token gets into the state.
	Username string
	// Password for Username. Kept as a secret.
	Password pulumi.StringInput
	// Revision is any text, e.g. a date. It is part of the tag, so a change of it builds the same content once more,
	// to take the fixes of a base image whose tag has moved. A Dockerfile that names its base by digest needs none.
	Revision string
}

// Validate reports everything wrong with the arguments that is known before other resources exist.
func (a *Args) Validate() field.ErrorList {
	problems := check.Match("platform", a.Platform, platformForm, "must be one of Linux, e.g. linux/amd64 or linux/arm64")
	if a.Context == "" {
		problems = append(problems, check.Invalid("context", a.Context, "must be the path of a folder")...)
	}
	if !a.hasDockerfile() {
		problems = append(problems, check.Invalid("dockerfile", a.Dockerfile, "must be a path inside the context, "+
			"of letters, digits, ., _, - and /, such as build/app.Dockerfile")...)
	}
	for _, name := range slices.Sorted(maps.Keys(a.BuildArgs)) {
		problems = append(problems, check.Variable("buildArgs", name)...)
	}
	if _, set := a.BuildArgs["VERSION"]; set {
		problems = append(problems, check.Invalid("buildArgs", "VERSION", "must not set VERSION: it is the image's tag")...)
	}
	return problems
}

// checkInputs reports what is wrong with what other resources may produce, as far as it is known.
func (a *Args) checkInputs() field.ErrorList {
	problems := check.Set("repository", a.Repository != nil)
	if repository, known := a.Repository.(pulumi.String); known {
		problems = check.Repository("repository", string(repository))
	}
	if (a.Username == "") != (a.Password == nil) {
		problems = append(problems, check.Invalid("username", a.Username, "must be given together with a password")...)
	}
	return problems
}

var (
	// dockerfileForm has nothing in it that means something in an ignore file.
	dockerfileForm = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)
	// platformForm has the architectures that Go and the base images know, so that a slip does not end in a failed build.
	platformForm = regexp.MustCompile(`^linux/(386|amd64|arm|arm64|ppc64le|riscv64|s390x)(/v[0-9])?$`)
)

func (a *Args) dockerfile() string { return path.Clean(cmp.Or(a.Dockerfile, "Dockerfile")) }

func (a *Args) hasDockerfile() bool {
	return dockerfileForm.MatchString(a.dockerfile()) && filepath.IsLocal(a.dockerfile())
}

// tagLength in hexadecimal digits: 64 bits, so that no two contents of a repository meet.
const tagLength = 16

// Image is a container image in a registry. Its tag is a hash of what it is built from: an unchanged app gives no diff
// on any machine, a changed one gives a diff that shows both tags, and what is pushed under a tag was built from what
// the tag says, even if the folder changes meanwhile. A preview needs neither a Docker daemon nor a login.
//
// Two builds of one content are still two images, since time stamps and base images differ. Nodes get Ref, so the tag
// does not decide what runs. Going back to an old commit builds the old content again, which a registry with immutable
// tags refuses: delete the tag there, or change Revision.
type Image struct {
	pulumi.ResourceState

	// Ref is repository@sha256:..., the only name that cannot come to mean something else.
	Ref pulumi.StringOutput
}

// New builds and pushes the image described by args.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Image, error) {
	args = cmp.Or(args, &Args{})
	problems := append(args.Validate(), args.checkInputs()...)
	tag, staged := "", ""
	if args.Context != "" && args.hasDockerfile() {
		var err error
		if tag, staged, err = args.stage(); err != nil {
			problems = append(problems, check.Invalid("context", args.Context,
				"must be a folder that can be built: "+err.Error())...)
		}
	}
	image := &Image{}
	if err := component.Register(ctx, "scaleout:index", "Image", name, problems, image, opts); err != nil {
		return nil, err
	}

	context, buildArgs := filepath.ToSlash(staged), pulumi.ToStringMap(args.BuildArgs)
	buildArgs["VERSION"] = pulumi.String(tag)
	built, err := docker.NewImage(ctx, name, &docker.ImageArgs{
		ImageName: pulumi.Sprintf("%s:%s", args.Repository, tag),
		Build: &docker.DockerBuildArgs{
			Context:    pulumi.String(context),
			Dockerfile: pulumi.String(path.Join(context, args.dockerfile())),
			Platform:   pulumi.String(args.Platform),
			Args:       buildArgs,
		},
		BuildOnPreview: pulumi.Bool(false), // a preview would show a local image ID that is never deployed
		Registry:       args.registry(),
	}, pulumi.Parent(image))
	if err != nil {
		return nil, err
	}
	image.Ref = built.RepoDigest.ApplyT(checkPushed).(pulumi.StringOutput)
	return image, ctx.RegisterResourceOutputs(image, pulumi.Map{"ref": image.Ref, "tag": pulumi.String(tag)})
}

// stage hashes the context and everything else that decides what the image holds, and fixes what is built.
func (a *Args) stage() (tag, staged string, err error) {
	content, err := ContentHash(a.Context, a.dockerfile())
	if err != nil {
		return "", "", err
	}
	// JSON writes a map in the order of its keys.
	recipe, err := json.Marshal(map[string]any{
		"content": content, "platform": a.Platform, "args": a.BuildArgs, "revision": a.Revision,
	})
	if err != nil {
		return "", "", err
	}
	tag = fmt.Sprintf("%x", sha256.Sum256(recipe))[:tagLength]
	staged, err = stage(a.Context, a.dockerfile(), tag, content)
	return tag, staged, err
}

func (a *Args) registry() *docker.RegistryArgs {
	registry := &docker.RegistryArgs{Server: a.Repository.ToStringOutput().ApplyT(func(repository string) (string, error) {
		if err := check.Join("Image", check.Repository("repository", repository)); err != nil {
			return "", err
		}
		return strings.Split(repository, "/")[0], nil
	}).(pulumi.StringOutput)}
	if a.Username != "" {
		registry.Username = pulumi.String(a.Username)
		registry.Password = pulumi.ToSecret(a.Password).(pulumi.StringOutput)
	}
	return registry
}

// CheckReference wants the reference of a finished image: <registry>/<repository>@sha256:<64 digits>, with or without a
// tag before the @. A tag alone can come to mean another image between two pods of one rollout, and names nothing to go
// back to. The registry is given, since Docker and a cluster may complete a name in two ways.
func CheckReference(name, ref string) field.ErrorList {
	named, err := reference.ParseNormalizedNamed(ref)
	if err == nil && check.Image(name, ref) == nil && strings.HasPrefix(ref, reference.Domain(named)+"/") {
		if _, ok := named.(reference.Digested); ok {
			return nil
		}
	}
	return check.Invalid(name, ref, "must be <registry>/<repository>@sha256:<64 digits>. "+
		"The digest of a tag is in the answer of `docker buildx imagetools inspect <registry>/<repository>:<tag>` "+
		"and of `crane digest <registry>/<repository>:<tag>`")
}

// checkPushed refuses a reference without a digest, which nodes would look for in vain: where the local image has none
// for the repository, the Docker provider returns <none>@<none> (4.11.2, provider/image.go: getRepoDigest).
func checkPushed(ref string) (string, error) {
	if CheckReference("ref", ref) != nil {
		return "", fmt.Errorf("the pushed image has the reference %q, not repository@sha256:<digest>; "+
			"check that the registry accepted the push", ref)
	}
	return ref, nil
}
