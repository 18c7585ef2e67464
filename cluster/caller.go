package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/cluster/config"
)

// requireAdmin refuses an `up` by someone who could not create anything in the cluster, before a quarter of an hour has
// gone into the cluster itself. Who only previews is warned: in CI that is often another role.
func requireAdmin(ctx *pulumi.Context, cfg *config.Config) error {
	caller, err := aws.GetCallerIdentity(ctx, &aws.GetCallerIdentityArgs{})
	if err != nil {
		return fmt.Errorf("asking AWS who runs this: %w", err)
	}
	admins := cfg.ControlPlane.Admins
	if caller.Arn == "" || slices.ContainsFunc(admins, func(admin string) bool { return actsAs(caller.Arn, admin) }) {
		return nil // offline nobody runs it
	}
	problem := fmt.Sprintf("%s is none of scaleout-cluster:adminArns (%s), so it could not create anything in the "+
		"cluster; add its role or user, or run this as one of them", caller.Arn, strings.Join(admins, ", "))
	if ctx.DryRun() {
		return ctx.Log.Warn(problem, nil)
	}
	return fmt.Errorf("%s; nothing was touched", problem)
}

// actsAs tells whether the identity of a caller is that of a user or a session of a role. A session shows the role's
// name without its path: arn:aws:sts::111122223333:assumed-role/ci/session of arn:aws:iam::111122223333:role/teams/ci.
func actsAs(caller, principal string) bool {
	session := strings.Split(caller, ":")
	owner := strings.Split(principal, ":")
	role, isSession := strings.CutPrefix(session[len(session)-1], "assumed-role/")
	if !isSession {
		return caller == principal
	}
	name, _, _ := strings.Cut(role, "/")
	path := strings.Split(owner[len(owner)-1], "/")
	const account = 4
	return path[0] == "role" && path[len(path)-1] == name && session[account] == owner[account]
}
