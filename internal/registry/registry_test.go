package registry

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// must returns the value of a call that does not fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// serve starts a registry on this machine, or one that responds to everything with a status, and returns its address.
func serve(t *testing.T, status int) string {
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no login of this machine
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	if status != 0 {
		handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// push puts an image, or an index with an image for each platform, into a repository, and returns its reference.
func push(t *testing.T, repository string, platforms ...string) string {
	index, tag, err := v1.ImageIndex(empty.Index), must(name.NewTag(repository+":built")), error(nil)
	for _, p := range platforms {
		platform, image := must(v1.ParsePlatform(p)), must(random.Image(1000, 2))
		config := must(image.ConfigFile())
		config.OS, config.Architecture, config.Variant = platform.OS, platform.Architecture, platform.Variant
		image = must(mutate.ConfigFile(image, config))
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
		err = remote.Write(tag, image)
	}
	if len(platforms) > 1 {
		err = remote.WriteIndex(tag, index)
	}
	if err != nil {
		t.Fatal(err)
	}
	return repository + "@" + must(remote.Head(tag)).Digest.String()
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("got error %v, want %q in it", err, p)
		}
	}
}

func TestFind(t *testing.T) {
	host := serve(t, 0)
	missing := host + "/app@sha256:" + strings.Repeat("1", 64)
	for _, tt := range []struct {
		name, reference, platform string
		want                      []string // of the error
	}{
		{"an image", push(t, host+"/app", "linux/amd64"), "linux/amd64", nil},
		{"an image of a variant", push(t, host+"/app", "linux/arm64/v8"), "linux/arm64", nil},
		{"an image without a variant", push(t, host+"/app", "linux/arm64"), "linux/arm64/v8", nil},
		{"an index", push(t, host+"/app", "linux/arm64/v8", "linux/amd64"), "linux/arm64", nil},
		{"another platform", push(t, host+"/app", "linux/arm64"), "linux/amd64",
			[]string{"built for linux/arm64", "imagePlatform of the nodes is linux/amd64"}},
		{"an index for other platforms", push(t, host+"/app", "linux/arm64", "linux/s390x"), "linux/amd64",
			[]string{"no child with platform linux/amd64", "imagePlatform linux/amd64"}},
		{"expired", missing, "linux/amd64", []string{missing, "no longer, in its registry", "ecrKeepImages"}},
		{"a tag", host + "/app:built", "linux/amd64", []string{`app:built"`, "<repository>@sha256:<digest>"}},
		{"no platform", missing, "a/b/c/d", []string{`scaleout:imagePlatform "a/b/c/d"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found, err := Find(t.Context(), tt.reference, tt.platform)
			wantError(t, err, tt.want...)
			if tt.want == nil && must(found, err).Digest.String() != tt.reference[len(host+"/app@"):] {
				t.Errorf("got %s, want %s", found.Digest, tt.reference)
			}
		})
	}
}

// TestCopy checks that the copy keeps the digest and all platforms, and that a tag keeps the registry from expiring it.
func TestCopy(t *testing.T) {
	host, target := serve(t, 0), serve(t, 0)
	for _, platforms := range [][]string{{"linux/amd64"}, {"linux/arm64/v8", "linux/amd64"}} {
		from := push(t, host+"/team/app", platforms...)
		_, digest, _ := strings.Cut(from, "@sha256:")
		must(Attach(t.Context(), from, "application/vnd.test", map[string]string{"result": "passed"}, []byte("report")))
		found, tag := must(Find(t.Context(), from, "linux/amd64")), target+"/live:promoted-"+digest[:16]
		for _, want := range []string{"copied to " + target + "/live, the digest is the same; tag promoted-" + digest[:16] +
			"; attachments: 1", "exists there; attachments: 1"} {
			if got := must(Copy(t.Context(), from, found, target+"/live@sha256:"+digest)); got != want {
				t.Errorf("%v: got %q, want %q", platforms, got, want)
			}
		}
		attached := must(Attached(t.Context(), target+"/live@sha256:"+digest, "application/vnd.test"))
		if len(attached) != 1 || attached[0]["result"] != "passed" {
			t.Errorf("%v: attached to the copy: got %v", platforms, attached)
		}
		copied := must(remote.Get(must(name.NewTag(tag))))
		if copied.Digest.Hex != digest {
			t.Errorf("%v: got %s, want %s", platforms, copied.Digest, digest)
		}
		if copied.MediaType.IsIndex() != (len(platforms) > 1) {
			t.Errorf("%v: got %s", platforms, copied.MediaType)
		} else if len(platforms) > 1 {
			must(0, validate.Index(must(copied.ImageIndex())))
		} else {
			must(0, validate.Image(must(copied.Image())))
		}
	}
}

// TestRefused checks that the error says how to log in, or that the repository does not exist.
func TestRefused(t *testing.T) {
	const ecr = "111122223333.dkr.ecr.eu-central-1.amazonaws.com"
	from := push(t, serve(t, 0)+"/app", "linux/amd64")
	_, digest, _ := strings.Cut(from, "@")
	found := must(Find(t.Context(), from, "linux/amd64"))
	for status, want := range map[int]string{
		http.StatusUnauthorized: "docker login ", http.StatusForbidden: "docker login ",
		http.StatusNotFound: "create the repository first", http.StatusTeapot: "418",
	} {
		host, login := serve(t, status), want == "docker login "
		_, err := Copy(t.Context(), from, found, host+"/live@"+digest)
		wantError(t, err, host, want)
		_, err = Find(t.Context(), host+"/live@"+digest, "linux/amd64")
		wantError(t, err, host)
		if got := strings.Contains(err.Error(), "docker login "+host); got != login || NotFound(err) != (status == 404) {
			t.Errorf("%d: got %v, want a login: %t", status, err, login)
		}
		if login {
			wantError(t, addLogin(must(name.NewDigest(ecr+"/app@"+digest)), err),
				"aws ecr get-login-password --region <region> | docker login", ecr)
		}
	}
	for registry, want := range map[string]bool{ecr: true, "ghcr.io": false, "localhost:5001": false} {
		if got := IsECR(registry); got != want {
			t.Errorf("%s: got %t, want %t", registry, got, want)
		}
	}
}
