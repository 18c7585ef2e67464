package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// diagnoseLines is how much of a container's last words is shown: a Go panic with its place is 5 lines.
const diagnoseLines = 8

// podList is what is read of `kubectl get pods --output json`.
type podList struct {
	Items []struct {
		Metadata struct{ Name, DeletionTimestamp string }
		Status   struct {
			Conditions        []struct{ Type, Status, Reason, Message string }
			ContainerStatuses []containerStatus
		}
	}
}

type containerStatus struct {
	Name  string
	Ready bool
	State struct {
		Waiting    *struct{ Reason, Message string }
		Terminated *termination
	}
	LastState struct{ Terminated *termination }
}

type termination struct {
	Reason, Message string
	ExitCode        int
}

// diagnose shows what keeps each pod of the stack from being ready, after an update has failed. Pulumi's message names
// the object that failed, and not always why; the pods know.
func (d *driver) diagnose(ctx context.Context, s *stack) {
	if !s.onKind() || ctx.Err() != nil {
		return
	}
	namespace := s.setting(keyNamespace)
	out, err := d.kubectl(ctx, "", "get", "pods", "--namespace", namespace, "--output", "json")
	var pods podList
	if err != nil || json.Unmarshal([]byte(out), &pods) != nil {
		return // the update has failed for a reason of its own, and that one is reported
	}
	for _, pod := range pods.Items {
		if pod.Metadata.DeletionTimestamp != "" {
			continue
		}
		for _, c := range pod.Status.Conditions {
			if c.Type == "PodScheduled" && c.Status == "False" {
				d.steps.note("pod %s has no node: %s", pod.Metadata.Name, c.Message)
			}
		}
		for _, c := range pod.Status.ContainerStatuses {
			if !c.Ready {
				d.steps.note("pod %s, container %s: %s", pod.Metadata.Name, c.Name, c.state())
				d.lastWords(ctx, namespace, pod.Metadata.Name, c)
			}
		}
	}
}

// state is what the container does instead of being ready.
func (c containerStatus) state() string {
	switch ended := c.ended(); {
	case c.State.Waiting != nil && ended != nil:
		return fmt.Sprintf("%s, ended with exit code %d", c.State.Waiting.Reason, ended.ExitCode)
	case c.State.Waiting != nil:
		return strings.TrimSuffix(c.State.Waiting.Reason+": "+c.State.Waiting.Message, ": ")
	case c.State.Terminated != nil:
		return fmt.Sprintf("ended with exit code %d", ended.ExitCode)
	}
	return "runs, but is not ready"
}

func (c containerStatus) ended() *termination {
	if c.State.Terminated != nil {
		return c.State.Terminated
	}
	return c.LastState.Terminated
}

// lastWords shows the end of what a container has said: of one that runs its log, of one that ended its termination
// message, which is the end of its log.
func (d *driver) lastWords(ctx context.Context, namespace, pod string, c containerStatus) {
	text := ""
	if c.State.Waiting == nil && c.State.Terminated == nil {
		text, _ = d.kubectl(ctx, "", "logs", "--namespace", namespace, pod, "--container", c.Name,
			"--tail", fmt.Sprint(diagnoseLines))
	} else if ended := c.ended(); ended != nil {
		text = ended.Message
	}
	var said []string
	for _, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) != "" {
			said = append(said, line)
		}
	}
	for _, line := range said[max(0, len(said)-diagnoseLines):] {
		d.steps.note("    %s", line)
	}
}
