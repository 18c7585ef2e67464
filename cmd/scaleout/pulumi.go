package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/pulumi/pulumi/sdk/v3"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optpreview"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optrefresh"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/common/apitype"
)

// pulumiCLI is the automation API's command, but runs like every other program: the API's own is killed 10 s after an
// interrupt.
type pulumiCLI struct {
	auto.PulumiCommand
	host runner
}

// Run implements auto.PulumiCommand. The folder is in the environment: see chooseBackend. The writers get both streams,
// and in place of standard error the text of the error is returned, which has its end.
func (c pulumiCLI) Run(ctx context.Context, _ string, stdin io.Reader, live, _ []io.Writer, env []string,
	args ...string) (stdout, stderr string, code int, err error) {
	run := command{name: "pulumi", args: append(args, "--non-interactive"), stdin: stdin,
		env: append(env, "PULUMI_AUTOMATION_API=true")}
	if len(live) > 0 {
		run.live = io.MultiWriter(live...)
	}
	if stdout, err = c.host.Run(ctx, run); err != nil {
		return stdout, err.Error(), 1, err
	}
	return stdout, "", 0, nil
}

// findPulumi finds a Pulumi CLI on PATH or in localDir, which it then puts on PATH. It must not be older than the SDK
// in go.mod, which may use newer features of the engine. A command that changes something installs one if need be.
func (d *driver) findPulumi(ctx context.Context) error {
	options := &auto.PulumiCommandOptions{Version: sdk.Version}
	cli, err := auto.NewPulumiCommand(options)
	if err != nil {
		options.Root = d.local()
		if cli, err = auto.NewPulumiCommand(options); err != nil && d.exclusive {
			d.note("%v\ninstalling %s into %s/bin", err, sdk.Version, localDir)
			cli, err = auto.InstallPulumiCommand(ctx, options)
		}
		err = errors.Join(err, os.Setenv("PATH", d.local("bin")+string(os.PathListSeparator)+os.Getenv("PATH")))
	}
	if err != nil {
		return fmt.Errorf("needs the Pulumi CLI, 3.x, at least %s: %w; `make up` installs one; if that fails, put one on "+
			"PATH or into %s/bin, or set HTTPS_PROXY", sdk.Version, err, localDir)
	}
	d.cli = pulumiCLI{cli, d.host}
	return nil
}

// quiet is a workspace in which opening a stack does not select it. Otherwise `make promote STACK=prod` would turn the
// user's next plain `pulumi up` to prod. Nor does an update end with reading the outputs: that call of the automation
// API decrypts secrets, which not everyone who may read the state is allowed to.
type quiet struct{ auto.Workspace }

// SelectStack implements auto.Workspace.
func (quiet) SelectStack(context.Context, string) error { return nil }

// StackOutputs implements auto.Workspace.
func (quiet) StackOutputs(context.Context, string) (auto.OutputMap, error) { return nil, nil }

// connect opens the stack for Pulumi's operations, records whether the backend has it, and removes a stale lock for a
// command that changes it. It returns Pulumi's version.
func (d *driver) connect(ctx context.Context) (version string, err error) {
	if err = d.save(); err == nil && d.cli == nil {
		err = d.findPulumi(ctx)
	}
	if err == nil {
		d.workspace, err = auto.NewLocalWorkspace(ctx, auto.Pulumi(d.cli), auto.EnvVars(d.env),
			auto.WorkDir(cmp.Or(d.env["PULUMI_OPTION_CWD"], d.root)))
	}
	if err != nil {
		return "", err
	}
	d.pulumi, _ = auto.SelectStack(ctx, d.Stack, quiet{d.workspace})
	stacks, err := d.workspace.ListStacks(ctx)
	d.existed = slices.ContainsFunc(stacks, func(known auto.StackSummary) bool {
		return path.Base(known.Name) == d.name // an organization and the project may be in front
	})
	if err == nil && d.exclusive {
		err = d.removeStaleLock(ctx)
	}
	return "v" + d.cli.Version().String(), d.explain(err)
}

// command runs a Pulumi command for which the automation API has no suitable call.
func (d *driver) command(ctx context.Context, s *stack, stdin io.Reader, args ...string) (string, error) {
	var env []string
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	out, _, _, err := d.cli.Run(ctx, "", stdin, nil, nil, env, args...)
	return out, d.explain(err)
}

// outputs are the stack outputs that the driver uses.
type outputs struct {
	// Image is the reference, by digest, of the running image; Images are the ones that ran, newest first.
	Image        string     `json:"image"`
	Images       []deployed `json:"images"`
	URL          string     `json:"url"`
	NextCommands []string   `json:"nextCommands"`
}

// outputs reads a stack's outputs, without secrets: see quiet.
func (d *driver) outputs(ctx context.Context, s *stack, name string) (o outputs, err error) {
	out, err := d.command(ctx, s, nil, "stack", "output", "--json", "--stack", name)
	if err == nil {
		err = json.Unmarshal([]byte(out), &o)
	}
	return o, err
}

// partOf is the label of every object of this program.
const partOf = "app.kubernetes.io/part-of=scaleout"

// update runs `pulumi up`. A stack on this machine skips the preview, which would run the program a second time.
// Elsewhere it finds errors before anything is changed.
func (d *driver) update(ctx context.Context) (string, error) {
	options := []optup.Option{optup.ProgressStreams(d.out), optup.ShowSecrets(false)}
	if d.isLocal() {
		missing, err := d.recover(ctx)
		if err != nil {
			return "", err
		}
		// Refresh, since a cluster or containers may have been deleted.
		options = append(options, optup.Refresh(), optup.Replace(missing))
	}
	err := d.change(ctx, "up", func() (err error) {
		if !d.isLocal() {
			_, err = d.pulumi.Preview(ctx, optpreview.ProgressStreams(d.out))
		}
		if err == nil {
			_, err = d.pulumi.Up(ctx, options...)
		}
		return err
	})
	if err != nil {
		d.diagnose(ctx)
		err = fmt.Errorf("updating stack %s: %w\ncurrent state: `make status%[3]s`; log of the app: `make logs%[3]s`",
			d.Stack, err, stackArgument(d.Stack))
		if d.existed {
			err = fmt.Errorf("%w\nto return to the last image that succeeded, or to finish a rollback: make rollback%s "+
				"(TO=<number> takes another image)", err, stackArgument(d.Stack))
		}
		return "", err
	}
	return "stack " + d.Stack + " is up to date", d.clearMark(markRollback, d.Stack)
}

// recover prepares the update of a local stack after whatever happened before. What an interrupted run was creating can
// exist without being in the state: on kind the update takes it over, and on Docker it is removed first. It returns the
// images that have to be built again: see missingImages.
func (d *driver) recover(ctx context.Context) (missing []string, err error) {
	var state apitype.DeploymentV3
	exported, err := d.workspace.ExportStack(ctx, d.Stack)
	if err == nil && len(exported.Deployment) > 0 {
		err = json.Unmarshal(exported.Deployment, &state)
	}
	pending := len(state.PendingOperations) > 0
	if err == nil && (pending || d.mark(markActive, d.Stack) != "") {
		d.note("an earlier run was interrupted: taking over what it left")
		err = d.removeStaleLock(ctx) // of a Pulumi that has outlived its run, but not the steps of this one
		if d.onKind() {
			d.set("adoptExisting", "true") // until the next up: without it, a preview would show a change of the provider
			err = errors.Join(err, d.save(), d.waitForDeletions(ctx))
		}
		switch {
		case err != nil || !pending:
		case d.ownState:
			_, err = d.pulumi.Refresh(ctx, optrefresh.ClearPendingCreates(), optrefresh.ProgressStreams(d.out),
				optrefresh.ShowSecrets(false))
		default: // they may be those of a run that somebody else has active
			d.note("operations in the state did not complete; if no other run is active, clear them: "+
				"pulumi refresh --clear-pending-creates --stack %s", d.Stack)
		}
		if err == nil && d.onDocker() {
			err = d.removeUnknown(ctx, state.Resources)
		}
	}
	if err == nil && d.onDocker() && d.existed {
		err = d.startContainers(ctx)
	}
	return missingImages(ctx, state.Resources), d.explain(err)
}

// change runs an update or a destroy, and leaves a mark if it is interrupted, or if it fails while it adopts what
// an interrupted one left. One that is killed leaves pending operations in the state, too.
func (d *driver) change(ctx context.Context, verb string, operation func() error) error {
	err := d.setMark(markActive, d.Stack, verb)
	if err == nil {
		err = d.explain(operation())
	}
	if ctx.Err() != nil || err != nil && d.setting("adoptExisting") == "true" {
		return err
	}
	return errors.Join(err, d.clearMark(markActive, d.Stack))
}

// removeStaleLock cancels the lock of a run that was killed: one of this machine, in localDir, whose process is gone.
// Pulumi reports any other.
func (d *driver) removeStaleLock(ctx context.Context) error {
	state := os.DirFS(d.local("state"))
	files, _ := fs.Glob(state, ".pulumi/locks/*/*/"+d.name+"/*.json")
	host, err := os.Hostname()
	if err != nil || !d.ownState || len(files) == 0 {
		return err
	}
	for _, file := range files {
		var lock struct { // github.com/pulumi/pulumi/pkg/v3/backend/diy/lock.go
			Pid      int
			Hostname string
		}
		content, _ := fs.ReadFile(state, file)
		if err := json.Unmarshal(content, &lock); err != nil || lock.Hostname != host || d.runsPulumi(ctx, lock.Pid) {
			return nil
		}
	}
	d.note("removing the lock of a run that was killed")
	if !d.existed { // it was killed while it removed the stack: Pulumi cancels nothing then
		return os.RemoveAll(d.local("state", path.Dir(files[0])))
	}
	_, err = d.command(ctx, d.stack, nil, "cancel", "--yes", "--stack", d.Stack)
	return err
}

// runsPulumi reports whether a process is Pulumi's: another program may have its number since. Z is a process that has
// ended and was not reaped, as init in some containers never does.
func (d *driver) runsPulumi(ctx context.Context, pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	out, err := d.host.Run(ctx, command{name: "ps", args: []string{"-o", "state=,comm=", "-p", fmt.Sprint(pid)}})
	return err != nil || !strings.HasPrefix(out, "Z") && strings.Contains(out, "pulumi")
}

// explain shortens an error of the automation API, whose text repeats the output of the CLI, and adds what to do where
// Pulumi's own text does not say it.
func (d *driver) explain(err error) error {
	if err == nil {
		return nil
	}
	text, _, _ := strings.Cut(err.Error(), "\ncode: ")
	file := stackFileName(d.Stack)
	switch {
	case auto.IsConcurrentUpdateError(err):
		text += "\nif no other update is running, remove the lock: eval \"$(make -s env" + stackArgument(d.Stack) + ")\"; " +
			"pulumi cancel --stack " + d.Stack
	case strings.Contains(text, "incorrect passphrase"):
		text += "\n" + file + " or the state was encrypted with another passphrase: put that one into " + localDir +
			"/passphrase or PULUMI_CONFIG_PASSPHRASE; if it is lost, delete `encryptionsalt` and the `secure` lines from " +
			file + ", and the file " + localDir + "/" + file
	case strings.Contains(text, "PULUMI_ACCESS_TOKEN must be set"):
		text += "\nor log in to the backend that has the state, e.g. pulumi login s3://<bucket>, or set PULUMI_BACKEND_URL"
	}
	return errors.New(text)
}
