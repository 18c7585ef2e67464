//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestDriftIsShownAndRepaired: the Service is deleted, and the image and the number of pods are edited by hand. A
// preview with refresh shows the first two changes, `up` repairs them, and the number of pods stays as the autoscaler
// has set it.
func TestDriftIsShownAndRepaired(t *testing.T) {
	measures(t)
	o, client := onKind(t)
	waitReady(t, client, o)
	deployments := client.AppsV1().Deployments(o.Namespace)
	kubectl(t, "delete", "--namespace", o.Namespace, "service", "web")
	missing := strings.Replace(o.Image, "@sha256:", "@sha256:0000", 1)[:len(o.Image)]
	kubectl(t, "set", "image", "--namespace", o.Namespace, "deployment/web", "web="+missing)
	kubectl(t, "scale", "--namespace", o.Namespace, "deployment/web", "--replicas=4")

	changed := changes(t, "--refresh")
	want := map[string]string{
		"kubernetes:core/v1:Service web": "create", "kubernetes:apps/v1:Deployment web": "update",
	}
	for resource, op := range want {
		if changed[resource] != op {
			t.Errorf("a preview with refresh shows %q for %s, want %s", changed[resource], resource, op)
		}
	}
	for resource := range changed {
		if _, expected := want[resource]; !expected && strings.HasPrefix(resource, "kubernetes:") {
			t.Errorf("a preview with refresh shows a change of %s", resource)
		}
	}
	record(t, "engine", "Service deleted, image and replicas edited by hand",
		"shown: "+strings.Join(slices.Sorted(maps.Keys(changed)), ", "))

	pulumi(t, "up", "--yes", "--skip-preview", "--refresh", "--stack", stackName())
	d, err := deployments.Get(t.Context(), o.Deployment, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got := d.Spec.Template.Spec.Containers[0].Image; got != o.Image {
		t.Errorf("the image is %s, want %s", got, o.Image)
	}
	for _, owner := range d.ManagedFields {
		if strings.HasPrefix(owner.Manager, "pulumi") && strings.Contains(owner.FieldsV1.GetRawString(), `"f:replicas"`) {
			t.Errorf("up has set the number of pods (as %s), which belongs to the autoscaler", owner.Manager)
		}
	}
	// The ingress controller needs a moment to detect the new Service.
	eventually(t, 30*time.Second, func(context.Context) (bool, string) {
		_, _, err := tryVisit(o.URL)
		return err == nil, fmt.Sprint(err)
	})
	if left := changes(t, "--refresh"); len(left) > 0 {
		t.Errorf("after up a preview with refresh still shows %v", left)
	}
	record(t, "engine", "`up` after that", fmt.Sprintf(
		"Service and image repaired, %d pods left to the autoscaler, next preview empty", *d.Spec.Replicas))
	waitReady(t, client, o)
}
