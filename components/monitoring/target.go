package monitoring

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

// Target is where an app's own measurements are found.
type Target struct {
	// Pods are the labels of its pods. Required.
	Pods map[string]string
	// Port is the number of the pods' port with the measurements, and PortName what they call it; 0 and empty for an app
	// without any, of which the kubelets and kube-state-metrics tell the rest.
	Port     int
	PortName string
	// Path, e.g. /metrics. Required with a port.
	Path string
}

// Validate reports everything wrong with the target.
func (t *Target) Validate() field.ErrorList {
	problems := check.Set("pods", len(t.Pods) > 0)
	if t.PortName == "" && t.Port == 0 {
		return problems
	}
	problems = append(problems, check.Label("portName", t.PortName)...)
	problems = append(problems, check.Range("port", t.Port, 1, 65535)...)
	return append(problems, check.Set("path", t.Path != "")...)
}
