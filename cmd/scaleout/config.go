package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// requirePassword fails early where a password has to come from the user.
func (d *driver) requirePassword(s *stack) error {
	if s.file.has(keyRedisPassword) || s.local() && s.setting(keyRedisHost) == "" {
		return nil
	}
	return fmt.Errorf("stack %s has no Redis password, and only a Redis that `up` itself makes on this machine gets a generated one; set it with:\n"+
		"  eval \"$(make -s env)\"\n  pulumi config set --secret redisPassword --stack %[1]s", d.Stack)
}

// ensurePassword gives a local stack a random Redis password if it has none. The password goes to Pulumi through
// standard input, and comes back encrypted.
func (d *driver) ensurePassword(ctx context.Context, s *stack) (string, error) {
	if s.file.has(keyRedisPassword) {
		return "exists", nil
	}
	copied, err := d.onCopy(ctx, s, rand.Text(), "config", "set", "--secret", keyRedisPassword, "--stack", d.Stack)
	if err != nil {
		return "", explainPulumi(d.Stack, fmt.Errorf("encrypting the Redis password: %w", err))
	}
	at, _ := copied.find(keyRedisPassword)
	ciphertext := scalar(copied.secure(at).tail)
	if ciphertext == "" {
		return "", errors.New("encrypting the Redis password: pulumi left no `secure` value in its copy")
	}
	s.file.setPassword(ciphertext)
	if err := s.takeSalt(copied); err != nil {
		return "", err
	}
	return "generated", s.file.save()
}

// localRepository is an image repository in a registry on this machine.
var localRepository = regexp.MustCompile(`^(localhost|127\.0\.0\.1):\d+/`)

// matchSettings makes the stack's settings say what is true of this machine: the cluster's context, the port to
// reach the app at, the registry's port and the platform, which is Docker's. It changes nothing where they do already.
func (d *driver) matchSettings(ctx context.Context, s *stack) (string, error) {
	platform, err := d.docker(ctx, "version", "--format", "{{.Server.Os}}/{{.Server.Arch}}")
	if err != nil {
		return "", fmt.Errorf("asking Docker for its platform: %w", err)
	}
	want := map[string]string{keyImagePlatform: platform}
	if s.onKind() {
		want[keyKubeContext] = "kind-" + d.Cluster
	}
	if d.HTTPPort != 0 { // on Kind it is the cluster's by now
		want[keyPublicPort] = strconv.Itoa(d.HTTPPort)
	}
	if s.pushesHere() {
		want[keyImageRepository] = fmt.Sprintf("localhost:%d/%s", d.RegistryPort,
			localRepository.ReplaceAllLiteralString(s.setting(keyImageRepository), ""))
	}
	var did []string
	for _, key := range []string{keyKubeContext, keyPublicPort, keyImageRepository, keyImagePlatform} {
		if value, ok := want[key]; ok && s.setting(key) != value {
			s.file.set(key, value)
			did = append(did, fmt.Sprintf("set %s to %s in Pulumi.%s.yaml", key, value, d.Stack))
		}
	}
	if len(did) == 0 {
		return "match this machine", nil
	}
	return strings.Join(did, "\n"), s.file.save()
}

// pushesHere tells whether the images go to the registry that `up` takes care of.
func (s *stack) pushesHere() bool { return localRepository.MatchString(s.setting(keyImageRepository)) }
