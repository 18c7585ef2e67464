//go:build e2e

package e2e

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestTmpTight(t *testing.T) {
	client := clientset(t)
	for i := range 5 {
		t.Run("", func(t *testing.T) {
			writeBeside(t)
			r := startUp(t)
			for {
				var err error
				if i%2 == 0 {
					_, err = client.AppsV1().StatefulSets(besideName).Get(t.Context(), "redis", metav1.GetOptions{})
				} else {
					_, err = client.CoreV1().Services(besideName).Get(t.Context(), "redis", metav1.GetOptions{})
				}
				if err == nil {
					break
				}
				time.Sleep(2 * time.Millisecond)
			}
			r.interrupt(t)
			t.Logf("%v\n%s", r.wait(t), &r.output)
			again := startUp(t)
			again.waitFor(t, points(client)[1])
			again.kill(t)
			again.wait(t)
			t.Logf("again\n%s", &again.output)
		})
	}
}
