package components_test

import (
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/scaleout/components/addons"
	"example.com/scaleout/components/aws"
	"example.com/scaleout/components/docker"
	"example.com/scaleout/components/image"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/components/monitoring"
	"example.com/scaleout/offline"
)

// of calls a constructor with nil arguments.
func of[A, C any](create func(*pulumi.Context, string, *A, ...pulumi.ResourceOption) (C, error)) pulumi.RunFunc {
	return func(ctx *pulumi.Context) error {
		_, err := create(ctx, "x", nil)
		return err
	}
}

// Nil arguments report the same missing fields as empty ones.
func TestNoArguments(t *testing.T) {
	for name, program := range map[string]pulumi.RunFunc{
		"kube.WebApp": of(kube.NewWebApp), "kube.Namespace": of(kube.NewNamespace), "kube.Redis": of(kube.NewRedis),
		"kube.RedisSecret": of(kube.NewRedisSecret), "kube.Secret": of(kube.NewSecret), "kube.Ingress": of(kube.NewIngress),
		"kube.Autoscaler": of(kube.NewAutoscaler), "kube.ALBClass": of(kube.NewALBClass),
		"addons.Traefik": of(addons.NewTraefik), "addons.MetricsServer": of(addons.NewMetricsServer),
		"aws.ECRRepository": of(aws.NewECRRepository), "aws.Certificate": of(aws.NewCertificate),
		"aws.LoadBalancerRecord": of(aws.NewLoadBalancerRecord), "aws.ElastiCache": of(aws.NewElastiCache),
		"image.Image": of(image.New), "docker.Network": of(docker.NewNetwork), "docker.Redis": of(docker.NewRedis),
		"docker.WebApp": of(docker.NewWebApp), "docker.Nginx": of(docker.NewNginx),
		"monitoring.Prometheus": of(monitoring.NewPrometheus), "monitoring.Grafana": of(monitoring.NewGrafana),
		"monitoring.KubeStateMetrics": of(monitoring.NewKubeStateMetrics), "monitoring.Operator": of(monitoring.NewOperator),
	} {
		if _, err := offline.Record(program); err == nil || !strings.Contains(err.Error(), "\n  ") {
			t.Errorf("%s: got %v, want the required fields", name, err)
		}
	}
}
