package main

import (
	"strings"
	"testing"

	"example.com/scaleout/internal/componenttest"
	"example.com/scaleout/offline"
)

// dockerContainers returns the containers of a stack on a Docker host, by name.
func dockerContainers(result *offline.Result) map[string]map[string]any {
	found := map[string]map[string]any{}
	for _, r := range result.Resources {
		if r.Type == "docker:index/container:Container" {
			found[r.Name] = r.Inputs
		}
	}
	return found
}

// Docker enforces no Pod Security Standard, so this test checks its rules.
func TestDockerContainersAreRestricted(t *testing.T) {
	for stack, result := range onDocker() {
		for name, inputs := range dockerContainers(result) {
			for path, want := range map[string]any{
				"privileged": nil, "networkMode": nil, "pidMode": nil, "restart": "unless-stopped",
			} {
				if got := inputs[path]; got != want {
					t.Errorf("%s: %s: %s is %v, want %v", stack, name, path, got, want)
				}
			}
			if offline.Lookup(inputs, "capabilities", "drops", 0) != "ALL" ||
				offline.Lookup(inputs, "capabilities", "adds") != nil {
				t.Errorf("%s: %s keeps capabilities", stack, name)
			}
			if got := offline.Lookup(inputs, "securityOpts", 0); got != "no-new-privileges" {
				t.Errorf("%s: %s may gain privileges: %v", stack, name, got)
			}
			if user, _ := inputs["user"].(string); user == "" ||
				strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
				t.Errorf("%s: %s runs as %q", stack, name, user)
			}
			if memory, _ := inputs["memory"].(int64); memory <= 0 {
				t.Errorf("%s: %s has no memory limit", stack, name)
			}
			for _, key := range []string{"max-size", "max-file"} {
				if offline.Lookup(inputs, "logOpts", key) == nil {
					t.Errorf("%s: the log of %s grows without limit: no %s", stack, name, key)
				}
			}
			unchecked := strings.HasPrefix(name, "web-") && variants[stack].noRedis
			if !unchecked && (inputs["wait"] != true || offline.Lookup(inputs, "healthcheck", "tests") == nil) {
				t.Errorf("%s: pulumi up does not wait until %s is healthy", stack, name)
			}
			volumes, _ := inputs["volumes"].([]any)
			for _, volume := range volumes {
				if path := offline.Lookup(volume, "hostPath"); path != nil {
					t.Errorf("%s: %s mounts host path %v", stack, name, path)
				}
			}
		}
	}
}

// Only nginx is reachable from outside the network, and only from this machine.
func TestDockerPublishesOnePortOnLoopback(t *testing.T) {
	for stack, result := range onDocker() {
		published := 0
		for name, inputs := range dockerContainers(result) {
			ports, _ := inputs["ports"].([]any)
			for _, port := range ports {
				published++
				if ip := offline.Lookup(port, "ip"); name != "nginx" || ip != "127.0.0.1" {
					t.Errorf("%s: %s publishes a port on %v", stack, name, ip)
				}
			}
		}
		if published != 1 {
			t.Errorf("%s: %d ports are published, want one", stack, published)
		}
	}
}

func TestNginxIsReadOnly(t *testing.T) {
	for stack, result := range onDocker() {
		nginx := dockerContainers(result)["nginx"]
		if nginx["readOnly"] != true || offline.Lookup(nginx, "tmpfs", "/tmp") == nil || nginx["uploads"] != nil {
			t.Errorf("%s: nginx can write to more than memory", stack)
		}
	}
}

// A finished image is deployed unchanged: a stack with one builds nothing, including the balancer on Docker.
func TestFinishedImagesBuildNothing(t *testing.T) {
	for _, stack := range []string{"dev-other-app", "prod-other-app", "docker-other-app"} {
		if componenttest.Has(results[stack], "Image") {
			t.Errorf("%s builds an image", stack)
		}
	}
	if !componenttest.Has(results["docker"], "Image") {
		t.Error("no stack builds an image, so this proves nothing")
	}
}

// The image of Redis or nginx changes only with the configuration.
func TestDockerImagesArePinned(t *testing.T) {
	for stack, result := range onDocker() {
		for _, r := range result.Resources {
			if r.Type == "docker:index/remoteImage:RemoteImage" {
				if name, _ := r.Inputs["name"].(string); !pinned.MatchString(name) {
					t.Errorf("%s: image %v is not an exact version", stack, name)
				}
			}
			if image := r.Inputs["image"]; strings.HasSuffix(r.Type, ":Container") {
				text, _ := image.(string)
				if _, unknown := image.(offline.Unknown); !unknown && !strings.Contains(text, "@sha256:") {
					t.Errorf("%s: %s runs %v, want the output of the image resource", stack, r.Name, image)
				}
			}
		}
	}
}
