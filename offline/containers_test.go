package offline

import (
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

func TestContainers(t *testing.T) {
	program := func(inputs ...pulumi.Map) pulumi.RunFunc {
		return func(ctx *pulumi.Context) error {
			for i, in := range inputs {
				err := ctx.RegisterResource("docker:index/container:Container", string(rune('a'+i)), in, &object{})
				if err != nil {
					return err
				}
			}
			return nil
		}
	}
	port := func(external, internal int, ip string) pulumi.Map {
		return pulumi.Map{"external": pulumi.Int(external), "internal": pulumi.Int(internal), "ip": pulumi.String(ip)}
	}
	for name, test := range map[string]struct {
		program pulumi.RunFunc
		want    string
	}{
		"none": {program(), ""},
		"limited": {program(
			pulumi.Map{"name": pulumi.String("x-a"), "memory": pulumi.Int(64), "cpus": pulumi.String("0.5")},
			pulumi.Map{"memory": pulumi.Int(128), "ports": pulumi.Array{
				port(8090, 80, "127.0.0.1"), pulumi.Map{"internal": pulumi.Int(9090)},
			}},
		), `       CPU limit  Memory limit  Published
  x-a  0.5        64Mi
  b    none       128Mi         127.0.0.1:8090->80 any->9090
  All             192Mi
`},
		"one without a limit": {program(pulumi.Map{"memory": pulumi.Int(64)}, pulumi.Map{}),
			`       CPU limit  Memory limit  Published
  a    none       64Mi
  b    none       none
  All             none
`},
	} {
		result, err := Record(test.program)
		if err != nil {
			t.Fatal(err)
		}
		if got := result.containers(); got != test.want {
			t.Errorf("%s: (- want, + got)\n%s", name, unified(test.want, got))
		}
	}
}
