package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// pulumiCLI is the automation API's command, but for how it is interrupted: see interruptible. The API's own shares the
// terminal's process group, and is killed after 10 s.
type pulumiCLI struct {
	auto.PulumiCommand
	path string // pulumi, or an absolute path
}

// Run implements auto.PulumiCommand.
func (c pulumiCLI) Run(ctx context.Context, dir string, stdin io.Reader, stdout, stderr []io.Writer, env []string,
	args ...string) (string, string, int, error) {
	cmd := exec.CommandContext(ctx, c.path, append([]string{"--non-interactive"}, args...)...)
	cmd.Dir, cmd.Stdin, cmd.Env = dir, stdin, append(append(os.Environ(), env...), "PULUMI_AUTOMATION_API=true")
	if filepath.IsAbs(c.path) { // not on PATH; the language host is beside it
		cmd.Env = append(cmd.Env, "PATH="+filepath.Dir(c.path)+string(os.PathListSeparator)+os.Getenv("PATH"))
	}
	var out, errOut bytes.Buffer
	cmd.Stdout = io.MultiWriter(append(slices.Clone(stdout), &out)...)
	cmd.Stderr = io.MultiWriter(append(slices.Clone(stderr), &errOut)...)
	interruptible(cmd)
	err := cmd.Run()
	return out.String(), errOut.String(), cmd.ProcessState.ExitCode(), err
}

// findPulumi finds a Pulumi CLI on PATH or in localDir. It must not be older than the SDK in go.mod, which may use
// newer features of the engine.
func (d *driver) findPulumi() (err error) {
	for _, at := range []struct{ root, path string }{{"", "pulumi"}, {d.local(), d.local("bin", "pulumi")}} {
		if d.pulumi != nil {
			return nil
		}
		var cli auto.PulumiCommand
		cli, err = auto.NewPulumiCommand(&auto.PulumiCommandOptions{Root: at.root, Version: sdk.Version})
		if err == nil {
			d.pulumi = pulumiCLI{cli, at.path}
		}
	}
	return err
}

// ensurePulumi finds the Pulumi CLI or installs it into localDir, and connects the stack to it.
func (d *driver) ensurePulumi(ctx context.Context, s *stack) (string, error) {
	if err := d.findPulumi(); err != nil {
		d.note("%v\ninstalling %s into %s/bin", err, sdk.Version, localDir)
		if _, err = auto.InstallPulumiCommand(ctx, &auto.PulumiCommandOptions{Root: d.local()}); err == nil {
			err = d.findPulumi()
		}
		if err != nil {
			return "", fmt.Errorf("needs the Pulumi CLI, 3.x, at least %s, and the installer failed: %w; put one on PATH or "+
				"into %s/bin, or set HTTPS_PROXY", sdk.Version, err, localDir)
		}
	}
	return "v" + d.pulumi.Version().String(), d.connect(ctx, s)
}

// connect opens the stack's workspace and records whether the backend has the stack. A local stack has a project of its
// own in localDir, so that Pulumi keeps what it adds to settings, and which stack is selected, away from the committed
// files.
func (d *driver) connect(ctx context.Context, s *stack) (err error) {
	dir := d.root
	if s.local() {
		dir = d.local()
		err = d.saveProject(s)
	}
	if err != nil {
		return err
	}
	// In place of those of the environment: `make env` exports a folder, and `stack rm NAME` fails with a second name.
	s.backend.env["PULUMI_OPTION_CWD"], s.backend.env["PULUMI_OPTION_STACK"] = dir, ""
	s.workspace, err = auto.NewLocalWorkspace(ctx, auto.Pulumi(d.pulumi), auto.EnvVars(s.backend.env), auto.WorkDir(dir))
	if err != nil {
		return err
	}
	stacks, err := s.workspace.ListStacks(ctx)
	s.existed = slices.ContainsFunc(stacks, func(known auto.StackSummary) bool {
		return strings.TrimPrefix(known.Name, "organization/"+string(s.project.Name)+"/") == s.name
	})
	return brief(err)
}

// unselected is a workspace in which opening a stack does not select it. Otherwise `make promote STACK=prod` would turn
// the user's next plain `pulumi up` to prod.
type unselected struct{ auto.Workspace }

// SelectStack implements auto.Workspace.
func (unselected) SelectStack(context.Context, string) error { return nil }

// open returns the stack of that name for operations on it.
func (s *stack) open(ctx context.Context, name string) (auto.Stack, error) {
	if s.local() { // Cancel works on no other type of workspace
		return auto.SelectStack(ctx, name, s.workspace)
	}
	return auto.SelectStack(ctx, name, unselected{s.workspace})
}

// outputs are the stack outputs that the driver uses.
type outputs struct {
	// Image is the reference, by digest, of the running image; Images are the ones that ran, newest first.
	Image        string     `json:"image"`
	Images       []deployed `json:"images"`
	URL          string     `json:"url"`
	NextCommands []string   `json:"nextCommands"`
}

// outputs reads a stack's outputs. The automation API's call decrypts secrets too, which not everyone who may read the
// state is allowed to.
func (s *stack) outputs(ctx context.Context, name string) (o outputs, err error) {
	out, err := s.pulumi(ctx, nil, "stack", "output", "--json", "--stack", name)
	if err == nil {
		err = json.Unmarshal([]byte(out), &o)
	}
	return o, err
}

// pulumi runs a command for which the automation API has no suitable call.
func (s *stack) pulumi(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	var env []string
	for name, value := range s.workspace.GetEnvVars() {
		env = append(env, name+"="+value)
	}
	cli := s.workspace.PulumiCommand()
	out, errOut, _, err := cli.Run(ctx, s.workspace.WorkDir(), stdin, nil, nil, env, args...)
	if err != nil {
		err = &pulumiError{what: fmt.Sprintf("`pulumi %s`: %v", strings.Join(args, " "), err), output: errOut}
	}
	return out, err
}

// state reads the stack's state. Nothing in this program writes one.
func (s *stack) state(ctx context.Context, name string) (state apitype.DeploymentV3, err error) {
	exported, err := s.workspace.ExportStack(ctx, name)
	if err == nil && len(exported.Deployment) > 0 {
		err = json.Unmarshal(exported.Deployment, &state)
	}
	return state, brief(err)
}

// pulumiError is a failure of the Pulumi CLI.
type pulumiError struct {
	what, output string
	locked       bool // another update of the same stack is active
}

// Error is one line, with the last that Pulumi printed.
func (e *pulumiError) Error() string {
	last := strings.TrimSpace(strings.TrimPrefix(lastLine(e.output), "stderr:")) // as in the text that brief parses
	return strings.TrimSuffix(e.what+": "+last, ": ")
}

// brief shortens an error of the automation API, whose text holds the whole output of the CLI.
func brief(err error) error {
	if err == nil {
		return nil
	}
	what, output, long := strings.Cut(err.Error(), "\ncode: ")
	if !long {
		return err
	}
	return &pulumiError{what: what, output: output, locked: auto.IsConcurrentUpdateError(err)}
}

// explain adds what to do to errors of Pulumi whose own text does not say it.
func explain(stack string, err error) error {
	var failed *pulumiError
	if !errors.As(err, &failed) {
		return err
	}
	argument, file := stackArgument(stack), stackFileName(stack)
	says := func(text string) bool { return strings.Contains(failed.output, text) }
	advice := "current state: `make status" + argument + "`; log of the app: `make logs" + argument + "`"
	switch {
	case failed.locked:
		advice = "if no other update is running, remove the lock: eval \"$(make -s env" + argument + ")\"; " +
			"pulumi cancel --stack " + stack
	case says("incorrect passphrase"):
		advice = file + " or the state was encrypted with another passphrase: put that one into " + localDir +
			"/passphrase or PULUMI_CONFIG_PASSPHRASE; if it is lost, delete `encryptionsalt` and the `secure` lines from " +
			file + ", and the file " + localDir + "/" + file
	case says("port is already allocated"), says("address already in use"):
		advice = "set HTTP_PORT to a free port"
	// A push prints "Layer already exists".
	case says(`" already exists`), says("resource already exists"), says("network with name"),
		says("is already in use by container"):
		advice = "it belongs to another stack, which needs another scaleout:namespace, or to a state that was lost " +
			"(docs/operations.md)"
	}
	return fmt.Errorf("%w\n%s", err, advice)
}
