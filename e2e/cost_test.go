//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// costStack is never deployed, so that a preview creates everything. It has no ingress controller and metrics-server,
// because those of the stack under test already have their ports and names.
const costStack = "cost"

func costStackFile(t *testing.T) string {
	t.Helper()
	setting := func(key string) string {
		return strings.TrimSpace(string(pulumi(t, "config", "get", key, "--stack", stackName())))
	}
	return `config:
  pulumi:disable-default-providers: [kubernetes]
  scaleout:target: kind
  scaleout:kubeContext: ` + setting("kubeContext") + `
  scaleout:imageRepository: ` + setting("imageRepository") + `
  scaleout:namespace: scaleout-cost
  scaleout:ingressClass: traefik
  scaleout:ingressNamespace: traefik
`
}

// cost is the time, memory and output of a command.
type cost struct {
	took time.Duration
	// megabytes is the peak memory of its largest process.
	megabytes int64
	printed   string
}

// costOf runs a command a number of times and returns the cost of the fastest run.
func costOf(t *testing.T, times int, dir string, environment []string, name string, args ...string) cost {
	t.Helper()
	best := cost{took: time.Hour}
	for range times {
		command := exec.Command(name, args...)
		command.Dir, command.Env = dir, environment
		start := time.Now()
		out, err := command.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
		}
		if took := time.Since(start); took < best.took {
			best = cost{took, megabytes(command.ProcessState), string(out)}
		}
	}
	return best
}

// megabytes returns the peak memory of a process that has ended, or of its largest child.
func megabytes(state *os.ProcessState) int64 {
	unit := int64(1024) // Linux counts kilobytes
	if runtime.GOOS == "darwin" {
		unit = 1
	}
	return state.SysUsage().(*syscall.Rusage).Maxrss * unit >> 20
}

// ownBackend returns an environment in which Pulumi keeps its state in a folder of this test.
func ownBackend(t *testing.T) []string {
	t.Helper()
	environment, err := pulumiEnvironment()
	if err != nil {
		t.Fatal(err)
	}
	environment = slices.DeleteFunc(slices.Clone(environment), func(variable string) bool {
		return strings.HasPrefix(variable, "PULUMI_CONFIG_PASSPHRASE")
	})
	return append(environment,
		"PULUMI_BACKEND_URL=file://"+t.TempDir(), "PULUMI_CONFIG_PASSPHRASE=cost", "PULUMI_OPTION_CWD=")
}

// TestCostOfScale measures previews of a program with up to 200 apps, offline and by the real engine against the real
// API server. Each app adds the same number of resources and about the same time.
func TestCostOfScale(t *testing.T) {
	requireTarget(t, "kind")
	measures(t)
	dir := variant(t, manyApps, edits{"Pulumi." + costStack + ".yaml": {costStackFile(t)}})
	environment := ownBackend(t)
	costOf(t, 1, dir, environment, "go", "build", "-o", "bin/", ".", "./timehash")
	pulumi := func(times int, environment []string, args ...string) cost {
		return costOf(t, times, dir, environment, "bash", append(slices.Clone(pulumiInShell), args...)...)
	}
	pulumi(1, environment, "stack", "init", costStack)
	pulumi(1, environment,
		"config", "set", "--secret", "redisPassword", "a-password-that-nothing-gets", "--stack", costStack)

	sizes := []int{1, 10, 50, 200}
	var offline, real []cost
	for _, apps := range sizes {
		times := 1
		if apps <= 10 {
			times = 2
		}
		with := append(environment, "APPS="+strconv.Itoa(apps))
		offline = append(offline, costOf(t, times, dir, with, "./bin/scaleout", "preview", "-stack", costStack))
		real = append(real, pulumi(times, append(with, "PULUMI_SKIP_CHECKPOINTS=true"), "preview", "--stack", costStack))
	}
	const saving = 2 // index in sizes
	with := append(environment, "APPS="+strconv.Itoa(sizes[saving]), "PULUMI_SKIP_CHECKPOINTS=false")
	saved := pulumi(1, with, "preview", "--stack", costStack)
	record(t, "engine", fmt.Sprintf("the preview of %d apps without PULUMI_SKIP_CHECKPOINTS", sizes[saving]),
		fmt.Sprintf("%s; with it %s", seconds(saved.took), seconds(real[saving].took)))
	expectSteadyGrowth(t, sizes, offline, real)
	for i, apps := range sizes {
		record(t, "cost", strconv.Itoa(apps), strconv.Itoa(resources(t, real[i])),
			timeOf(sizes, offline, i), fmt.Sprintf("%d MB", offline[i].megabytes),
			timeOf(sizes, real, i), fmt.Sprintf("%d MB", real[i].megabytes))
	}
	recordContentHash(t, dir)
}

// timeOf returns the time of the previews as text, with the time that each app after the first one added.
func timeOf(sizes []int, costs []cost, i int) string {
	text := fmt.Sprintf("%.1f s", costs[i].took.Seconds())
	if i > 0 {
		more := (costs[i].took - costs[0].took).Milliseconds() / int64(sizes[i]-sizes[0])
		text += fmt.Sprintf(", %d ms for each more", more)
	}
	return text
}

var (
	listed  = regexp.MustCompile(`(?m)^[│ ]*[├└]─ (\S+)`) // below the stack, in the tree of an offline preview
	created = regexp.MustCompile(`\+ (\d+) to create`)
)

// resources counts the resources that a preview would create. The StackReference to the program's own stack is not
// one of them.
func resources(t *testing.T, c cost) int {
	t.Helper()
	if match := created.FindStringSubmatch(c.printed); match != nil {
		n, err := strconv.Atoi(match[1])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	total := 1 // the stack
	for _, match := range listed.FindAllStringSubmatch(c.printed, -1) {
		if match[1] != "pulumi:pulumi:StackReference" {
			total++
		}
	}
	return total
}

// expectSteadyGrowth checks that each app adds the same number of resources, in both kinds of preview.
func expectSteadyGrowth(t *testing.T, sizes []int, offline, real []cost) {
	t.Helper()
	first := resources(t, real[0])
	each := (resources(t, real[1]) - first) / (sizes[1] - sizes[0])
	for i, apps := range sizes {
		want := first + (apps-1)*each
		if got, without := resources(t, real[i]), resources(t, offline[i]); each < 1 || got != want || without != want {
			t.Errorf("%d apps: %d resources by pulumi, %d offline, want %d: %d for the first and %d for each other",
				apps, got, without, want, first, each)
		}
	}
	for _, costs := range [][]cost{offline, real} {
		perApp := func(i int) float64 { return costs[i].took.Seconds() / float64(sizes[i]) }
		if perApp(3) > 3*perApp(2) {
			t.Errorf("an app costs %.3f s among %d and %.3f s among %d: time grows faster than their number",
				perApp(2), sizes[2], perApp(3), sizes[3])
		}
	}
}

// recordContentHash measures the hash that tags an image, for a build context far larger than the app's own.
func recordContentHash(t *testing.T, dir string) {
	t.Helper()
	const files, size = 10_000, 4096
	tree := t.TempDir()
	addFile(t, tree, "Dockerfile", "FROM scratch\n")
	addFile(t, tree, ".dockerignore", "**/*_test.go\n**/*.md\ndocs\n")
	for i := range files {
		addFile(t, tree, fmt.Sprintf("folder%d/file%d.go", i%100, i), strings.Repeat("x", size))
	}
	hash, seconds := timedHash(t, dir, tree)
	addFile(t, tree, "folder99/file9999.go", strings.Repeat("y", size))
	if changed, _ := timedHash(t, dir, tree); changed == hash {
		t.Error("the last of the files does not affect the hash, so others may not either")
	}
	record(t, "engine", fmt.Sprintf("content hash of a build context of %d files, %d MB", files, files*size>>20),
		seconds+", the best of three")
}

// timedHash returns the content hash of a folder and the time it takes, by the program in a variant.
func timedHash(t *testing.T, dir, tree string) (hash, took string) {
	t.Helper()
	printed := costOf(t, 1, dir, os.Environ(), "./bin/timehash", tree).printed
	hash, text, _ := strings.Cut(printed, " ")
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%q does not end with a number: %v", printed, err)
	}
	return hash, fmt.Sprintf("%.2f s", seconds)
}
