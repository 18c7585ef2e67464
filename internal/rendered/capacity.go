package rendered

import (
	"fmt"
	"strconv"
	"strings"

	"example.com/scaleout/internal/podsize"
)

// Load holds the requests of a number of pods, or of containers on a Docker host.
type Load struct {
	Pods        int64
	CPU, Memory podsize.Size
}

// String returns e.g. "4 pods, 400m CPU, 320Mi".
func (l Load) String() string {
	pods := fmt.Sprintf("%d pods", l.Pods)
	if l.Pods == 1 {
		pods = "1 pod"
	}
	return fmt.Sprintf("%s, %s CPU, %s", pods, l.CPU, l.Memory)
}

// requestOf returns the load of one pod.
func requestOf(podSpec any) Load { return Load{1, podsize.CPU.Of(podSpec), podsize.Memory.Of(podSpec)} }

// Plus returns l + n * other.
func (l Load) Plus(other Load, n int64) Load {
	return Load{l.Pods + n*other.Pods, l.CPU.Plus(other.CPU, n), l.Memory.Plus(other.Memory, n)}
}

// Capacity holds the requests of all pods of a stack: with the fewest and with the most replicas, and with the most
// while every Deployment rolls out. Pods of DaemonSets are not included, as their number is that of the nodes.
type Capacity struct{ AtMin, AtMax, InRollout Load }

// Scaling is the range of replicas of a workload.
type Scaling struct {
	Min, Max int64
	Unknown  bool      // one of them is known only after an update, and is the default here
	By       *Resource // the autoscaler; nil for a fixed number
}

// Capacity adds up the workloads of the stack.
func (s *Stack) Capacity() Capacity {
	var c Capacity
	for _, r := range s.Resources {
		switch r.Kind() {
		case "Deployment", "StatefulSet", "ReplicaSet":
			scaling, pod := s.Scaling(r), requestOf(r.Get("spec", "template", "spec"))
			pod.CPU.Unknown, pod.Memory.Unknown = pod.CPU.Unknown || scaling.Unknown, pod.Memory.Unknown || scaling.Unknown
			c.add(pod, scaling.Min, scaling.Max, scaling.Max+Surge(r, scaling.Max))
		case "docker:index/container:Container":
			c.add(Load{1, podsize.Parse(orZero(r.Get("cpus"))), megabytes(r.Get("memory"))}, 1, 1, 1)
		}
	}
	return c
}

// NodeLimits returns the most that the nodes for the stack's pods may have together, which the stack outputs, e.g.
// "32 CPU, 128Gi", or its own NodePools without taints have. Without either, the text is empty and the sizes Unlimited.
func (s *Stack) NodeLimits() (text string, cpu, memory podsize.Size) {
	if text, _ = Get(s.Outputs, "requests", "nodeLimits").(string); text != "" {
		ofCPU, ofMemory, _ := strings.Cut(text, " CPU, ")
		return text, podsize.Parse(ofCPU), podsize.Parse(ofMemory)
	}
	for _, r := range s.Resources {
		if r.Kind() == "NodePool" && len(List(r.Inputs, "spec", "template", "spec", "taints")) == 0 {
			limits := r.Get("spec", "limits")
			cpu, memory = cpu.Plus(podsize.Limit(Get(limits, "cpu")), 1), memory.Plus(podsize.Limit(Get(limits, "memory")), 1)
			text = fmt.Sprintf("%s CPU, %s", cpu, memory)
		}
	}
	if text == "" {
		cpu.Unlimited, memory.Unlimited = true, true
	}
	return text, cpu, memory
}

// add adds a number of equal pods to each total.
func (c *Capacity) add(pod Load, atMin, atMax, inRollout int64) {
	c.AtMin, c.AtMax = c.AtMin.Plus(pod, atMin), c.AtMax.Plus(pod, atMax)
	c.InRollout = c.InRollout.Plus(pod, inRollout)
}

// Scaling returns the range of replicas of a workload, from the autoscaler that targets it. An unset number is one.
func (s *Stack) Scaling(workload *Resource) Scaling {
	if s.scaling == nil {
		s.scaling = map[string]Scaling{}
		for _, r := range s.Resources {
			minField, maxField, kind, least, most := "minReplicas", "maxReplicas", "", int64(1), int64(1)
			switch r.Kind() {
			case "ScaledObject": // https://keda.sh/docs/2.20/reference/scaledobject-spec/
				minField, maxField, kind, least, most = "minReplicaCount", "maxReplicaCount", "Deployment", 0, 100
			case "HorizontalPodAutoscaler":
			default:
				continue
			}
			target := r.Get("spec", "scaleTargetRef")
			if given, ok := Get(target, "kind").(string); ok {
				kind = given
			}
			key := fmt.Sprintln(kind, r.Get("metadata", "namespace"), Get(target, "name"))
			scaling := Scaling{By: r}
			scaling.set(r.Get("spec", minField), least, r.Get("spec", maxField), most)
			s.scaling[key] = scaling
		}
	}
	key := fmt.Sprintln(workload.Kind(), workload.Get("metadata", "namespace"), workload.Get("metadata", "name"))
	if scaling, found := s.scaling[key]; found {
		return scaling
	}
	replicas, scaling := workload.Get("spec", "replicas"), Scaling{}
	scaling.set(replicas, 1, replicas, 1)
	return scaling
}

// set sets the range from two fields, of which an unset one has a default.
func (s *Scaling) set(from any, least int64, to any, most int64) {
	var fromKnown, toKnown bool
	s.Min, fromKnown = integer(from, least)
	s.Max, toKnown = integer(to, most)
	s.Unknown = !fromKnown || !toKnown
}

// Surge returns how many pods a Deployment may have beyond its replicas while it rolls out.
func Surge(workload *Resource, replicas int64) int64 {
	if workload.Kind() != "Deployment" || workload.Get("spec", "strategy", "type") == "Recreate" {
		return 0
	}
	return Share(workload.Get("spec", "strategy", "rollingUpdate", "maxSurge"), replicas, true)
}

// MaxUnavailable returns how many of the replicas of a Deployment may be missing while it rolls out.
func MaxUnavailable(workload *Resource, replicas int64) int64 {
	if workload.Get("spec", "strategy", "type") == "Recreate" {
		return replicas
	}
	return Share(workload.Get("spec", "strategy", "rollingUpdate", "maxUnavailable"), replicas, false)
}

// Share returns a number, or a percentage of the replicas, rounded up or down. 25 % if it is not set, the default of a
// Deployment.
// https://kubernetes.io/docs/concepts/workloads/controllers/deployment/#rolling-update-deployment
func Share(value any, replicas int64, up bool) int64 {
	if value == nil {
		value = "25%"
	}
	if percent, isPercent := strings.CutSuffix(fmt.Sprint(value), "%"); isPercent {
		n, _ := strconv.ParseInt(percent, 10, 64) // the API refuses anything else
		if up {
			return (n*replicas + 99) / 100
		}
		return n * replicas / 100
	}
	n, _ := integer(value, 0)
	return n
}

// integer returns a whole number, or the fallback if it is not set, or not known yet.
func integer(value any, fallback int64) (n int64, known bool) {
	switch n := value.(type) {
	case int:
		return int64(n), true
	case int64:
		return n, true
	}
	return fallback, value == nil
}

func orZero(value any) any {
	if value == nil {
		return 0
	}
	return value
}

// megabytes converts the unit of pulumi-docker.
func megabytes(value any) podsize.Size {
	return podsize.Parse(fmt.Sprintf("%vMi", orZero(value)))
}
