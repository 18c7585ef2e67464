package objects

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/internal/component"
)

// Read lists the verbs that a controller needs to watch objects.
const Read = "get list watch"

// Rule allows verbs on resources of an API group ("" is the core group); several are separated by spaces.
func Rule(group, resources, verbs string) rbacv1.PolicyRuleArgs {
	return rbacv1.PolicyRuleArgs{
		ApiGroups: pulumi.ToStringArray([]string{group}), Resources: Args(resources), Verbs: Args(verbs),
	}
}

// ServiceAccount creates a service account with the app's name, and returns that name. everywhere are the rules of a
// ClusterRole with the name clusterName, inNamespace those of a Role in its namespace. Nil for none.
func (o Owner) ServiceAccount(
	clusterName pulumi.StringInput, everywhere, inNamespace rbacv1.PolicyRuleArray,
) pulumi.StringOutput {
	account := component.Create(o.Builder, corev1.NewServiceAccount, "", &corev1.ServiceAccountArgs{Metadata: o.Meta("")})
	if everywhere != nil {
		role := component.Create(o.Builder, rbacv1.NewClusterRole, "", &rbacv1.ClusterRoleArgs{
			Metadata: o.ClusterMeta(clusterName), Rules: everywhere,
		})
		o.BindClusterRole("", clusterName, NameOf(role.Metadata))
	}
	if inNamespace != nil {
		role := component.Create(o.Builder, rbacv1.NewRole, "", &rbacv1.RoleArgs{
			Metadata: o.Meta(""), Rules: inNamespace,
		})
		o.BindRole("", NameOf(role.Metadata))
	}
	return NameOf(account.Metadata)
}

// BindClusterRole grants a ClusterRole to the app's service account in all namespaces; object names the binding.
func (o Owner) BindClusterRole(suffix string, object, role pulumi.StringInput) {
	component.Create(o.Builder, rbacv1.NewClusterRoleBinding, suffix, &rbacv1.ClusterRoleBindingArgs{
		Metadata: o.ClusterMeta(object), RoleRef: roleRef("ClusterRole", role), Subjects: o.subjects(),
	})
}

// BindRole grants a Role to the app's service account in its namespace.
func (o Owner) BindRole(suffix string, role pulumi.StringInput) {
	component.Create(o.Builder, rbacv1.NewRoleBinding, suffix, &rbacv1.RoleBindingArgs{
		Metadata: o.Meta(suffix), RoleRef: roleRef("Role", role), Subjects: o.subjects(),
	})
}

func roleRef(kind string, name pulumi.StringInput) *rbacv1.RoleRefArgs {
	return &rbacv1.RoleRefArgs{
		ApiGroup: pulumi.String("rbac.authorization.k8s.io"), Kind: pulumi.String(kind), Name: name,
	}
}

func (o Owner) subjects() rbacv1.SubjectArray {
	return rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(o.Instance), Namespace: o.Namespace,
	}}
}
