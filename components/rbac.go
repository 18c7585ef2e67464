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

// newServiceAccount creates an account that may do what the rules say, in every namespace, and returns its name.
func newServiceAccount(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace pulumi.StringInput, rules []rule,
) (pulumi.StringOutput, error) {
	none := pulumi.StringOutput{}
	account, err := corev1.NewServiceAccount(ctx, name, &corev1.ServiceAccountArgs{
		Metadata: app.meta(name, namespace),
	}, pulumi.Parent(parent))
	if err != nil {
		return none, creating("service account", name, err)
	}
	var policyRules rbacv1.PolicyRuleArray
	for _, r := range rules {
		policyRules = append(policyRules, rbacv1.PolicyRuleArgs{
			ApiGroups: pulumi.ToStringArray(r.groups),
			Resources: pulumi.ToStringArray(r.resources),
			Verbs:     pulumi.ToStringArray(r.verbs),
		})
	}
	role, err := rbacv1.NewClusterRole(ctx, name, &rbacv1.ClusterRoleArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: app.labels()},
		Rules:    policyRules,
	}, pulumi.Parent(parent))
	if err != nil {
		return none, creating("cluster role", name, err)
	}
	err = bindClusterRole(ctx, parent, name, app, namespace, role.Metadata.Name().Elem())
	return account.Metadata.Name().Elem(), err
}

// bindClusterRole gives a role to the service account that has the app's name.
func bindClusterRole(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App, namespace, role pulumi.StringInput,
) error {
	_, err := rbacv1.NewClusterRoleBinding(ctx, name, &rbacv1.ClusterRoleBindingArgs{
		Metadata: &metav1.ObjectMetaArgs{Name: pulumi.String(name), Labels: app.labels()},
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
