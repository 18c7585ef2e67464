package components

import (
	"fmt"
	"strings"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	networkingv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/networking/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// RedisConnection is what an app needs to know of a Redis, wherever that runs.
type RedisConnection struct {
	// Host is a DNS name or an address.
	Host pulumi.StringOutput
	// Port of the server.
	Port int
	// TLS says whether the server expects an encrypted connection.
	TLS bool
	// Username of the Redis access control list. Empty for the default user.
	Username string
	// Secret names the Kubernetes Secret, in the app's namespace, whose key `password` holds the password.
	Secret pulumi.StringOutput
	// Password is the same, for checksums only: it never goes into a pod's specification.
	Password pulumi.StringOutput

	peer networkingv1.NetworkPolicyPeerArgs
	// server is what an app waits for before its first rollout; nil for a Redis elsewhere.
	server pulumi.Resource
}

func (c RedisConnection) outputs() pulumi.Map {
	return pulumi.Map{
		"host": c.Host, "port": pulumi.Int(c.Port), "tls": pulumi.Bool(c.TLS),
		"username": pulumi.String(c.Username), "secret": c.Secret,
	}
}

// passwordKey is the key of the password in the Secret, and so the name of the file in a pod.
const passwordKey = "password"

// newPasswordSecret stores the password in the forms in which pods read it, one of them under passwordKey.
func newPasswordSecret(
	ctx *pulumi.Context, parent pulumi.Resource, name string, app App,
	namespace pulumi.StringInput, forms pulumi.StringMap,
) (*corev1.Secret, error) {
	secret, err := corev1.NewSecret(ctx, name+"-auth", &corev1.SecretArgs{
		Metadata:   app.meta(app.Instance+"-auth", namespace),
		StringData: forms,
	}, pulumi.Parent(parent))
	if err != nil {
		return nil, creating("secret", name, err)
	}
	return secret, nil
}

// requirePass is the configuration line that sets the password. Escaping every byte leaves no character that could end
// the string or start another directive.
func requirePass(password string) string {
	var line strings.Builder
	line.WriteString(`requirepass "`)
	for _, b := range []byte(password) {
		fmt.Fprintf(&line, `\x%02x`, b)
	}
	line.WriteString("\"\n")
	return line.String()
}

// secretVolume mounts a Secret for its owner's group only. A file, unlike an environment variable, does not show in
// /proc or in a crash dump, and does not pass to child processes.
func secretVolume(name string, secret pulumi.StringInput) corev1.VolumeArgs {
	return corev1.VolumeArgs{
		Name: pulumi.String(name),
		Secret: &corev1.SecretVolumeSourceArgs{
			SecretName:  secret,
			DefaultMode: pulumi.Int(0o440),
		},
	}
}
