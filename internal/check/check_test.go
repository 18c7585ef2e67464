package check

import (
	"strings"
	"testing"
)

var (
	digest256 = "@sha256:" + strings.Repeat("0a", 32)
	digest512 = "@sha512:" + strings.Repeat("0a", 64)
)

func TestImage(t *testing.T) {
	for _, good := range []string{
		"redis:8.2", "redis" + digest256, "redis:8.2" + digest256, "redis:latest" + digest256,
		"org/app:1", "a.b/c__d/e-f.g:v1",
		"localhost/app:1", "localhost:5001/app:1", "docker.io/library/nginx:stable-alpine", "host:5000/app:1", "r.io/app:" +
			strings.Repeat("1", 128),
	} {
		if problems := Image("image", good); problems != nil {
			t.Errorf("%q: got %v, want it accepted", good, problems)
		}
	}
	for _, bad := range []string{
		"", "redis", "redis:", "redis:latest", "localhost:5001/redis", "Redis:8.2", "Bitnami/redis:8.2", "redis@sha256:0a1b",
		"redis" + strings.ToUpper(digest256), "redis" + strings.Replace(digest256, "0a", "0A", 1), "redis" + digest512,
		"redis@sha512:" + strings.Repeat("0a", 32), "redis:8.2:8.3", "redis:8.2 alpine", "https://docker.io/redis:8.2",
		"redis:" + strings.Repeat("1", 129), "a//b:1", "/a:1", "a/:1", "r.io/" + strings.Repeat("a", 256) + ":1",
		strings.Repeat("0a", 32), "redis:8.2\n", "redis:8.2@", "-a:1",
	} {
		if problems := Image("image", bad); len(problems) != 1 || problems[0].Field != "image" {
			t.Errorf("%q: got %v, want one problem with the image", bad, problems)
		}
	}
}

func TestRepository(t *testing.T) {
	for _, good := range []string{
		"localhost:5001/scaleout", "localhost/app", "docker.io/app", "docker.io/org/app", "host:5000/a/b/c",
		"111122223333.dkr.ecr.eu-central-1.amazonaws.com/scaleout",
	} {
		if problems := Repository("repository", good); problems != nil {
			t.Errorf("%q: got %v, want it accepted", good, problems)
		}
	}
	for _, bad := range []string{
		"", "app", "team/app", "[fd00::1]:5000/app", "Team/app", "localhost:5001", "example.com", "localhost:5001/app:v1", "localhost:5001/app/",
		"localhost:5001/app" + digest256, "localhost:5001/App", "https://localhost:5001/app", "r.io//app", "r.io/ app",
	} {
		if problems := Repository("repository", bad); len(problems) != 1 || problems[0].Field != "repository" {
			t.Errorf("%q: got %v, want one problem with the repository", bad, problems)
		}
	}
}

// Who has a registry at an IPv6 address is told that this is the reason.
func TestRepositoryAtIPv6(t *testing.T) {
	if problems := Repository("repository", "[fd00::1]:5000/app"); len(problems) != 1 || !strings.Contains(problems[0].Error(), "IPv6") {
		t.Errorf("got %v, want a refusal of the IPv6 address", problems)
	}
}
