package offline

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPreview(t *testing.T) {
	got := runDemo(t).Preview()
	want := `Type                                                     Name
pulumi:pulumi:Stack                                      demo-dev
├─ demo:index:App                                        app
│  ├─ docker:index:Image                                 app
│  ├─ kubernetes:apps/v1:Deployment                      deployment-web
│  ├─ kubernetes:apps/v1:StatefulSet                     statefulset-redis
│  ├─ kubernetes:autoscaling/v2:HorizontalPodAutoscaler  horizontalpodautoscaler-web
│  ├─ kubernetes:core/v1:ConfigMap                       configmap-careless
│  ├─ kubernetes:core/v1:Namespace                       namespace-demo
│  └─ kubernetes:core/v1:Secret                          secret-web
└─ pulumi:providers:kubernetes                           cluster

Autoscalers:
  HorizontalPodAutoscaler demo/web  2..10 replicas of Deployment demo/web  cpu of all containers at 50 %

Pods:
                          Replicas  CPU request  CPU limit  Memory request  Memory limit
  StatefulSet demo/redis  1         100m         none       128Mi           128Mi
  Deployment demo/web     2..10     250m         none       64Mi            64Mi
  All at min replicas     3         600m         none       256Mi           256Mi
  All at max replicas     11        2600m        none       768Mi           768Mi

Known only after ` + "`pulumi up`" + `:
  Deployment demo/web                  spec.template.spec.containers[0].image  [unknown: docker image app]
  pulumi:providers:kubernetes cluster  kubeconfig                              [unknown: aws getCluster]
  output                               commands[1]                             [unknown: docker image app]
  output                               image                                   [unknown: docker image app]

Outputs:
  commands  kubectl get pods
            [unknown: docker image app]
  image     [unknown: docker image app]
  password  [secret]
  title     Hello

Secrets that are not set yet:
  key  pulumi config set --secret key --stack dev
`
	if got != want {
		t.Errorf("(- want, + got)\n%s", unified(want, got))
	}
}

func TestPreviewFitsATerminal(t *testing.T) {
	for _, line := range strings.Split(runDemo(t).Preview(), "\n") {
		if width := utf8.RuneCountInString(line); width > 120 {
			t.Errorf("%d columns, want at most 120: %s", width, line)
		}
	}
}

func container(requests, limits map[string]any) map[string]any {
	return map[string]any{"resources": map[string]any{"requests": requests, "limits": limits}}
}

func TestPodTable(t *testing.T) {
	workload := func(kind, name string, replicas any) Resource {
		inputs := map[string]any{
			"apiVersion": "apps/v1", "kind": kind, "metadata": map[string]any{"name": name},
			"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
				"containers": []any{container(map[string]any{"cpu": "1", "memory": "1Gi"}, nil)},
			}}},
		}
		if replicas != nil {
			inputs["spec"].(map[string]any)["replicas"] = replicas
		}
		return Resource{URN: kind + name, Type: "kubernetes:apps/v1:" + kind, Name: name, Custom: true, Inputs: inputs}
	}
	r := &Result{Resources: []Resource{
		workload("DaemonSet", "agent", nil), workload("Deployment", "default", nil),
		workload("Deployment", "off", int64(0)), workload("StatefulSet", "later", Unknown{}),
	}}
	want := `                                      Replicas       CPU request    CPU limit  Memory request   Memory limit
  DaemonSet agent                     per node       1              none       1Gi              none
  StatefulSet later                   [unknown]      1              none       1Gi              none
  Deployment default                  1              1              none       1Gi              none
  Deployment off                      0              1              none       1Gi              none
  All at min replicas, no DaemonSets  1 + [unknown]  1 + [unknown]  none       1Gi + [unknown]  none
  All at max replicas, no DaemonSets  1 + [unknown]  1 + [unknown]  none       1Gi + [unknown]  none
`
	if got := r.sizes(nil); got != want {
		t.Errorf("(- want, + got)\n%s", unified(want, got))
	}
}

// A list whose elements have the same unknown source has one row; other rows keep their index.
func TestUnknownListIsSaidOnce(t *testing.T) {
	r := &Result{Resources: []Resource{{Type: "aws:ec2/x:X", Name: "a", Custom: true, Inputs: map[string]any{
		"ids": []any{Unknown{"subnet"}, Unknown{"subnet"}, Unknown{"subnet"}}, "one": []any{Unknown{"vpc"}},
		"two": []any{Unknown{"role"}, Unknown{"key"}},
	}}}}
	got := r.unknowns()
	for want, times := range map[string]int{"ids[]": 1, "ids[": 1, "one[0]": 1, "two[0]": 1, "two[1]": 1} {
		if n := strings.Count(got, want); n != times {
			t.Errorf("%q is there %d times, want %d:\n%s", want, n, times, got)
		}
	}
}
