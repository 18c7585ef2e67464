package platform

import (
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/componenttest"
)

// Two accounts may have roles of the same name. The entries of the cluster's own account keep the names of existing
// stacks: a new name would delete and recreate the entry, during which the role has no access.
func TestTwoAdminsOfOneNameInTwoAccounts(t *testing.T) {
	result := componenttest.Record(t, func(ctx *pulumi.Context) error {
		arn := pulumi.String("arn:x").ToStringOutput()
		_, err := NewControlPlane(ctx, "cluster", &ControlPlaneArgs{
			Network: &Network{}, Roles: &Roles{Cluster: arn, Node: arn, NodeName: arn},
			Cluster: Cluster{Name: "production", Account: "111122223333", Region: "eu-central-1"},
			Version: "1.35", LogRetentionDays: 30, SupportType: "STANDARD",
			Admins:  []string{"arn:aws:iam::111122223333:role/teams/ci", "arn:aws:iam::444455556666:role/teams/ci"},
			Viewers: []string{"arn:aws:iam::111122223333:user/teams/ci"},
		})
		return err
	})
	var entries, policies []string
	for _, r := range result.Resources {
		switch r.Type {
		case "aws:eks/accessEntry:AccessEntry":
			entries = append(entries, r.Name)
		case "aws:eks/accessPolicyAssociation:AccessPolicyAssociation":
			policies = append(policies, r.Name)
		}
	}
	want := []string{"cluster-444455556666-role/teams/ci", "cluster-role/teams/ci", "cluster-user/teams/ci"}
	for kind, got := range map[string][]string{"entries": entries, "policies": policies} {
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("got %s %q, want %q", kind, got, want)
		}
	}
}
