package monitoring

import (
	"cmp"
	"path"
	"slices"

	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
)

// GrafanaArgs describes a Grafana that shows the dashboards of one app.
type GrafanaArgs struct {
	// Namespace to run in, which must be the Prometheus'. Required.
	Namespace pulumi.StringInput
	// Image of Grafana 12 or later. Required, with a tag other than latest or with a digest.
	Image string
	// Prometheus is the URL of the Prometheus. Required.
	Prometheus pulumi.StringInput
	// PrometheusPods are the labels of the pods behind that URL. Required.
	PrometheusPods map[string]string
	// Dashboards are JSON models, keyed by file name (*.json). Required.
	Dashboards map[string]string
	// Home is the file name of the dashboard that opens first. Required.
	Home string
}

// Validate reports everything wrong with the arguments.
func (a *GrafanaArgs) Validate() field.ErrorList {
	return slices.Concat(
		check.Image("image", a.Image),
		check.Set("prometheus", a.Prometheus != nil),
		check.Set("prometheusPods", len(a.PrometheusPods) > 0),
		check.Set("home", a.Dashboards[a.Home] != ""),
	)
}

// GrafanaSize is its resource request.
var GrafanaSize = kube.OnePodAndSurge(kube.Resources{CPURequest: "50m", MemoryLimit: "512Mi"})

const (
	grafanaPort          = 3000
	grafanaUser          = 472 // the image's
	grafanaProvisioning  = "/etc/grafana/provisioning"
	grafanaDashboardsDir = "/etc/grafana/dashboards"
)

// Grafana is stateless: its data source and dashboards come from the program, and changes in the browser are lost
// with the pod. It has no logins, and no pod can connect to it: users need the right to forward a port.
type Grafana struct {
	pulumi.ResourceState

	// Service is the name of its Service.
	Service pulumi.StringOutput
}

// GrafanaPods returns the labels of the pods of the Grafana with that name.
func GrafanaPods(name string) map[string]string { return grafanaApp(name).Selector() }

func grafanaApp(name string) objects.Pods { return objects.Pods{Name: "grafana", Instance: name} }

// NewGrafana creates the configuration, the Service, the network policy and the Deployment.
func NewGrafana(ctx *pulumi.Context, name string, args *GrafanaArgs, opts ...pulumi.ResourceOption) (*Grafana, error) {
	args = cmp.Or(args, &GrafanaArgs{})
	g := &Grafana{}
	o := objects.Owner{Pods: grafanaApp(name), Namespace: args.Namespace}
	if err := o.Register(ctx, "Grafana", name, args.Validate(), g, opts); err != nil {
		return nil, err
	}
	source := args.Prometheus.ToStringOutput().ApplyT(grafanaDataSource).(pulumi.StringOutput)
	provisioning := o.ConfigMap("-provisioning", pulumi.StringMap{
		"datasources.yaml": source, "dashboards.yaml": pulumi.String(grafanaDashboardProvider),
	})
	boards := o.ConfigMap("-dashboards", pulumi.ToStringMap(args.Dashboards))
	service := o.Service("http", grafanaPort)
	o.NetworkPolicy([]objects.Peer{}, []objects.Peer{{Pods: args.PrometheusPods, Ports: []int{prometheusPort}}})
	// Grafana requires one folder for each kind of provisioning file.
	folder := func(kind string) corev1.KeyToPathArgs {
		return corev1.KeyToPathArgs{Key: pulumi.String(kind + ".yaml"), Path: pulumi.String(kind + "/" + kind + ".yaml")}
	}
	o.SinglePodDeployment(o.Pod(grafanaUser, objects.Checksum(source, pulumi.ToStringMap(args.Dashboards)),
		corev1.PodSpecArgs{},
		corev1.ContainerArgs{
			Image:                    pulumi.String(args.Image),
			Ports:                    corev1.ContainerPortArray{objects.Port("http", grafanaPort)},
			Env:                      args.environment(),
			Resources:                GrafanaSize.Resources.Requirements(),
			TerminationMessagePolicy: objects.FallbackToLogs,
			StartupProbe:             kube.Probe{HTTP: "/api/health"}.Args("http", 2, 60), // it creates its database first
			ReadinessProbe:           kube.Probe{HTTP: "/api/health"}.Args("http", 5, 3),
			LivenessProbe:            kube.Probe{HTTP: "/api/health"}.Args("http", 10, 3),
		},
		objects.WritableDir("data", "/var/lib/grafana", "512Mi"), // its database and index
		objects.Tmp(),
		objects.ConfigVolume("provisioning", grafanaProvisioning, provisioning, folder("datasources"), folder("dashboards")),
		objects.ConfigVolume("dashboards", grafanaDashboardsDir, boards),
	))
	g.Service = objects.NameOf(service.Metadata)
	return g, o.Finish(pulumi.Map{"service": g.Service})
}

// grafanaDataSource: https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
func grafanaDataSource(url string) (string, error) {
	text, err := yaml.Marshal(object{
		"apiVersion": 1,
		"datasources": []object{{
			"name": "Prometheus", "uid": "prometheus", "type": "prometheus", "access": "proxy", "url": url, "isDefault": true,
			"jsonData": object{"timeInterval": scrapeInterval, "httpMethod": "POST"},
		}},
	})
	return string(text), err
}

const grafanaDashboardProvider = `apiVersion: 1
providers:
  - name: scaleout
    options:
      path: ` + grafanaDashboardsDir + `
`

// environment sets options of https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/: no logins,
// and no connections to the internet.
func (a *GrafanaArgs) environment() (variables corev1.EnvVarArray) {
	for _, v := range [][2]string{
		{"GF_AUTH_ANONYMOUS_ENABLED", "true"},
		{"GF_AUTH_ANONYMOUS_ORG_ROLE", "Viewer"},
		{"GF_AUTH_BASIC_ENABLED", "false"},
		{"GF_AUTH_DISABLE_LOGIN_FORM", "true"},
		{"GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION", "true"},
		{"GF_ANALYTICS_REPORTING_ENABLED", "false"},
		{"GF_ANALYTICS_CHECK_FOR_UPDATES", "false"},
		{"GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES", "false"},
		{"GF_NEWS_NEWS_FEED_ENABLED", "false"},
		{"GF_PLUGINS_PREINSTALL_DISABLED", "true"},
		{"GF_PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED", "true"},
		{"GF_PATHS_PROVISIONING", grafanaProvisioning},
		{"GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH", path.Join(grafanaDashboardsDir, a.Home)},
	} {
		variables = append(variables, corev1.EnvVarArgs{Name: pulumi.String(v[0]), Value: pulumi.String(v[1])})
	}
	return variables
}
