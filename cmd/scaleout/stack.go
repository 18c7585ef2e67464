package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
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

// stack is a stack's settings and the way to its state. The settings of a local stack are a copy of the committed file
// in localDir, with what is true on this machine only. Keys are those of Pulumi.yaml, without the project's name.
type stack struct {
	name     string
	project  *workspace.Project
	settings *workspace.ProjectStack
	backend  backend

	// From connect on.
	workspace auto.Workspace
	existed   bool // before this run
}

// openStack reads a stack's settings, adds those named from its copy, and chooses the backend. The name may have
// organization and project in front.
func (d *driver) openStack(name string, carried ...string) (*stack, error) {
	s := &stack{name: path.Base(name)}
	var err error
	if s.project, err = workspace.LoadProject(filepath.Join(d.root, "Pulumi.yaml")); err != nil {
		return nil, err
	}
	if s.settings, err = s.read(d.committed(name)); err != nil {
		return nil, fmt.Errorf("stack %s: %w; to create one, copy Pulumi.dev.yaml or Pulumi.docker.yaml to "+
			"Pulumi.%[1]s.yaml and give it its own scaleout:namespace", s.name, err)
	}
	if s.backend, err = d.chooseBackend(s.local()); err != nil {
		return nil, err
	}
	if own, _ := d.lookupEnv("KUBECONFIG"); s.onKind() {
		s.backend.env["KUBECONFIG"] = d.local("kubeconfig")
	} else if own == d.local("kubeconfig") { // of `make env` for another stack
		s.backend.env["KUBECONFIG"] = ""
	}
	return s, d.carry(s, carried...)
}

// openLocal is openStack for commands about this machine.
func (d *driver) openLocal(verb string, carried ...string) (*stack, error) {
	s, err := d.openStack(d.Stack, carried...)
	if err == nil && !s.local() {
		err = fmt.Errorf("stack %s does not run on this machine; use pulumi %s --stack %[1]s", d.Stack, verb)
	}
	return s, err
}

// read reads a file of settings. Unlike Pulumi, which takes a missing file for an empty one, it fails.
func (s *stack) read(file string) (*workspace.ProjectStack, error) {
	if _, err := os.Stat(file); err != nil {
		return nil, err
	}
	return workspace.LoadProjectStack(nil, s.project, file)
}

// stackFileName is the name of a stack's settings file, in the project's folder and in localDir.
func stackFileName(name string) string { return "Pulumi." + path.Base(name) + ".yaml" }

// carry copies from the previous copy of a local stack's settings what Pulumi generated, unless the committed file has
// its own, and the values of these keys.
func (d *driver) carry(s *stack, keys ...string) error {
	if !s.local() {
		return nil
	}
	previous, err := s.read(d.local(stackFileName(s.name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if s.settings.EncryptionSalt == "" {
		s.settings.EncryptionSalt = previous.EncryptionSalt
	}
	if s.settings.EncryptionSalt == previous.EncryptionSalt && !s.has("redisPassword") {
		keys = append(slices.Clone(keys), "redisPassword")
	}
	for _, name := range keys {
		if value, ok := previous.Config[s.key(name)]; ok {
			s.settings.Config[s.key(name)] = value
		}
	}
	return nil
}

// saveProject writes the project that a local stack has in localDir: the committed one, with its program one folder up.
// A command that may run beside another one leaves an existing copy alone.
func (d *driver) saveProject(s *stack) error {
	if !d.exclusive && isFile(d.local(stackFileName(s.name))) && isFile(d.local("Pulumi.yaml")) {
		return nil
	}
	project := *s.project
	project.Main = ".."
	return errors.Join(project.Save(d.local("Pulumi.yaml")), d.saveCopy(s))
}

// saveCopy writes the settings of a local stack. Renaming keeps the old file intact if the run is interrupted.
func (d *driver) saveCopy(s *stack) error {
	name := d.local(stackFileName(s.name))
	if err := s.settings.Save(name + ".tmp.yaml"); err != nil {
		return err
	}
	return os.Rename(name+".tmp.yaml", name)
}

func (s *stack) key(name string) config.Key { return config.MustMakeKey(string(s.project.Name), name) }

// has reports whether the stack's own settings have the key.
func (s *stack) has(key string) bool {
	_, ok := s.settings.Config[s.key(key)]
	return ok
}

func (s *stack) set(key, value string) { s.settings.Config[s.key(key)] = config.NewValue(value) }

// setting returns a setting: the stack's own, or the default in Pulumi.yaml. A list or an object is JSON.
func (s *stack) setting(key string) string {
	if own, ok := s.settings.Config[s.key(key)]; ok {
		text, _ := own.Value(config.NopDecrypter)
		return text
	}
	if declared := s.project.Config[key]; declared.Default != nil {
		return fmt.Sprint(declared.Default)
	}
	return ""
}

// firstPath returns the first path of the host that leads to the app, or "" if all do.
func (s *stack) firstPath() string {
	var paths []string
	_ = json.Unmarshal([]byte(s.setting("paths")), &paths) // the program reports a malformed value
	return append(paths, "")[0]
}

// onKind reports whether the stack runs in a local kind cluster, onDocker whether it runs in this machine's Docker.
func (s *stack) onKind() bool   { return s.setting("target") == "kind" }
func (s *stack) onDocker() bool { return s.setting("target") == "docker" }

// local reports whether the whole stack is on this machine, so that `up` prepares it and `down` removes it.
func (s *stack) local() bool { return s.onKind() || s.onDocker() }

// localRepository is an image repository in a registry on this machine.
var localRepository = regexp.MustCompile(`^(localhost|127\.0\.0\.1):\d+/`)

// pushesHere reports whether the images go to the registry that `up` runs.
func (s *stack) pushesHere() bool { return localRepository.MatchString(s.setting("imageRepository")) }

// backend selects Pulumi's storage of the state and its encryption of secrets.
type backend struct {
	env   map[string]string // for Pulumi commands
	words string            // a description
	local bool              // the state is in localDir, so nobody else uses it
}

// stateURL is the address of the state folder in localDir. Without metadata=skip the file backend writes a second file
// beside each one, and a run that is killed meanwhile leaves it empty: then every command fails with "EOF".
func (d *driver) stateURL() string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(d.local("state")), RawQuery: "metadata=skip"}).String()
}

// chooseBackend keeps the choice that the environment makes. Without one a local stack gets a folder and a passphrase
// file in localDir, so that it needs no account and changes no login; any other stack uses the current login. Values
// that `make env` exported are no choice, since they are those of one local stack.
func (d *driver) chooseBackend(local bool) (backend, error) {
	getenv := func(name string) string { value, _ := d.lookupEnv(name); return value }
	own, ownFile := d.stateURL(), d.local("passphrase")
	address, file := getenv("PULUMI_BACKEND_URL"), getenv("PULUMI_CONFIG_PASSPHRASE_FILE")
	b := backend{env: map[string]string{"GOWORK": "off"}} // a go.work above this folder does not know its modules
	if address == own {                                   // Pulumi takes an empty variable for an unset one
		address, b.env["PULUMI_BACKEND_URL"] = "", ""
	}
	if file == ownFile {
		file, b.env["PULUMI_CONFIG_PASSPHRASE_FILE"] = "", ""
	}
	switch {
	case address != "":
		b.words = "PULUMI_BACKEND_URL"
	case getenv("PULUMI_ACCESS_TOKEN") != "":
		b.words = "Pulumi Cloud (PULUMI_ACCESS_TOKEN)"
	case local:
		b.env["PULUMI_BACKEND_URL"], b.words, b.local = own, localDir+"/state", true
	default:
		b.words = "the backend of `pulumi login`"
	}
	// Pulumi takes a PULUMI_CONFIG_PASSPHRASE that is set and empty for an empty passphrase.
	if _, set := d.lookupEnv("PULUMI_CONFIG_PASSPHRASE"); set || file != "" {
		b.words += ", passphrase from the environment"
		return b, nil
	}
	if !local {
		return b, nil
	}
	b.env["PULUMI_CONFIG_PASSPHRASE_FILE"] = ownFile
	b.words += ", passphrase in " + localDir + "/passphrase"
	if isFile(ownFile) { // another one could not decrypt what this one encrypted
		return b, nil
	}
	return b, os.WriteFile(ownFile, []byte(rand.Text()+"\n"), 0o600)
}

// env prints what `up` sets for Pulumi and kubectl, as shell commands: eval "$(make -s env)".
func (d *driver) env(ctx context.Context) error {
	s, err := d.openStack(d.Stack, append(slices.Clone(machineKeys), "adoptExisting")...)
	if err != nil {
		return err
	}
	s.backend.env["PULUMI_STACK"], s.backend.env["PULUMI_OPTION_CWD"] = d.Stack, ""
	if s.local() {
		s.backend.env["PULUMI_OPTION_CWD"] = d.local()
		if err := errors.Join(d.saveProject(s), d.findDaemon(ctx, s)); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.backend.env)) {
		d.printf("export %s=%s\n", name, shellQuote(s.backend.env[name]))
	}
	if isFile(d.local("bin", "pulumi")) {
		d.printf("export PATH=%s:\"$PATH\"\n", shellQuote(d.local("bin")))
	}
	return nil
}

// shellQuote quotes s as one word for any POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
