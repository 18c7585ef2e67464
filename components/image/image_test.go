package image

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/offline"
)

// inFolder copies the test's context to a new working directory, which also contains the staged tree.
func inFolder(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS("testdata")))
	t.Chdir(dir)
}

func valid() *Args {
	return &Args{Repository: pulumi.String("localhost:5001/app"), Context: "context", Platform: "linux/amd64"}
}

// built returns the inputs of a component's Docker image.
func built(t *testing.T, args *Args) map[string]any {
	t.Helper()
	result, err := offline.Record(func(ctx *pulumi.Context) error {
		image, err := New(ctx, "app", args)
		if err == nil {
			ctx.Export("ref", image.Ref)
		}
		return err
	})
	must(t, err)
	if _, unknown := result.Exports["ref"].(offline.Unknown); !unknown {
		t.Errorf("before the push the reference is %v, want it unknown, because the digest does not exist yet",
			result.Exports["ref"])
	}
	const want = "urn:pulumi:test::scaleout::scaleout:index:Image$docker:index/image:Image::app"
	for _, r := range result.Resources {
		if r.URN == want {
			return r.Inputs
		}
	}
	t.Fatalf("there is no %s: a changed URN replaces the image of every stack", want)
	return nil
}

func tagOf(t *testing.T, args *Args) string {
	t.Helper()
	name, _ := built(t, args)["imageName"].(string)
	tag, found := strings.CutPrefix(name, "localhost:5001/app:")
	if !found || len(tag) != tagLength {
		t.Fatalf("got image name %q, want localhost:5001/app:<%d digits>", name, tagLength)
	}
	return tag
}

func TestImage(t *testing.T) {
	inFolder(t)
	args := valid()
	args.BuildArgs = map[string]string{"GOPROXY": "direct"}
	args.Username, args.Password = "me", pulumi.String("secret")
	tag, inputs := tagOf(t, args), built(t, args)
	for path, want := range map[string]any{
		"build/context": stagingFolder + "/" + tag, "build/dockerfile": stagingFolder + "/" + tag + "/Dockerfile",
		"build/platform": "linux/amd64", "build/args/VERSION": tag, "build/args/GOPROXY": "direct",
		"registry/server": "localhost:5001", "registry/username": "me", "buildOnPreview": false,
	} {
		steps := []any{}
		for step := range strings.SplitSeq(path, "/") {
			steps = append(steps, step)
		}
		if got := offline.Lookup(inputs, steps...); got != want {
			t.Errorf("%s: got %v, want %v", path, got, want)
		}
	}
	if _, secret := offline.Lookup(inputs, "registry", "password").(offline.Secret); !secret {
		t.Error("the password is not a secret")
	}
}

func TestTagHasAllThatDecidesTheImage(t *testing.T) {
	inFolder(t)
	files{"context/sub/Dockerfile": "FROM scratch"}.writeTo(t, ".")
	tags := map[string]string{}
	for name, change := range map[string]func(*Args){
		"nothing":          func(*Args) {},
		"platform":         func(a *Args) { a.Platform = "linux/arm64" },
		"build argument":   func(a *Args) { a.BuildArgs = map[string]string{"A": "1"} },
		"another value":    func(a *Args) { a.BuildArgs = map[string]string{"A": "2"} },
		"revision":         func(a *Args) { a.Revision = "2026-12" },
		"another revision": func(a *Args) { a.Revision = "2027-01" },
		"Dockerfile":       func(a *Args) { a.Dockerfile = "sub/Dockerfile" },
	} {
		args := valid()
		change(args)
		tag := tagOf(t, args)
		if other, taken := tags[tag]; taken {
			t.Errorf("%s and %s: got one tag, want two", name, other)
		}
		tags[tag] = name
	}
	before := tagOf(t, valid())
	must(t, os.Rename("context", "moved"))
	args := valid()
	args.Context, args.Username, args.Password = "moved", "me", pulumi.String("secret")
	if after := tagOf(t, args); after != before {
		t.Errorf("got %s, want %s: the folder's name or the login is part of the tag", after, before)
	}
}

func TestValidate(t *testing.T) {
	inFolder(t)
	tests := map[string]struct {
		change func(*Args)
		want   []string
	}{
		"nothing wrong":             {func(*Args) {}, nil},
		"a Dockerfile with a point": {func(a *Args) { a.Dockerfile = "./Dockerfile" }, nil},
		"everything": {func(a *Args) {
			*a = Args{Dockerfile: "../Dockerfile", BuildArgs: map[string]string{"VERSION": "1", "A-B": ""}, Username: "me"}
		}, []string{"buildArgs", "buildArgs", "context", "dockerfile", "platform", "repository", "username"}},
		"repository":            {func(a *Args) { a.Repository = pulumi.String("org/app") }, []string{"repository"}},
		"password alone":        {func(a *Args) { a.Password = pulumi.String("x") }, []string{"username"}},
		"absolute Dockerfile":   {func(a *Args) { a.Dockerfile = "/Dockerfile" }, []string{"dockerfile"}},
		"pattern of Dockerfile": {func(a *Args) { a.Dockerfile = "*.Dockerfile" }, []string{"dockerfile"}},
	}
	for name, test := range tests {
		args := valid()
		test.change(args)
		var got []string
		for _, problem := range append(args.Validate(), args.checkInputs()...) {
			got = append(got, problem.Field)
		}
		slices.Sort(got)
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got problems with %q, want %q", name, got, test.want)
		}
	}
}

// Problems of the folder and of the arguments are in the same message.
func TestNewRefuses(t *testing.T) {
	inFolder(t)
	tests := map[string]struct {
		change func(*Args)
		want   []string
	}{
		"no folder": {
			func(a *Args) { a.Context, a.Platform = "missing", "arm64" }, []string{"context: ", "missing", "platform: "},
		},
		"no Dockerfile": {func(a *Args) { a.Dockerfile = "other" }, []string{"context: ", "context/other"}},
		"a repository known later on": {
			func(a *Args) { a.Repository = pulumi.String("org/app").ToStringOutput() }, []string{"repository: "},
		},
	}
	for name, test := range tests {
		args := valid()
		test.change(args)
		result, err := offline.Record(func(ctx *pulumi.Context) error {
			_, err := New(ctx, "app", args)
			return err
		})
		if err == nil {
			t.Errorf("%s: got %v, want an error", name, result)
			continue
		}
		for _, want := range test.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got error %v, want one with %q", name, err, want)
			}
		}
	}
}

func TestCheckReference(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("0a", 32)
	for _, good := range []string{
		"localhost:5001/app" + digest, "localhost:5001/app:1.2" + digest, "docker.io/library/nginx" + digest,
		"docker.io/org/app:latest" + digest, "registry.example/a/b/c" + digest,
	} {
		if problems := CheckReference("image", good); problems != nil {
			t.Errorf("%q: got %v, want it accepted", good, problems)
		}
		if got, err := checkPushed(good); err != nil || got != good {
			t.Errorf("%q after a push: got %q, %v, want it accepted", good, got, err)
		}
	}
	for _, bad := range []string{
		"", "app", "app" + digest, "org/app" + digest, "Org/app" + digest, "localhost:5001/app", "localhost:5001/app:1.2",
		"localhost:5001/app" + digest + "0", digest[1:], "<none>@<none>", "https://r.example/app" + digest,
		"r.example/App" + digest, "r.example/app@sha512:" + strings.Repeat("0a", 64),
	} {
		problems := CheckReference("image", bad)
		if len(problems) != 1 || problems[0].Field != "image" || !strings.Contains(problems[0].Detail, "imagetools inspect") {
			t.Errorf("%q: got %v, want one problem that explains how to find the digest", bad, problems)
		}
		if _, err := checkPushed(bad); err == nil || !strings.Contains(err.Error(), "push") {
			t.Errorf("%q after a push: got %v, want an error about the push", bad, err)
		}
	}
}
