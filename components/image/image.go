// Package image builds an image from a folder, tags it by its content and pushes it. It also validates references.
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

// Args describes what to build and where to push it.
type Args struct {
	// Repository to push the image to, without a tag, e.g. localhost:5001/scaleout. Required.
	Repository pulumi.StringInput
	// Context is the folder to build, relative to the program. .dockerignore applies (see ContentHash). Required.
	Context string
	// Dockerfile is the path of the Dockerfile, relative to Context and inside it. An ignore file beside it, such as
	// app.Dockerfile.dockerignore, replaces .dockerignore. The default is Dockerfile.
	Dockerfile string
	// Platform to build for, e.g. linux/amd64: on nodes of another platform the image fails with "exec format error".
	// Required.
	Platform string
	// BuildArgs are the values of the Dockerfile's ARG lines. They are part of the tag. The component sets VERSION.
	BuildArgs map[string]string
	// Username for the registry. Empty for the credentials of the host's Docker config, without a token in the state.
	Username string
	// Password for Username. Kept as a secret.
	Password pulumi.StringInput
	// Revision is any text, e.g. a date. It is part of the tag, so changing it rebuilds the same content, for example to
	// get the fixes of a base image whose tag was moved. A Dockerfile that pins its base by digest does not need it.
	Revision string
}

// Validate reports every invalid argument that can be checked before other resources exist.
func (a *Args) Validate() field.ErrorList {
	_, hasVersion := a.BuildArgs["VERSION"]
	problems := slices.Concat(
		check.Match("platform", a.Platform, platformForm, "must be a Linux platform such as linux/amd64 or linux/arm64"),
		check.That(a.Context != "", "context", a.Context, "must be the path of a folder"),
		check.That(a.hasDockerfile(), "dockerfile", a.Dockerfile, "must be a path inside the context, "+
			"of letters, digits, ., _, - and /, such as build/app.Dockerfile"),
		check.That(!hasVersion, "buildArgs", "VERSION", "must not set VERSION: it is the image's tag"),
	)
	for _, name := range slices.Sorted(maps.Keys(a.BuildArgs)) {
		problems = append(problems, check.Variable("buildArgs", name)...)
	}
	return problems
}

// checkInputs validates the inputs that other resources may produce, as far as they are known.
func (a *Args) checkInputs() field.ErrorList {
	problems := check.Set("repository", a.Repository != nil)
	if repository, known := a.Repository.(pulumi.String); known {
		problems = check.Repository("repository", string(repository))
	}
	return append(problems, check.That((a.Username == "") == (a.Password == nil), "username", a.Username,
		"must be given together with a password")...)
}

var (
	// dockerfileForm excludes characters with a meaning in ignore files.
	dockerfileForm = regexp.MustCompile(`^[A-Za-z0-9._/-]+$`)
	// platformForm lists the architectures of Go and the base images, so that a typo is reported before the build.
	platformForm = regexp.MustCompile(`^linux/(386|amd64|arm|arm64|ppc64le|riscv64|s390x)(/v[0-9])?$`)
)

func (a *Args) dockerfile() string { return path.Clean(cmp.Or(a.Dockerfile, "Dockerfile")) }

func (a *Args) hasDockerfile() bool {
	return dockerfileForm.MatchString(a.dockerfile()) && filepath.IsLocal(a.dockerfile())
}

// tagLength in hexadecimal digits: 64 bits, enough to avoid collisions within a repository.
const tagLength = 16

// Image is a container image in a registry. Its tag is a hash of the build inputs: an unchanged app has no diff on
// any machine, a changed app has a diff that shows both tags, and the pushed image is built from exactly the content
// that was hashed, even if the folder changes meanwhile. A preview needs neither a Docker daemon nor a login.
//
// Two builds of the same content are still different images, because time stamps and base images differ. Nodes
// therefore pull Ref, not the tag. Going back to an old commit pushes its tag again, which a registry with immutable
// tags rejects: delete the tag there, or change Revision.
type Image struct {
	pulumi.ResourceState

	// Ref is repository@sha256:..., the only kind of reference that is immutable.
	Ref pulumi.StringOutput
}

// New builds and pushes the image described by args.
func New(ctx *pulumi.Context, name string, args *Args, opts ...pulumi.ResourceOption) (*Image, error) {
	args = cmp.Or(args, &Args{})
	problems := append(args.Validate(), args.checkInputs()...)
	tag, staged, err := args.stage()
	if err != nil {
		problems = append(problems, check.Invalid("context", args.Context,
			"must be a folder that can be built: "+err.Error())...)
	}
	image := &Image{}
	b, err := component.Register(ctx, "scaleout:index", "Image", name, problems, image, opts)
	if err != nil {
		return nil, err
	}

	buildArgs := pulumi.ToStringMap(args.BuildArgs)
	buildArgs["VERSION"] = pulumi.String(tag)
	built := component.Create(b, docker.NewImage, "", &docker.ImageArgs{
		ImageName: pulumi.Sprintf("%s:%s", args.Repository, tag),
		Build: &docker.DockerBuildArgs{
			Context:    pulumi.String(staged),
			Dockerfile: pulumi.String(path.Join(staged, args.dockerfile())),
			Platform:   pulumi.String(args.Platform),
			Args:       buildArgs,
		},
		BuildOnPreview: pulumi.Bool(false), // a preview would show a local image ID that is never deployed
		Registry:       args.registry(),
	})
	if err := b.Err(); err != nil {
		return nil, err
	}
	image.Ref = built.RepoDigest.ApplyT(checkPushed).(pulumi.StringOutput)
	return image, b.Finish(pulumi.Map{"ref": image.Ref, "tag": pulumi.String(tag)})
}

// stage hashes the context and all other build inputs, and copies the context to the folder that is built.
func (a *Args) stage() (tag, staged string, err error) {
	if a.Context == "" || !a.hasDockerfile() { // Validate reports it
		return "", "", nil
	}
	content, err := ContentHash(a.Context, a.dockerfile())
	if err != nil {
		return "", "", err
	}
	// JSON sorts the keys of a map. It has a form for every string.
	recipe, _ := json.Marshal(map[string]any{
		"content": content, "platform": a.Platform, "args": a.BuildArgs, "revision": a.Revision,
	})
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

// CheckReference accepts only the reference of an existing image: <registry>/<repository>@sha256:<64 digits>, with or
// without a tag before the @. A tag alone can be moved between two pods of one rollout, and cannot be rolled back.
// The registry is required, because Docker and a cluster may complete a short name differently.
func CheckReference(name, ref string) field.ErrorList {
	named, err := reference.ParseNormalizedNamed(ref)
	_, digested := named.(reference.Digested)
	valid := err == nil && digested && check.Image(name, ref) == nil && strings.HasPrefix(ref, reference.Domain(named)+"/")
	return check.That(valid, name, ref, "must be <registry>/<repository>@sha256:<64 digits>. "+
		"To find the digest of a tag, run `docker buildx imagetools inspect <registry>/<repository>:<tag>` "+
		"or `crane digest <registry>/<repository>:<tag>`")
}

// checkPushed rejects a reference without a digest, which nodes could not pull: if the local image has no digest for
// the repository, the Docker provider returns <none>@<none> (4.11.2, provider/image.go: getRepoDigest).
func checkPushed(ref string) (string, error) {
	if CheckReference("ref", ref) != nil {
		return "", fmt.Errorf("the pushed image has the reference %q, not repository@sha256:<digest>; "+
			"check that the registry accepted the push", ref)
	}
	return ref, nil
}
