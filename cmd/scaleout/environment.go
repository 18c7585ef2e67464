package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/config"
)

// environments is the folder of localDir with the settings of environments: stacks that are copies of another one for
// a branch, in the same cluster, with a namespace and a host of their own.
const environments = "environments"

// markEnvironment holds when an environment ends (RFC 3339).
const markEnvironment = "environment-"

// defaultHours is the lifetime of an environment, which lasts over a weekend.
const defaultHours = 72

// environmentFile returns the settings file of an environment.
func (d *driver) environmentFile(name string) string {
	return d.local(environments, stackFileName(name))
}

// environmentUp creates or updates the environment NAME as a copy of STACK, whose cluster and ingress controller it
// uses.
func (d *driver) environmentUp(ctx context.Context) error {
	if err := d.requireName(); err != nil {
		return err
	}
	template, err := d.openStack(d.Stack)
	if err != nil {
		return err
	}
	if !template.onKind() {
		return fmt.Errorf("stack %s does not run on kind: an environment shares a kind cluster with its template", d.Stack)
	}
	if nodes, err := d.containers(ctx, d.nodeLabel()); err != nil || len(nodes) == 0 {
		return errors.Join(err, fmt.Errorf("there is no cluster %s: run make up%s first, which installs what environments "+
			"share", d.Cluster, stackArgument(d.Stack)))
	}
	settings := map[string]string{
		"namespace": d.Name, "host": d.Name + "." + cmp.Or(template.setting("host"), "localhost"),
		"installTraefik": "false", "installMetricsServer": "false", "installPrometheus": "false", "installGrafana": "false",
	}
	if template.setting("installTraefik") == "true" {
		settings["ingressNamespace"] = "traefik"
	}
	for key, value := range settings {
		template.config.Config[template.key(key)] = config.NewValue(value)
	}
	delete(template.config.Config, template.key("redisPassword")) // the environment gets its own
	until := time.Now().Add(time.Duration(cmp.Or(d.Hours, defaultHours)) * time.Hour).UTC().Format(time.RFC3339)
	err = errors.Join(os.MkdirAll(d.local(environments), 0o700), template.config.Save(d.environmentFile(d.Name)),
		d.setMark(markEnvironment, d.Name, until))
	if err != nil {
		return err
	}
	d.printf("==> environment %s\n", d.Name)
	d.note("a copy of stack %s in namespace %[2]s, until %s\nmake env-down NAME=%[2]s removes it", d.Stack, d.Name, until)
	d.Stack = d.Name
	return d.up(ctx)
}

// environmentDown removes the environment NAME with its stack.
func (d *driver) environmentDown(ctx context.Context) error {
	if err := d.requireName(); err != nil {
		return err
	}
	if d.mark(markEnvironment, d.Name) == "" {
		d.printf("there is no environment %s\n", d.Name)
		return nil
	}
	d.Stack = d.Name
	if err := d.down(ctx); err != nil {
		return err
	}
	return errors.Join(os.RemoveAll(d.environmentFile(d.Name)), d.clearMark(markEnvironment, d.Name))
}

// environmentExpire removes the environments whose time is over, and lists the others.
func (d *driver) environmentExpire(ctx context.Context) error {
	marks, err := filepath.Glob(d.local(markEnvironment + "*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, mark := range marks {
		name := strings.TrimPrefix(filepath.Base(mark), markEnvironment)
		until := d.mark(markEnvironment, name)
		if end, err := time.Parse(time.RFC3339, until); err == nil && time.Now().Before(end) {
			d.printf("%s until %s\n", name, until)
			continue
		}
		d.printf("==> environment %s ended at %s\n", name, until)
		one := *d
		one.Name = name
		if err := one.environmentDown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("environment %s: %w", name, err))
		}
	}
	if len(marks) == 0 {
		d.printf("there are no environments\n")
	}
	return errors.Join(errs...)
}

// requireName checks NAME.
func (d *driver) requireName() error {
	switch {
	case d.Name == "":
		return errors.New("NAME is missing: the environment, e.g. NAME=pr-123")
	case len(d.Name) > 63:
		return fmt.Errorf("NAME=%q has %d characters; its namespace may have 63", d.Name, len(d.Name))
	case isFile(filepath.Join(d.root, stackFileName(d.Name))):
		return fmt.Errorf("NAME=%s is a stack of this project, %s: an environment needs another name", d.Name,
			stackFileName(d.Name))
	}
	return nil
}
