package monitoring

import (
	"path"

	appsv1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/apps/v1"
	corev1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/core/v1"
	metav1 "github.com/pulumi/pulumi-kubernetes/sdk/v4/go/kubernetes/meta/v1"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/components/internal/objects"
	"example.com/scaleout/components/kube"
	"example.com/scaleout/internal/check"
	"example.com/scaleout/internal/component"
)

// GrafanaArgs describe a Grafana that shows the dashboards of one app.
type GrafanaArgs struct {
	// Namespace it runs in: that of the Prometheus. Required.
	Namespace pulumi.StringInput
	// Image of Grafana 12 or later. Required, with a tag other than latest or with a digest.
	Image string
	// Prometheus is the URL of the data. Required.
	Prometheus pulumi.StringInput
	// PrometheusPods are the labels of the pods that answer there. Required.
	PrometheusPods map[string]string
	// Dashboards are JSON models by the names of their files, *.json. Required.
	Dashboards map[string]string
	// Home is the name of the dashboard that opens first. Required.
	Home string
}

// Validate reports everything wrong with the arguments.
func (a *GrafanaArgs) Validate() field.ErrorList {
	problems := check.Set("namespace", a.Namespace != nil)
	problems = append(problems, check.Image("image", a.Image)...)
	problems = append(problems, check.Set("prometheus", a.Prometheus != nil)...)
	problems = append(problems, check.Set("prometheusPods", len(a.PrometheusPods) > 0)...)
	return append(problems, check.Set("home", a.Dashboards[a.Home] != "")...)
}

// GrafanaSize is what it asks for.
var GrafanaSize = kube.OnePod(grafanaResources)

var grafanaResources = kube.Resources{CPURequest: "50m", MemoryLimit: "512Mi"}

const (
	grafanaPort          = 3000
	grafanaUser          = 472     // the image's
	grafanaDataSize      = "512Mi" // its database and index
	grafanaDataDir       = "/var/lib/grafana"
	grafanaProvisioning  = "/etc/grafana/provisioning"
	grafanaDashboardsDir = "/etc/grafana/dashboards"
)

// Grafana keeps nothing: data source and dashboards come from the program, and what someone changes in the browser is
// gone with the pod. It has no passwords either. Nobody can log in, everybody who reaches it may look, and only those
// reach it who may forward a port, since its network policy admits no pod.
type Grafana struct {
	pulumi.ResourceState

	// Service is the name of its Service.
	Service pulumi.StringOutput
}

// GrafanaPods are the labels of the pods of the Grafana with that name.
func GrafanaPods(name string) map[string]string { return grafanaApp(name).Pods() }

func grafanaApp(name string) objects.App { return objects.App{Name: "grafana", Instance: name} }

// NewGrafana creates the configuration, the Service, the network policy and the Deployment.
func NewGrafana(ctx *pulumi.Context, name string, args *GrafanaArgs, opts ...pulumi.ResourceOption) (*Grafana, error) {
	g := &Grafana{}
	problems := append(args.Validate(), check.ObjectName(name)...)
	if err := component.Register(ctx, "scaleout:index", "Grafana", name, problems, g, opts); err != nil {
		return nil, err
	}
	app := grafanaApp(name)
	source := args.Prometheus.ToStringOutput().ApplyT(grafanaDataSource).(pulumi.StringOutput)
	provisioning, err := corev1.NewConfigMap(ctx, name+"-provisioning", &corev1.ConfigMapArgs{
		Metadata: app.Meta(name+"-provisioning", args.Namespace),
		Data:     pulumi.StringMap{"datasources.yaml": source, "dashboards.yaml": pulumi.String(grafanaDashboardProvider)},
	}, pulumi.Parent(g))
	if err != nil {
		return nil, component.Creating("config map", name, err)
	}
	boards, err := corev1.NewConfigMap(ctx, name+"-dashboards", &corev1.ConfigMapArgs{
		Metadata: app.Meta(name+"-dashboards", args.Namespace), Data: pulumi.ToStringMap(args.Dashboards),
	}, pulumi.Parent(g))
	if err != nil {
		return nil, component.Creating("config map", name, err)
	}
	service, err := objects.NewService(ctx, g, name, app, args.Namespace, "http", grafanaPort)
	if err != nil {
		return nil, err
	}
	_, err = objects.NewNetworkPolicy(ctx, g, name, app.Meta(name, args.Namespace), app.LabelSelector(), []objects.Peer{},
		[]objects.Peer{{Pods: args.PrometheusPods, Ports: objects.TCP(prometheusPort)}})
	if err != nil {
		return nil, err
	}
	_, err = appsv1.NewDeployment(ctx, name, &appsv1.DeploymentArgs{
		Metadata: app.Meta(name, args.Namespace),
		Spec: &appsv1.DeploymentSpecArgs{
			Replicas: pulumi.Int(1), Selector: app.LabelSelector(),
			Template: args.pod(app, provisioning, boards, objects.Checksum(source, pulumi.ToStringMap(args.Dashboards))),
		},
	}, pulumi.Parent(g))
	if err != nil {
		return nil, component.Creating("deployment", name, err)
	}
	g.Service = service.Metadata.Name().Elem()
	return g, ctx.RegisterResourceOutputs(g, pulumi.Map{"service": g.Service})
}

// grafanaDataSource is the data source at url:
// https://grafana.com/docs/grafana/latest/administration/provisioning/#data-sources
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

// grafanaEnvironment sets options of https://grafana.com/docs/grafana/latest/setup-grafana/configure-grafana/: nobody can
// log in, and nothing is sent to or fetched from anywhere.
var grafanaEnvironment = [][2]string{
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
}

func (a *GrafanaArgs) pod(
	app objects.App, provisioning, boards *corev1.ConfigMap, sum pulumi.StringInput,
) *corev1.PodTemplateSpecArgs {
	var vars corev1.EnvVarArray
	for _, v := range grafanaEnvironment {
		vars = append(vars, objects.Env(v[0], pulumi.String(v[1])))
	}
	vars = append(vars, objects.Env("GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH",
		pulumi.String(path.Join(grafanaDashboardsDir, a.Home))))
	// Grafana wants one folder for each kind of thing.
	kinds := objects.ConfigVolume("provisioning", provisioning)
	items := corev1.KeyToPathArray{}
	for _, kind := range []string{"datasources", "dashboards"} {
		items = append(items, corev1.KeyToPathArgs{
			Key: pulumi.String(kind + ".yaml"), Path: pulumi.String(kind + "/" + kind + ".yaml"),
		})
	}
	kinds.ConfigMap.(*corev1.ConfigMapVolumeSourceArgs).Items = items
	return &corev1.PodTemplateSpecArgs{
		Metadata: &metav1.ObjectMetaArgs{
			Labels: app.LabelSet(), Annotations: pulumi.StringMap{objects.ChecksumAnnotation: sum},
		},
		Spec: &corev1.PodSpecArgs{
			AutomountServiceAccountToken: pulumi.Bool(false),
			EnableServiceLinks:           pulumi.Bool(false), // GRAFANA_PORT and the like are no options of Grafana
			SecurityContext:              objects.RestrictedPod(grafanaUser),
			Containers: corev1.ContainerArray{corev1.ContainerArgs{
				Name:  pulumi.String("grafana"),
				Image: pulumi.String(a.Image),
				Ports: corev1.ContainerPortArray{corev1.ContainerPortArgs{
					Name: pulumi.String("http"), ContainerPort: pulumi.Int(grafanaPort),
				}},
				Env:                      vars,
				Resources:                grafanaResources.Requirements(),
				SecurityContext:          objects.RestrictedContainer(),
				TerminationMessagePolicy: pulumi.String("FallbackToLogsOnError"),
				StartupProbe:             objects.HTTPProbe("/api/health", "http", 2, 60), // it makes its database first
				ReadinessProbe:           objects.HTTPProbe("/api/health", "http", 5, 3),
				LivenessProbe:            objects.HTTPProbe("/api/health", "http", 10, 3),
				VolumeMounts: corev1.VolumeMountArray{
					objects.Mount("data", grafanaDataDir), objects.Mount("tmp", "/tmp"),
					objects.MountReadOnly("provisioning", grafanaProvisioning), objects.MountReadOnly("dashboards", grafanaDashboardsDir),
				},
			}},
			Volumes: corev1.VolumeArray{
				objects.WritableDir("data", grafanaDataSize), objects.WritableDir("tmp", objects.ScratchSize), kinds,
				objects.ConfigVolume("dashboards", boards),
			},
		},
	}
}
