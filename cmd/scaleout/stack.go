package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Settings of the program (see Pulumi.yaml) that the driver reads or writes.
const (
	keyTarget          = "scaleout:target"
	keyNamespace       = "scaleout:namespace"
	keyKubeContext     = "scaleout:kubeContext"
	keyAdoptExisting   = "scaleout:adoptExisting"
	keyPublicPort      = "scaleout:publicPort"
	keyReadyPath       = "scaleout:readyPath"
	keyImageRepository = "scaleout:imageRepository"
	keyImagePlatform   = "scaleout:imagePlatform"
	keyImage           = "scaleout:image"
	keyBuildContext    = "scaleout:buildContext"
	keyECRRepository   = "scaleout:ecrRepository"
	keyRedis           = "scaleout:redis"
	keyRedisHost       = "scaleout:redisHost"
	keyRedisPassword   = "scaleout:redisPassword"
	keyTLSSecret       = "scaleout:tlsSecret"
	keyPaths           = "scaleout:paths"
	keyTraefik         = "scaleout:installTraefik"
	keyMetricsServer   = "scaleout:installMetricsServer"
)

// saltKey is Pulumi's key for the passphrase's salt, at the top level of a stack file.
const saltKey = "encryptionsalt"

// machineKeys are the settings that `up` computes for this machine at each run.
var machineKeys = []string{keyKubeContext, keyPublicPort, keyImageRepository, keyImagePlatform}

// settingsFile is a Pulumi.<stack>.yaml, or Pulumi.yaml. Nodes keep what is not understood here as it is written.
type settingsFile struct {
	Config map[string]yaml.Node `yaml:"config"`
	Rest   map[string]yaml.Node `yaml:",inline"`
}

func readSettingsFile(name string) (settingsFile, error) {
	f := settingsFile{Config: map[string]yaml.Node{}, Rest: map[string]yaml.Node{}}
	content, err := os.ReadFile(name)
	if err == nil {
		err = yaml.Unmarshal(content, &f)
	}
	if err != nil {
		return f, fmt.Errorf("reading the stack's settings: %w", err)
	}
	return f, nil
}

func (f settingsFile) set(key, value string) {
	f.Config[key] = yaml.Node{Kind: yaml.ScalarNode, Value: value}
}

// stack is a stack's settings and the way to its state. The settings of a local stack are a copy of the committed file in
// localDir, with what is true on this machine only; Pulumi gets it by --config-file.
type stack struct {
	name          string
	file, project settingsFile
	backend       backend
	existed       bool // before this run
	resources     int  // in its state then
}

// openStack reads a stack's settings, with those of its copy that are named, and chooses the backend.
func (d *driver) openStack(name string, carried ...string) (*stack, error) {
	s, err := d.readStack(name)
	if err != nil {
		return nil, err
	}
	if s.backend, err = d.chooseBackend(s.local()); err != nil {
		return nil, err
	}
	return s, d.carry(s, carried...)
}

// openLocal is openStack for what is about this machine.
func (d *driver) openLocal(verb string, carried ...string) (*stack, error) {
	s, err := d.openStack(d.Stack, carried...)
	if err == nil && !s.local() {
		err = fmt.Errorf("stack %s is not on this machine, which is all that this is for: pulumi %s --stack %[1]s", d.Stack, verb)
	}
	return s, err
}

// readStack reads the committed files of a stack, whose name may have organization and project before it.
func (d *driver) readStack(name string) (*stack, error) {
	s := &stack{name: path.Base(name)}
	var err error
	if s.file, err = readSettingsFile(filepath.Join(d.root, stackFileName(name))); err != nil {
		return nil, fmt.Errorf("stack %s: %w; `cp Pulumi.dev.yaml Pulumi.%[1]s.yaml`, or from Pulumi.docker.yaml, "+
			"would start one, with a scaleout:namespace of its own", s.name, err)
	}
	s.project, err = readSettingsFile(filepath.Join(d.root, "Pulumi.yaml"))
	return s, err
}

// stackFileName is the file with a stack's settings, in the project's folder and in localDir.
func stackFileName(name string) string { return "Pulumi." + path.Base(name) + ".yaml" }

// carry takes over from the previous copy of a local stack's settings what Pulumi generated, unless the committed file has
// its own, and the values of these keys.
func (d *driver) carry(s *stack, keys ...string) error {
	if !s.local() {
		return nil
	}
	previous, err := readSettingsFile(d.local(stackFileName(s.name)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	salt, generated := previous.Rest[saltKey]
	if _, own := s.file.Rest[saltKey]; generated && !own {
		s.file.Rest[saltKey] = salt
	}
	own, password := s.file.Rest[saltKey], previous.Config[keyRedisPassword]
	if !password.IsZero() && !s.has(keyRedisPassword) && own.Value == salt.Value {
		s.file.Config[keyRedisPassword] = password
	}
	for _, key := range keys {
		if value, ok := previous.Config[key]; ok {
			s.file.Config[key] = value
		}
	}
	return nil
}

// saveCopy writes the settings of a local stack in one go, so that an interruption leaves the old ones or the new ones.
func (d *driver) saveCopy(s *stack) error {
	content := bytes.NewBufferString("# Made of " + stackFileName(s.name) + " by make up, which writes it anew each time.\n")
	encoder := yaml.NewEncoder(content)
	encoder.SetIndent(2) // as Pulumi does
	err, name := encoder.Encode(s.file), d.local(stackFileName(s.name))
	if err == nil {
		err = os.WriteFile(name+".tmp", content.Bytes(), 0o600)
	}
	if err == nil {
		err = os.Rename(name+".tmp", name)
	}
	return err
}

// has tells whether the stack's own settings have the key, whatever its value.
func (s *stack) has(key string) bool {
	_, ok := s.file.Config[key]
	return ok
}

// setting returns a scalar setting: the stack's own, or the default in Pulumi.yaml.
func (s *stack) setting(key string) string {
	if own, ok := s.file.Config[key]; ok {
		return own.Value
	}
	declared, ok := s.project.Config[strings.TrimPrefix(key, "scaleout:")]
	if !ok {
		declared = s.project.Config[key]
	}
	var of struct{ Default yaml.Node }
	if declared.Kind == yaml.MappingNode && declared.Decode(&of) == nil {
		return of.Default.Value
	}
	return declared.Value
}

// onKind tells whether the stack goes to a local kind cluster, onDocker whether it goes to this machine's Docker.
func (s *stack) onKind() bool   { return s.setting(keyTarget) == "kind" }
func (s *stack) onDocker() bool { return s.setting(keyTarget) == "docker" }

// local tells whether everything of the stack is on this machine, so that `up` prepares it and `down` removes it.
func (s *stack) local() bool { return s.onKind() || s.onDocker() }

// localRepository is an image repository in a registry on this machine.
var localRepository = regexp.MustCompile(`^(localhost|127\.0\.0\.1):\d+/`)

// pushesHere tells whether the images go to the registry that `up` takes care of.
func (s *stack) pushesHere() bool { return localRepository.MatchString(s.setting(keyImageRepository)) }

// configFlag gives Pulumi the settings of a local stack. Only the commands that read settings have the flag.
func (d *driver) configFlag(s *stack) []string {
	if !s.local() {
		return nil
	}
	return []string{"--config-file", d.local(stackFileName(s.name))}
}

// runPulumi runs the Pulumi CLI on the project and returns what it printed.
func (d *driver) runPulumi(ctx context.Context, s *stack, args ...string) (string, error) {
	return d.host.Run(ctx, d.pulumiCommand(s, args...))
}

func (d *driver) pulumiCommand(s *stack, args ...string) command {
	env := slices.Clone(s.backend.env)
	if filepath.IsAbs(d.pulumi) { // it is not on PATH, and has the language host beside it
		env = append(env, "PATH="+filepath.Dir(d.pulumi)+string(os.PathListSeparator)+d.getenv("PATH"))
	}
	if s.onKind() {
		env = append(env, d.kubeconfig())
	}
	return command{name: d.pulumi, args: append(args, "--non-interactive"), dir: d.root, env: env}
}

// listedStack is a stack of the project as the backend knows it. Pulumi Cloud puts the organization before its name.
type listedStack struct {
	Name          string
	ResourceCount int
}

// stacks asks the backend for the project's stacks.
func (d *driver) stacks(ctx context.Context, s *stack) (stacks []listedStack, err error) {
	err = d.pulumiJSON(ctx, s, &stacks, "stack", "ls", "--json")
	return stacks, err
}

// pulumiJSON runs a Pulumi command that prints JSON, and decodes it.
func (d *driver) pulumiJSON(ctx context.Context, s *stack, into any, args ...string) error {
	out, err := d.runPulumi(ctx, s, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		return fmt.Errorf("reading what `pulumi %s` printed: %w", strings.Join(args, " "), err)
	}
	return nil
}

// lookUp notes whether the backend knows the stack, and how many resources it has.
func (d *driver) lookUp(ctx context.Context, s *stack) error {
	stacks, err := d.stacks(ctx, s)
	for _, known := range stacks {
		if path.Base(known.Name) == d.Stack {
			s.existed, s.resources = true, known.ResourceCount
		}
	}
	return err
}

// outputs are the stack's outputs that the driver uses.
type outputs struct {
	// Image is the reference, by digest, of the image that runs; Images are those that ran, the newest first.
	Image        string     `json:"image"`
	Images       []deployed `json:"images"`
	URL          string     `json:"url"`
	NextCommands []string   `json:"nextCommands"`
}

func (d *driver) outputs(ctx context.Context, s *stack, name string) (outputs, error) {
	var o outputs
	return o, d.pulumiJSON(ctx, s, &o, "stack", "output", "--json", "--stack", name)
}

// pulumiUpdate is an entry of a stack's history. Kind is update, destroy or another; Result succeeded, failed or
// in-progress.
type pulumiUpdate struct {
	Kind, Result, EndTime string
	ResourceChanges       map[string]int
}

// history returns the last entries of the stack's history, the newest first.
func (d *driver) history(ctx context.Context, s *stack) (updates []pulumiUpdate, err error) {
	err = d.pulumiJSON(ctx, s, &updates, "stack", "history", "--json", "--page-size", "20", "--stack", d.Stack)
	return updates, err
}

// quietPulumi is set for every Pulumi command: no question of an update server, whose answer changes nothing here.
func quietPulumi() []string { return []string{"PULUMI_SKIP_UPDATE_CHECK=true"} }

// backend is where Pulumi keeps the state and how it encrypts secrets.
type backend struct {
	env   []string // to add to the environment of Pulumi commands
	words string   // which describe it
	local bool     // the state is inside the project, and nobody else uses it
}

// chooseBackend keeps the user's choice as far as the environment has one. Otherwise a local stack gets a folder and a
// passphrase file inside the project: no account is needed, and no login on this machine is touched. Any other is where
// pulumi is logged in. What `env` has exported is no choice: it is of one local stack, and others are not there.
func (d *driver) chooseBackend(local bool) (backend, error) {
	own, ownFile := (&url.URL{Scheme: "file", Path: filepath.ToSlash(d.local("state"))}).String(), d.local("passphrase")
	address, file := d.getenv("PULUMI_BACKEND_URL"), d.getenv("PULUMI_CONFIG_PASSPHRASE_FILE")
	b := backend{env: quietPulumi()}
	if address == own { // empty is none, to Pulumi too
		address, b.env = "", append(b.env, "PULUMI_BACKEND_URL=")
	}
	if file == ownFile {
		file, b.env = "", append(b.env, "PULUMI_CONFIG_PASSPHRASE_FILE=")
	}
	switch {
	case address != "":
		b.words = "PULUMI_BACKEND_URL"
	case d.getenv("PULUMI_ACCESS_TOKEN") != "":
		b.words = "Pulumi Cloud (PULUMI_ACCESS_TOKEN)"
	case local:
		b.env = append(b.env, "PULUMI_BACKEND_URL="+own)
		b.words, b.local = localDir+"/state", true
	default:
		b.words = "the backend that pulumi is logged in to"
	}
	// Pulumi takes a PULUMI_CONFIG_PASSPHRASE that is set and empty for an empty passphrase.
	if _, set := d.lookupEnv("PULUMI_CONFIG_PASSPHRASE"); set || file != "" {
		b.words += ", passphrase from the environment"
		return b, nil
	}
	if !local {
		return b, nil
	}
	b.env = append(b.env, "PULUMI_CONFIG_PASSPHRASE_FILE="+ownFile)
	b.words += ", passphrase in " + localDir + "/passphrase"
	if isFile(ownFile) { // what it has encrypted could not be read with another
		return b, nil
	}
	return b, os.WriteFile(ownFile, []byte(rand.Text()+"\n"), 0o600)
}

// pulumiFunction is a shell function that gives plain Pulumi commands the settings of the stack that they are about, if
// localDir has them. A variable could not tell `--stack prod` from a local stack.
const pulumiFunction = `pulumi() (
  stack="${PULUMI_STACK:-}" before=""
  for argument in "$@"; do
    case "$before" in --stack | -s) stack="$argument" ;; esac
    case "$argument" in --stack=*) stack="${argument#--stack=}" ;; esac
    before="$argument"
  done
  settings=%s/Pulumi."${stack##*/}".yaml
  case "${1:-} ${2:-}" in
  "config set"* | "config rm"*) ;; # of the committed file
  config\ * | preview\ * | up\ * | refresh\ * | destroy\ * | import\ * | watch\ *)
    if [ -f "$settings" ]; then
      verb="$1" && shift
      set -- "$verb" --config-file "$settings" "$@"
    fi ;;
  esac
  command pulumi "$@"
)
`

// env prints what `up` gives to Pulumi and kubectl, as shell commands: eval "$(make -s env)".
func (d *driver) env(context.Context) error {
	s, err := d.openStack(d.Stack, machineKeys...)
	if err != nil {
		return err
	}
	variables := append(slices.Clone(s.backend.env), "PULUMI_STACK="+d.Stack)
	if s.onKind() {
		variables = append(variables, d.kubeconfig())
	}
	for _, v := range variables {
		key, value, _ := strings.Cut(v, "=")
		d.printf("export %s=%s\n", key, shellQuote(value))
	}
	if isFile(d.local("bin", "pulumi")) {
		d.printf("export PATH=%s:\"$PATH\"\n", shellQuote(d.local("bin")))
	}
	d.printf(pulumiFunction, shellQuote(d.local()))
	return nil
}

// shellQuote makes one word of s for any POSIX shell.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
