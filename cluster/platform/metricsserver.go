package platform

import (
	"regexp"

	"github.com/pulumi/pulumi-aws/sdk/v6/go/aws/eks"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// MetricsServerArgs describe the add-on without which nothing scales.
type MetricsServerArgs struct {
	// Cluster is its name. Required.
	Cluster pulumi.StringInput
	// Version of the add-on, e.g. v0.8.0-eksbuild.1. Empty for the one that is EKS' default when it is created.
	Version string
}

var addonVersionForm = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+-eksbuild\.[0-9]+$`)

// Validate reports everything wrong with the arguments.
func (a *MetricsServerArgs) Validate() field.ErrorList {
	return append(check.Set("cluster", a.Cluster != nil), CheckAddonVersion("version", a.Version)...)
}

// CheckAddonVersion reports what is no version of an add-on. Empty is EKS' default.
func CheckAddonVersion(name, version string) field.ErrorList {
	if version != "" && !addonVersionForm.MatchString(version) {
		return check.Invalid(name, version, "must be a version such as v0.8.0-eksbuild.1, or empty; "+
			"`aws eks describe-addon-versions --addon-name metrics-server` lists them")
	}
	return nil
}

// MetricsServer is EKS' add-on of that name: AWS builds and scans it. It stays at its version until another is given
// here. https://docs.aws.amazon.com/eks/latest/userguide/community-addons.html
type MetricsServer struct {
	pulumi.ResourceState
}

// NewMetricsServer creates the add-on and waits until it works.
func NewMetricsServer(
	ctx *pulumi.Context, name string, args *MetricsServerArgs, opts ...pulumi.ResourceOption,
) (*MetricsServer, error) {
	m := &MetricsServer{}
	if err := register(ctx, "MetricsServer", name, args.Validate(), m, opts); err != nil {
		return nil, err
	}
	addon := &eks.AddonArgs{
		ClusterName: args.Cluster, AddonName: pulumi.String("metrics-server"),
		// What is there already under its name becomes the add-on's; later changes by hand are kept.
		ResolveConflictsOnCreate: pulumi.String("OVERWRITE"),
		ResolveConflictsOnUpdate: pulumi.String("PRESERVE"),
	}
	if args.Version != "" {
		addon.AddonVersion = pulumi.String(args.Version)
	}
	if _, err := eks.NewAddon(ctx, name, addon, pulumi.Parent(m)); err != nil {
		return nil, creating("EKS add-on", name, err)
	}
	return m, ctx.RegisterResourceOutputs(m, pulumi.Map{})
}
