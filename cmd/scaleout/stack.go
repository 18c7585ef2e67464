package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
	"github.com/pulumi/pulumi/sdk/v3/go/common/workspace"
)

// machineKeys are the settings that `up` computes for this machine at each run.
var machineKeys = []string{"kubeContext", "publicPort", "imageRepository", "imagePlatform"}

// stack holds a stack's settings and the environment for Pulumi commands on it. A local stack uses a copy of the
// committed file in localDir, with the values of this machine. Keys are those of Pulumi.yaml, without the project's
// name.
type stack struct {
	name     string // without organization and project
	project  *workspace.Project
	config   *workspace.ProjectStack
	env      map[string]string // for Pulumi commands: the project's folder, the state and the encryption of secrets
	ownState bool              // the state is in localDir, so nobody else uses it

	// From connect on.
	workspace auto.Workspace
	pulumi    auto.Stack
	existed   bool // before this run
}

// openStack reads a stack's settings and chooses the backend. carried lists the keys to take from the previous copy of
// the settings. The name may have organization and project in front.
func (d *driver) openStack(name string, carried ...string) (s *stack, err error) {
	s = &stack{name: path.Base(name)}
	if s.project, err = workspace.LoadProject(filepath.Join(d.root, "Pulumi.yaml")); err != nil {
		return nil, err
	}
	if parts := strings.Split(name, "/"); len(parts) == 3 && parts[1] != string(s.project.Name) {
		return nil, fmt.Errorf("STACK=%q: the project here is %s, so its %w here", name, s.project.Name, fs.ErrNotExist)
	}
	if _, err = os.Stat(d.committed(name)); err == nil { // Pulumi takes a missing file for an empty one
		s.config, err = s.read(d.committed(name))
	}
	if err != nil {
		return nil, fmt.Errorf("stack %s: %w; to create one, copy Pulumi.dev.yaml or Pulumi.docker.yaml to "+
			"Pulumi.%[1]s.yaml and give it its own scaleout:namespace", s.name, err)
	}
	if s.isLocal() {
		err = d.carry(s, carried)
	}
	return s, errors.Join(err, d.chooseBackend(s))
}

func (s *stack) read(file string) (*workspace.ProjectStack, error) {
	return workspace.LoadProjectStack(nil, s.project, file)
}

// stackFileName is the name of a stack's settings file, in the project's folder and in localDir.
func stackFileName(name string) string { return "Pulumi." + path.Base(name) + ".yaml" }

// committed returns the committed settings file of a stack, or that of an environment, and copied that of its copy.
func (d *driver) committed(stack string) string {
	file := filepath.Join(d.root, stackFileName(stack))
	if of := d.environmentFile(stack); !isFile(file) && isFile(of) {
		return of
	}
	return file
}
func (d *driver) copied(stack string) string { return d.local(stackFileName(stack)) }

// carry copies from the previous copy of a local stack's settings what Pulumi generated, unless the committed file has
// its own, and the values of these keys.
func (d *driver) carry(s *stack, keys []string) error {
	previous, err := s.read(d.copied(s.name))
	if err != nil {
		return err
	}
	if s.config.EncryptionSalt == "" {
		s.config.EncryptionSalt = previous.EncryptionSalt
	}
	if s.config.EncryptionSalt == previous.EncryptionSalt && s.setting("redisPassword") == "" {
		keys = append(slices.Clone(keys), "redisPassword")
	}
	for _, name := range keys {
		if value, ok := previous.Config[s.key(name)]; ok {
			s.config.Config[s.key(name)] = value
		}
	}
	return nil
}

// save writes the project of a local stack: Pulumi keeps what it adds to settings, and which stack is selected, away
// from the committed files. Its program is one folder up. A command that may run beside another one leaves existing
// files alone. Renaming keeps the old settings intact if the run is interrupted.
func (d *driver) save() error {
	project, settings := *d.project, d.copied(d.name)
	if !d.isLocal() || !d.exclusive && isFile(settings) && isFile(d.local("Pulumi.yaml")) {
		return nil
	}
	project.Main = ".."
	err := errors.Join(project.Save(d.local("Pulumi.yaml")), d.config.Save(settings+".tmp.yaml"))
	if err != nil {
		return err
	}
	return os.Rename(settings+".tmp.yaml", settings)
}

func (s *stack) key(name string) config.Key { return config.MustMakeKey(string(s.project.Name), name) }

func (s *stack) set(key, value string) { s.config.Config[s.key(key)] = config.NewValue(value) }

// setting returns a setting: the stack's own, or the default in Pulumi.yaml. A list or an object is JSON.
func (s *stack) setting(key string) string {
	if own, ok := s.config.Config[s.key(key)]; ok {
		text, _ := own.Value(config.NopDecrypter)
		return text
	}
	if declared := s.project.Config[key]; declared.Default != nil {
		return fmt.Sprint(declared.Default)
	}
	return ""
}

// onKind reports whether the stack runs in a local kind cluster, onDocker whether it runs in this machine's Docker.
func (s *stack) onKind() bool   { return s.setting("target") == "kind" }
func (s *stack) onDocker() bool { return s.setting("target") == "docker" }

// isLocal reports whether the whole stack is on this machine, so that `up` prepares it and `down` removes it.
func (s *stack) isLocal() bool { return s.onKind() || s.onDocker() }

// localRepository is an image repository in a registry on this machine.
var localRepository = regexp.MustCompile(`^(localhost|127\.0\.0\.1):\d+/`)

// pushesHere reports whether the images go to the registry that `up` runs.
func (s *stack) pushesHere() bool { return localRepository.MatchString(s.setting("imageRepository")) }

// chooseBackend respects a backend or passphrase that the environment sets. Without one a local stack gets a folder and
// a passphrase file in localDir, so that it needs no account and changes no login; any other stack uses the current
// login. Values that `make env` exported are ignored, since they are those of one local stack.
func (d *driver) chooseBackend(s *stack) error {
	const address, kubeconfig, phrase = "PULUMI_BACKEND_URL", "KUBECONFIG", "PULUMI_CONFIG_PASSPHRASE_FILE"
	// Without metadata=skip the file backend writes a second file beside each one, and a run that is killed meanwhile
	// leaves it empty: then every command fails with "EOF".
	state := url.URL{Scheme: "file", Path: filepath.ToSlash(d.local("state")), RawQuery: "metadata=skip"}
	own := map[string]string{
		address: state.String(), kubeconfig: d.local("kubeconfig"), phrase: d.local("passphrase"),
	}
	// A go.work above does not know the modules here, there is no vendor folder, and `stack rm NAME` fails with a second
	// name.
	flags, _ := d.lookupEnv("GOFLAGS") // without -mod, which the Makefile removes
	s.env = map[string]string{"GOWORK": "off", "GO111MODULE": "on", "GOFLAGS": flags, "PULUMI_OPTION_CWD": "",
		"PULUMI_OPTION_STACK": ""}
	chosen := map[string]bool{}
	for name, value := range own {
		got, _ := d.lookupEnv(name)
		if chosen[name] = got != "" && got != value; got == value {
			s.env[name] = "" // Pulumi takes an empty variable for an unset one
		}
	}
	if s.ownState = s.isLocal() && !chosen[address]; !s.isLocal() {
		return nil
	}
	s.env["PULUMI_OPTION_CWD"] = d.local()
	if s.onKind() {
		s.env[kubeconfig] = own[kubeconfig]
	}
	if s.ownState {
		s.env[address] = own[address]
	}
	// Pulumi takes a PULUMI_CONFIG_PASSPHRASE that is set and empty for an empty passphrase.
	if _, set := d.lookupEnv("PULUMI_CONFIG_PASSPHRASE"); set || chosen[phrase] {
		return nil
	}
	s.env[phrase] = own[phrase]
	if isFile(own[phrase]) { // another one could not decrypt what this one encrypted
		return nil
	}
	return os.WriteFile(own[phrase], []byte(rand.Text()+"\n"), 0o600)
}

// printEnv prints what `up` sets for Pulumi and kubectl, as shell commands: eval "$(make -s env)".
func (d *driver) printEnv(ctx context.Context) (err error) {
	d.stack, err = d.openStack(d.Stack, append(slices.Clone(machineKeys), "adoptExisting")...)
	if err == nil && d.isLocal() {
		err = errors.Join(d.save(), d.findDaemon(ctx))
	}
	if err != nil {
		return err
	}
	d.env["PULUMI_STACK"] = d.Stack
	for _, name := range slices.Sorted(maps.Keys(d.env)) {
		d.printf("export %s=%s\n", name, shellQuote(d.env[name]))
	}
	if isFile(d.local("bin", "pulumi")) {
		d.printf("export PATH=%s:\"$PATH\"\n", shellQuote(d.local("bin")))
	}
	return nil
}

// shellQuote quotes s as one word for any POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
