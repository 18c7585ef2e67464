package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// up takes the machine to a running stack. Each step looks before it acts, so that a second run, or one after an
// interruption, does only what is missing.
func (d *driver) up(ctx context.Context) error {
	s, err := d.openLocal("up")
	if err != nil {
		return err
	}
	if s.setting(keyRedisHost) != "" && !s.has(keyRedisPassword) {
		return fmt.Errorf("stack %s has no password of the Redis at redisHost; set it with:\n"+
			"  eval \"$(make -s env%s)\"\n  pulumi config set --secret redisPassword --stack %[1]s", d.Stack, stackArgument(d.Stack))
	}
	steps := []step{
		{"Docker", func() (string, error) { return d.dockerAnswers(ctx) }},
		{"Pulumi CLI", func() (string, error) { return d.ensurePulumi(ctx) }},
	}
	if s.onKind() || s.pushesHere() {
		steps = append(steps, step{"registry", func() (string, error) { return d.registry(ctx) }})
	}
	if s.onKind() {
		steps = append(steps,
			step{"cluster " + d.Cluster, func() (string, error) { return d.cluster(ctx) }},
			step{"registry in the cluster", func() (string, error) { return d.wireRegistry(ctx) }},
		)
	}
	steps = append(steps,
		step{"stack " + d.Stack, func() (string, error) { return d.ensureStack(ctx, s) }},
		step{"what is there", func() (string, error) { return d.unclaimed(ctx, s) }},
		step{"settings of stack " + d.Stack, func() (string, error) { return d.matchSettings(ctx, s) }},
		step{"Redis password", func() (string, error) { return d.ensurePassword(ctx, s) }},
		step{"pulumi up", func() (string, error) {
			result, err := d.update(ctx, s)
			if err != nil && s.existed {
				err = fmt.Errorf("%w\nto return to the image that ran before: make rollback%s", err, stackArgument(d.Stack))
			}
			return result, err
		}},
	)
	if err := d.doAll(steps...); err != nil {
		return err
	}
	return d.finish(ctx, s)
}

// finish shows the app's answer and what to type next.
func (d *driver) finish(ctx context.Context, s *stack) error {
	o, err := d.outputs(ctx, s, d.Stack)
	if err != nil {
		return err
	}
	stack := stackArgument(d.Stack)
	address := o.URL
	if paths := s.file.Config[keyPaths].Content; len(paths) > 0 { // all others are not the app's
		address = strings.TrimSuffix(o.URL, "/") + paths[0].Value
	}
	err = d.do("GET "+address, func() (string, error) { return waitForAnswer(ctx, address, appAnswers) })
	if err != nil {
		return fmt.Errorf("the stack is up, but the app does not answer: %w; see `make status%[2]s` and `make logs%[2]s`",
			err, stack)
	}
	d.total("up")
	if s.onKind() {
		d.note(`eval "$(make -s env%s)"   # for kubectl and pulumi`, stack)
	}
	for _, c := range append(o.NextCommands, "make status"+stack, "make logs"+stack, "make down"+stack) {
		d.note("%s", c)
	}
	return nil
}

// stackArgument is what to add to a make command for a stack.
func stackArgument(stack string) string {
	if stack == defaultStack {
		return ""
	}
	return " STACK=" + stack
}

// ensureStack makes sure that the backend knows the stack. It does not select it, so that the user's selection stays.
func (d *driver) ensureStack(ctx context.Context, s *stack) (string, error) {
	if err := d.lookUp(ctx, s); err != nil {
		return "", err
	}
	if s.existed {
		return "exists in " + s.backend.words, nil
	}
	// What the copy has of a stack that is gone was encrypted for that one.
	committed, err := d.readStack(d.Stack)
	if err != nil {
		return "", err
	}
	s.file = committed.file
	if err := errors.Join(d.saveCopy(s), d.clearMark(markUnderWay, d.Stack)); err != nil {
		return "", err
	}
	// The command has no --config-file: it writes the passphrase's salt beside the Pulumi.yaml that it finds.
	project, name := d.local("Pulumi.yaml"), s.project.Rest["name"]
	defer func() { _ = os.Remove(project) }()
	err = os.WriteFile(project, []byte("name: "+name.Value+"\nruntime: go\n"), 0o600)
	if err == nil {
		create := d.pulumiCommand(s, "stack", "init", d.Stack, "--no-select")
		create.dir = d.local()
		_, err = d.host.Run(ctx, create)
	}
	if err == nil {
		s.file, err = readSettingsFile(d.local(stackFileName(d.Stack)))
	}
	if err != nil {
		return "", fmt.Errorf("creating stack %s: %w", d.Stack, err)
	}
	return "created in " + s.backend.words, nil
}

// matchSettings makes the copy of the stack's settings say what is true of this machine: the cluster's context, the port
// to reach the app at, the registry's port and the platform, which is Docker's.
func (d *driver) matchSettings(ctx context.Context, s *stack) (string, error) {
	platform, err := d.docker(ctx, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
	if err != nil {
		return "", fmt.Errorf("asking Docker for its platform: %w", err)
	}
	var did []string
	set := func(when bool, key, value string) {
		if when && s.setting(key) != value {
			s.file.set(key, value)
			did = append(did, fmt.Sprintf("%s is %s in %s/%s", key, value, localDir, stackFileName(d.Stack)))
		}
	}
	set(s.onKind(), keyKubeContext, "kind-"+d.Cluster)
	port := d.HTTPPort // on kind it is the cluster's by now
	if s.onKind() && s.setting(keyTLSSecret) != "" {
		port = d.HTTPSPort
	}
	set(port != 0, keyPublicPort, strconv.Itoa(port))
	set(s.pushesHere(), keyImageRepository, fmt.Sprintf("localhost:%d/%s", d.RegistryPort,
		localRepository.ReplaceAllLiteralString(s.setting(keyImageRepository), "")))
	set(true, keyImagePlatform, platform)
	if len(did) == 0 {
		did = []string{"match this machine"}
	}
	return strings.Join(did, "\n"), d.saveCopy(s)
}

// ensurePassword gives a local stack a random Redis password if it has none. The password goes to Pulumi through
// standard input, which encrypts it into the copy of the settings.
func (d *driver) ensurePassword(ctx context.Context, s *stack) (string, error) {
	switch {
	case s.has(keyRedisPassword):
		return "exists", nil
	case s.setting(keyRedis) == "false":
		return "not needed", nil
	}
	args := []string{"config", "set", "--secret", keyRedisPassword, "--stack", d.Stack}
	set := d.pulumiCommand(s, append(args, d.configFlag(s)...)...)
	set.stdin = rand.Text()
	_, err := d.host.Run(ctx, set)
	if err == nil {
		s.file, err = readSettingsFile(d.local(stackFileName(d.Stack)))
	}
	if err != nil {
		return "", fmt.Errorf("encrypting the Redis password: %w", err)
	}
	return "generated", nil
}

// update runs `pulumi up`. On this machine without its preview: that would run the program a second time for an answer
// nobody waits for. Elsewhere the preview stays: what it finds wrong is found before anything was changed.
func (d *driver) update(ctx context.Context, s *stack) (string, error) {
	args := append([]string{"up", "--yes", "--stack", d.Stack}, d.configFlag(s)...)
	if s.local() {
		args = append(args, "--skip-preview")
	}
	again := slices.Clone(args)
	if s.onDocker() && s.existed {
		if err := d.startContainers(ctx, s); err != nil {
			return "", err
		}
	}
	if s.local() && s.existed {
		flags, err := d.lookAgain(ctx, s)
		if err != nil {
			return "", err
		}
		args = append(args, flags...)
	}
	err := d.change(ctx, s, args...)
	if err != nil {
		d.diagnose(ctx, s)
	} else if s.has(keyAdoptExisting) {
		d.note("all is in the state; once more, so that nothing is taken over from now on")
		delete(s.file.Config, keyAdoptExisting)
		if err = d.saveCopy(s); err == nil {
			err = d.change(ctx, s, again...)
		}
	}
	if err != nil {
		return "", fmt.Errorf("updating stack %s: %w", d.Stack, err)
	}
	return "stack " + d.Stack + " is up to date", d.clearMark(markRollback, d.Stack)
}

// unclaimed fails if what the first update of a stack would make is there already: it is of another stack with the same
// namespace, of another folder, or of a state that was lost. After an interruption nothing could tell them apart.
func (d *driver) unclaimed(ctx context.Context, s *stack) (string, error) {
	if s.resources > 0 || d.mark(markUnderWay, d.Stack) != "" {
		return "this stack's own", nil
	}
	namespace := s.setting(keyNamespace)
	if s.onDocker() {
		names, err := d.containers(ctx, stackLabel(s))
		if err == nil && len(names) > 0 {
			err = fmt.Errorf("containers of scaleout:namespace %s are there, and not of stack %s: %s; "+
				"choose another namespace (docs/operations.md)", namespace, d.Stack, strings.Join(names, " "))
		}
		return "nothing of scaleout:namespace " + namespace, err
	}
	for _, part := range []struct {
		made        bool
		object      []string
		key, remedy string
	}{
		{true, []string{"namespace", namespace}, keyNamespace, "choose another name"},
		{s.setting(keyTraefik) == "true", []string{"namespace", "traefik"}, keyTraefik,
			"set it to false, and ingressNamespace to traefik"},
		{s.setting(keyMetricsServer) == "true", []string{"deployment", "metrics-server", "--namespace", "kube-system"},
			keyMetricsServer, "set it to false"},
	} {
		if !part.made {
			continue
		}
		found, err := d.kubectl(ctx, append([]string{"get", "--ignore-not-found", "--output", "name"}, part.object...)...)
		if err == nil && strings.TrimSpace(found) != "" {
			err = fmt.Errorf("%s is in cluster %s already, and not of stack %s: %s: %s, "+
				"or see docs/operations.md if the state was lost", strings.TrimSpace(found), d.Cluster, d.Stack, part.key, part.remedy)
		}
		if err != nil {
			return "", err
		}
	}
	return "nothing of scaleout:namespace " + namespace, nil
}

// explainPulumi adds what to do to errors of Pulumi whose own text does not say it.
func explainPulumi(stack string, err error) error {
	var failed *commandError
	if !errors.As(err, &failed) || !strings.Contains(failed.command, "pulumi ") {
		return err
	}
	argument := stackArgument(stack)
	name := path.Base(stack)
	const foreign = "it is of another stack, which needs another scaleout:namespace, or of a state that was lost " +
		"(docs/operations.md)"
	for _, known := range []struct{ sign, advice string }{
		{"incorrect passphrase", "the settings (Pulumi." + name + ".yaml, also in " + localDir + ") or the state were encrypted " +
			"with another passphrase: put that one into " + localDir + "/passphrase or PULUMI_CONFIG_PASSPHRASE; if it is lost, " +
			"delete the lines `encryptionsalt` and `secure` from Pulumi." + name + ".yaml, and " + localDir + "/Pulumi." + name + ".yaml"},
		{"currently locked", "another update is running; if it is not, `eval \"$(make -s env" + argument + ")\"; pulumi cancel --stack " +
			stack + "` removes its lock"},
		{"pulumi-language-go", "the Pulumi CLI came without its Go language host: put pulumi-language-go on PATH or into " +
			localDir + "/bin"},
		{"is already in use by container", "a container of that name is there but not in the state: " + foreign},
		{"network with name", "a network of that name is there but not in the state: " + foreign},
		{"port is already allocated", "set HTTP_PORT to a free port"},
		{"address already in use", "set HTTP_PORT to a free port"},
		{`" already exists`, "an object is in the cluster but not in the state: " + foreign},
		{"resource already exists", "an object is in the cluster but not in the state: " + foreign}, // not "Layer already exists"
	} {
		if strings.Contains(failed.output, known.sign) {
			return fmt.Errorf("%w\n%s", err, known.advice)
		}
	}
	if !strings.Contains(failed.command, "--yes") { // it was only to read, or to prepare
		return err
	}
	return fmt.Errorf("%w\nwhat is there now: `make status%[2]s`; what the app says: `make logs%[2]s`", err, argument)
}
