package objects

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

// Rule allows verbs on resources of API groups ("" is the core group).
type Rule struct{ Groups, Resources, Verbs []string }

// Read is what a controller that watches objects needs.
var Read = []string{"get", "list", "watch"}

// Permissions of an account. A nil list grants nothing.
type Permissions struct {
	// Everywhere are the rules of a ClusterRole, and of its binding, that have the name ClusterName.
	Everywhere  []Rule
	ClusterName pulumi.StringInput
	// InNamespace are the rules of a Role in the account's namespace.
	InNamespace []Rule
}

// NewServiceAccount creates an account with its permissions and returns its name.
func NewServiceAccount(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, may Permissions,
) (pulumi.StringOutput, error) {
	none := pulumi.StringOutput{}
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata: app.Meta(name, namespace),
	}, pulumi.Parent(parent))
	if err != nil {
		return none, component.Creating("service account", name, err)
	}
	if may.Everywhere != nil {
		role, err := rbacv1.NewClusterRole(ctx, name, &rbacv1.ClusterRoleArgs{
			Metadata: &metav1.ObjectMetaArgs{Name: may.ClusterName, Labels: app.LabelSet()},
			Rules:    policyRules(may.Everywhere),
		}, pulumi.Parent(parent))
		if err != nil {
			return none, component.Creating("cluster role", name, err)
		}
		err = BindClusterRole(ctx, parent, name, app, may.ClusterName, namespace, role.Metadata.Name().Elem())
		if err != nil {
			return none, err
		}
	}
	if may.InNamespace != nil {
		if err := newRole(ctx, parent, name, app, namespace, may.InNamespace); err != nil {
			return none, err
		}
	}
	return account.Metadata.Name().Elem(), nil
}

// newRole gives permissions in a namespace to the service account there that has the app's name.
func newRole(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, rules []Rule,
) error {
	role, err := rbacv1.NewRole(ctx, name, &rbacv1.RoleArgs{
		Metadata: app.Meta(name, namespace), Rules: policyRules(rules),
	}, pulumi.Parent(parent))
	if err != nil {
		return component.Creating("role", name, err)
	}
	_, err = rbacv1.NewRoleBinding(ctx, name, &rbacv1.RoleBindingArgs{
		Metadata: app.Meta(name, namespace),
		RoleRef:  RoleRef("Role", role.Metadata.Name().Elem()),
		Subjects: AccountOf(app, namespace),
	}, pulumi.Parent(parent))
	if err != nil {
		return component.Creating("role binding", name, err)
	}
	return nil
}

func policyRules(rules []Rule) (all rbacv1.PolicyRuleArray) {
	for _, r := range rules {
		all = append(all, rbacv1.PolicyRuleArgs{
			ApiGroups: pulumi.ToStringArray(r.Groups),
			Resources: pulumi.ToStringArray(r.Resources),
			Verbs:     pulumi.ToStringArray(r.Verbs),
		})
	}
	return all
}

// BindClusterRole gives a role to the service account that has the app's name; bindingName is the object's.
func BindClusterRole(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, bindingName, namespace, role pulumi.StringInput,
) error {
	_, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: bindingName, Labels: app.LabelSet()},
		RoleRef:  RoleRef("ClusterRole", role),
		Subjects: AccountOf(app, namespace),
	}, pulumi.Parent(parent))
	if err != nil {
		return component.Creating("cluster role binding", name, err)
	}
	return nil
}

// RoleRef names a role for a binding.
func RoleRef(kind string, name pulumi.StringInput) *rbacv1.RoleRefArgs {
	return &rbacv1.RoleRefArgs{
		ApiGroup: pulumi.String("rbac.authorization.k8s.io"), Kind: pulumi.String(kind), Name: name,
	}
}

// AccountOf is the service account with the app's name as the subject of a binding.
func AccountOf(app App, namespace pulumi.StringInput) rbacv1.SubjectArray {
	return rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(app.Instance), Namespace: namespace,
	}}
}
