package kube

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/component"
)

// register registers a component of this package.
func register(
	ctx *pulumi.Context, kind, name string, problems field.ErrorList,
	resource pulumi.ComponentResource, opts []pulumi.ResourceOption,
) error {
	return component.Register(ctx, "scaleout:index", kind, name, problems, resource, opts)
}

// creating names the child whose registration failed.
func creating(child, name string, err error) error { return component.Creating(child, name, err) }
