package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Settings of the program (see Pulumi.yaml) that the driver reads or writes.
const (
	keyTarget          = "scaleout:target"
	keyNamespace       = "scaleout:namespace"
	keyKubeContext     = "scaleout:kubeContext"
	keyPublicPort      = "scaleout:publicPort"
	keyImageRepository = "scaleout:imageRepository"
	keyImagePlatform   = "scaleout:imagePlatform"
	keyImage           = "scaleout:image"
	keyECRRepository   = "scaleout:ecrRepository"
	keyRedisHost       = "scaleout:redisHost"
	keyRedisPassword   = "scaleout:redisPassword"
)

// stack is a stack's files and the way to its state.
type stack struct {
	file    *stackFile
	project *stackFile // Pulumi.yaml, for the defaults in it
	backend backend
	existed bool // before this run
}

// openStack reads the stack's files and chooses the backend.
func (d *driver) openStack() (*stack, error) {
	s, err := d.readStack(d.Stack)
	if err != nil {
		return nil, err
	}
	if s.backend, err = d.chooseBackend(); err != nil {
		return nil, err
	}
	if !s.local() && s.backend.local {
		return nil, fmt.Errorf("stack %s is not on this machine, so its state should not be either: export PULUMI_BACKEND_URL, e.g. "+
			"s3://<bucket>, or PULUMI_ACCESS_TOKEN for Pulumi Cloud (docs/production.md)", d.Stack)
	}
	return s, nil
}

// readStack reads the files of a stack, whose name may have organization and project before it.
func (d *driver) readStack(name string) (*stack, error) {
	name = path.Base(name)
	file, err := readStackFile(filepath.Join(d.root, stackFileName(name)))
	if err != nil {
		return nil, fmt.Errorf("stack %s: %w; `cp Pulumi.dev.yaml Pulumi.%[1]s.yaml`, or from Pulumi.docker.yaml, "+
			"would start one", name, err)
	}
	project, err := readStackFile(filepath.Join(d.root, "Pulumi.yaml"))
	return &stack{file: file, project: project}, err
}

// stackFileName is the file with a stack's settings, in the project's folder.
func stackFileName(name string) string { return "Pulumi." + path.Base(name) + ".yaml" }

// setting returns a config value: the stack's own, or the default in Pulumi.yaml.
func (s *stack) setting(key string) string {
	if s.file.has(key) {
		return s.file.get(key)
	}
	at, declared := s.project.find(key)
	if at < 0 {
		at, declared = s.project.find(strings.TrimPrefix(key, "scaleout:"))
	}
	for _, line := range s.project.lines[at+1:] {
		e, ok := parseEntry(line)
		if at < 0 || ok && e.indent <= declared.indent {
			break
		}
		if ok && e.key == "default" {
			return scalar(e.tail)
		}
	}
	return ""
}

// onKind tells whether the stack goes to a local Kind cluster, onDocker whether it goes to this machine's Docker.
func (s *stack) onKind() bool   { return s.setting(keyTarget) == "kind" }
func (s *stack) onDocker() bool { return s.setting(keyTarget) == "docker" }

// local tells whether everything of the stack is on this machine, so that `up` prepares it and `down` removes it.
func (s *stack) local() bool { return s.onKind() || s.onDocker() }

// runPulumi runs the Pulumi CLI on the project and returns what it printed.
func (d *driver) runPulumi(ctx context.Context, s *stack, args ...string) (string, error) {
	return d.host.Run(ctx, d.pulumiCommand(s, d.root, nil, "", args...))
}

func (d *driver) pulumiCommand(s *stack, dir string, live io.Writer, stdin string, args ...string) command {
	env := append([]string{}, s.backend.env...)
	// A CLI that is not on PATH finds the language host beside itself.
	env = append(env, "PATH="+filepath.Dir(d.pulumi)+string(os.PathListSeparator)+d.getenv("PATH"))
	args = append(args, "--non-interactive")
	return command{name: d.pulumi, args: args, dir: dir, env: env, live: live, stdin: stdin}
}

// listedStack is one of the project's stacks as the backend knows it.
type listedStack struct {
	Name          string
	ResourceCount int
}

// stacks asks the backend for the project's stacks.
func (d *driver) stacks(ctx context.Context, s *stack) ([]listedStack, error) {
	out, err := d.runPulumi(ctx, s, "stack", "ls", "--json")
	if err != nil {
		return nil, fmt.Errorf("listing stacks: %w", err)
	}
	var stacks []listedStack
	if err := json.Unmarshal([]byte(out), &stacks); err != nil {
		return nil, fmt.Errorf("reading the list of stacks: %w", err)
	}
	for i, known := range stacks {
		stacks[i].Name = path.Base(known.Name) // Pulumi Cloud puts the organisation before it
	}
	return stacks, nil
}

// stackExists asks the backend.
func (d *driver) stackExists(ctx context.Context, s *stack) (bool, error) {
	stacks, err := d.stacks(ctx, s)
	return slices.ContainsFunc(stacks, func(known listedStack) bool { return known.Name == d.Stack }), err
}

// ensureStack makes sure that the backend knows the stack. It does not select it, so whatever the user has selected
// for plain pulumi commands stays.
func (d *driver) ensureStack(ctx context.Context, s *stack) (string, error) {
	exists, err := d.stackExists(ctx, s)
	if err != nil {
		return "", explainPulumi(d.Stack, err)
	}
	if s.existed = exists; exists {
		return d.reopenStack(ctx, s)
	}
	if err := d.clearMark(markUnderWay, d.Stack); err != nil { // of a stack that is gone, too
		return "", err
	}
	// Lines that `up` wrote for a stack that is gone were encrypted for that one.
	if s.file.marked(saltKey) {
		if len(s.file.clean()) > 0 {
			d.steps.note("dropping what an earlier `up` wrote to Pulumi.%s.yaml: its stack is gone", d.Stack)
		}
		if err := s.file.save(); err != nil {
			return "", err
		}
	}
	copied, err := d.onCopy(ctx, s, "", "stack", "init", d.Stack, "--no-select")
	if err != nil {
		return "", explainPulumi(d.Stack, fmt.Errorf("creating stack %s: %w", d.Stack, err))
	}
	return "created in " + s.backend.words, s.takeSalt(copied)
}

// reopenStack settles what an earlier run of Pulumi left unfinished.
func (d *driver) reopenStack(ctx context.Context, s *stack) (string, error) {
	did, err := d.settle(ctx, s)
	if err != nil {
		return "", explainPulumi(d.Stack, err)
	}
	if did != "" {
		did = ", " + did
	}
	return "exists in " + s.backend.words + did, nil
}

// onCopy runs a Pulumi command that writes to the stack file, on a copy of it, and returns the copy. Pulumi lays the
// whole file out anew when it writes; the caller takes the one new value over.
func (d *driver) onCopy(ctx context.Context, s *stack, stdin string, args ...string) (*stackFile, error) {
	dir := d.local("copy")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("copying the stack file: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for _, f := range []*stackFile{s.file, s.project} {
		content := []byte(strings.Join(f.lines, ""))
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(f.path)), content, 0o600); err != nil {
			return nil, fmt.Errorf("copying the stack file: %w", err)
		}
	}
	if _, err := d.host.Run(ctx, d.pulumiCommand(s, dir, nil, stdin, args...)); err != nil {
		return nil, err
	}
	return readStackFile(filepath.Join(dir, filepath.Base(s.file.path)))
}

// takeSalt brings the salt of a copy into the stack file, if it has none.
func (s *stack) takeSalt(from *stackFile) error {
	salt := from.get(saltKey)
	if salt == "" || s.file.has(saltKey) {
		return nil
	}
	s.file.setSalt(salt)
	return s.file.save()
}
