//go:build e2e

package e2e

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// podinfo is an image that follows none of the conventions of this repository. PODINFO sets a mirror of it.
const podinfo = "ghcr.io/stefanprodan/podinfo:6.9.2"

// The pods of the other apps request so little CPU that otherLoad needs otherMax of them.
const (
	otherMin, otherMax = 2, 4
	otherLoad          = 100 // visits a second
	// otherRoutine is far below the target of the autoscaler.
	otherRoutine = 10
)

// otherSettings are the settings that both other apps share.
var otherSettings = []string{
	"scaleout:metricsPort", "0", "scaleout:drainDelayVariable", `""`, "scaleout:drainTimeoutVariable", `""`,
	"scaleout:minReplicas", fmt.Sprint(otherMin), "scaleout:maxReplicas", fmt.Sprint(otherMax),
	"scaleout:scaleDownWindowSeconds", "30", "scaleout:loadBalancerDelaySeconds", "5",
}

// TestOtherApps: two apps that are independent of this repository are deployed by their stack files alone: a Python
// program behind gunicorn with its own variable names for Redis, and a finished image without Redis. Each serves,
// rolls out a change under load without a lost request, scales out and in, and leaves nothing behind.
func TestOtherApps(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	whole, base := t, up(t)
	for _, app := range []struct {
		name      string
		settings  func(*testing.T) []string
		change    []string // a change that replaces the pods
		uncounted bool
	}{{
		name: "Flask behind gunicorn, built from `examples/flask/app`",
		settings: func(*testing.T) []string {
			return []string{
				"scaleout:buildContext", "examples/flask/app", "scaleout:port", "8000",
				"scaleout:livePath", "/live", "scaleout:readyPath", "/ready", "scaleout:memoryLimit", "192Mi",
				"scaleout:redisEnvironment", "{host: REDIS_HOST, port: REDIS_PORT, password: REDIS_PASSWORD}",
				"scaleout:cpuRequest", "50m", "scaleout:targetCpuUtilization", "60",
			}
		},
		change: []string{"scaleout:environment", `{FLASK_ENV: "next"}`},
	}, {
		name: "podinfo 6.9.2, a finished image",
		settings: func(t *testing.T) []string {
			return []string{
				"scaleout:image", inRegistry(t, cmp.Or(os.Getenv("PODINFO"), podinfo), base.Image),
				"scaleout:imageRepository", `""`, "scaleout:redis", "false", "scaleout:port", "9898",
				"scaleout:livePath", "/healthz", "scaleout:readyPath", "/readyz",
				"scaleout:cpuRequest", "50m", "scaleout:targetCpuUtilization", "10",
			}
		},
		change:    []string{"scaleout:args", "[/usr/local/bin/podinfo, --level=warn]"},
		uncounted: true,
	}} {
		t.Run(app.name, func(t *testing.T) {
			start := time.Now()
			o := beside(t, append(app.settings(t), otherSettings...)...)
			took := time.Since(start)
			client := clientset(t)
			explainFailure(t, client, o.Namespace)
			visitors := crowd{
				url: base.URL, host: besideName + ".localhost",
				kept: otherRoutine, fresh: otherRoutine, uncounted: app.uncounted,
			}
			old := podNames(t, client, o.Namespace)
			traffic := visitors.visit(t)
			time.Sleep(2 * time.Second)
			changeBeside(t, app.change...)
			runBeside(t, "up")
			waitGone(t, client, o.Namespace, old)
			rollout := traffic.leave()
			rollout.expectNoLoss(t)

			autoscaler := watched{client, o.Namespace, o.HPA}
			autoscaler.until(t, otherMin) // the rollout can have taken CPU for more pods
			visitors.kept, visitors.fresh = otherLoad, otherRoutine
			traffic = visitors.visit(t)
			out := autoscaler.until(t, otherMax)
			traffic.leave() // losses depend on this machine; TestScaling measures those of scaling
			in := autoscaler.until(t, otherMin)

			runBeside(t, "down")
			left := leftOfBeside(t)
			if len(left) > 0 {
				t.Errorf("make down left %s", strings.Join(left, ", "))
			}
			record(whole, "otherapps", app.name, seconds(took),
				fmt.Sprintf("%d of %d", rollout.failed, rollout.ok+rollout.failed),
				fmt.Sprintf("%d to %d in %s", otherMin, otherMax, seconds(out)), seconds(in), fmt.Sprint(len(left)))
		})
	}
}

// inRegistry copies an image to the registry of another one, and returns its reference by digest.
func inRegistry(t *testing.T, image, like string) string {
	t.Helper()
	name, _, _ := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	repository := like[:strings.LastIndex(like, "/")] + "/e2e-" + name
	if exec.Command("docker", "image", "inspect", image).Run() != nil {
		docker(t, "pull", "--quiet", image)
	}
	docker(t, "tag", image, repository+":e2e")
	docker(t, "push", "--quiet", repository+":e2e")
	digests := docker(t, "image", "inspect", "--format", `{{join .RepoDigests " "}}`, image)
	for _, reference := range strings.Fields(digests) {
		if strings.HasPrefix(reference, repository+"@") {
			return reference
		}
	}
	t.Fatalf("%s has no digest in %s", image, repository)
	return ""
}
