package components

import (
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	rbacv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/rbac/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// rule allows verbs on resources of API groups ("" is the core group).
type rule struct{ groups, resources, verbs []string }

// read is what a controller that watches objects needs.
var read = []string{"get", "list", "watch"}

// permissions are what an account may do: in every namespace, by a role that has the name clusterName, and in its own one.
type permissions struct {
	everywhere  []rule
	clusterName pulumi.StringInput
	inNamespace []rule
}

// newServiceAccount creates an account with its permissions and returns its name.
func newServiceAccount(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, may permissions,
) (pulumi.StringOutput, error) {
	none := pulumi.StringOutput{}
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata: app.meta(name, namespace),
	}, pulumi.Parent(parent))
	if err != nil {
		return none, creating("service account", name, err)
	}
	if may.everywhere != nil {
		role, err := rbacv1.NewClusterRole(ctx, name, &rbacv1.ClusterRoleArgs{
			Metadata: &metav1.ObjectMetaArgs{Name: may.clusterName, Labels: app.labels()},
			Rules:    policyRules(may.everywhere),
		}, pulumi.Parent(parent))
		if err != nil {
			return none, creating("cluster role", name, err)
		}
		err = bindClusterRole(ctx, parent, name, app, may.clusterName, namespace, role.Metadata.Name().Elem())
		if err != nil {
			return none, err
		}
	}
	if may.inNamespace != nil {
		if err := newRole(ctx, parent, name, app, namespace, may.inNamespace); err != nil {
			return none, err
		}
	}
	return account.Metadata.Name().Elem(), nil
}

// newRole gives permissions in a namespace to the service account there that has the app's name.
func newRole(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, rules []rule,
) error {
	role, err := rbacv1.NewRole(ctx, name, &rbacv1.RoleArgs{
		Metadata: app.meta(name, namespace), Rules: policyRules(rules),
	}, pulumi.Parent(parent))
	if err != nil {
		return creating("role", name, err)
	}
	_, err = rbacv1.NewRoleBinding(ctx, name, &rbacv1.RoleBindingArgs{
		Metadata: app.meta(name, namespace),
		RoleRef:  roleRef("Role", role.Metadata.Name().Elem()),
		Subjects: accountOf(app, namespace),
	}, pulumi.Parent(parent))
	if err != nil {
		return creating("role binding", name, err)
	}
	return nil
}

func policyRules(rules []rule) (all rbacv1.PolicyRuleArray) {
	for _, r := range rules {
		all = append(all, rbacv1.PolicyRuleArgs{
			ApiGroups: pulumi.ToStringArray(r.groups),
			Resources: pulumi.ToStringArray(r.resources),
			Verbs:     pulumi.ToStringArray(r.verbs),
		})
	}
	return all
}

// bindClusterRole gives a role to the service account that has the app's name; bindingName is the object's.
func bindClusterRole(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, bindingName, namespace, role pulumi.StringInput,
) error {
	_, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: bindingName, Labels: app.labels()},
		RoleRef:  roleRef("ClusterRole", role),
		Subjects: accountOf(app, namespace),
	}, pulumi.Parent(parent))
	if err != nil {
		return creating("cluster role binding", name, err)
	}
	return nil
}

func roleRef(kind string, name pulumi.StringInput) *rbacv1.RoleRefArgs {
	return &rbacv1.RoleRefArgs{
		ApiGroup: pulumi.String("rbac.authorization.k8s.io"), Kind: pulumi.String(kind), Name: name,
	}
}

func accountOf(app App, namespace pulumi.StringInput) rbacv1.SubjectArray {
	return rbacv1.SubjectArray{rbacv1.SubjectArgs{
		Kind: pulumi.String("ServiceAccount"), Name: pulumi.String(app.Instance), Namespace: namespace,
	}}
}
