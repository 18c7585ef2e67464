package review

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"example.com/scaleout/internal/podsize"
	"example.com/scaleout/internal/rendered"
)

// effect is one thing that a change does.
type effect struct {
	class   Class
	why     string // sentences, in Markdown
	instead string // sentences; how to avoid it
}

// effects returns everything that a change does, the worst first. There is always one.
func (c *change) effects() []effect {
	var effects []effect
	replacing := c.replacing()
	switch {
	case c.before == nil:
		effects = c.addition()
	case c.after == nil:
		effects = []effect{c.loss("Removed", "")}
	case len(replacing) > 0:
		effects = []effect{c.loss("Replaced for a change of "+enumerate(replacing), " meanwhile")}
	default:
		effects = c.update()
	}
	slices.SortStableFunc(effects, func(a, b effect) int { return cmp.Compare(a.class, b.class) })
	return effects
}

// loss returns the effect of a replacement or a removal, which begins with what happens and ends with when.
func (c *change) loss(what, when string) effect {
	old := c.before
	entry, _ := kindOf(old.Type)
	if rule := old.Get("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"); rule == "Delete" {
		entry = kind{DataLoss, "its claims are deleted with it",
			"Set `whenDeleted: Retain` in a change before this one.", nil}
	}
	switch old.Type {
	case container:
		entry = c.container()
	case provider:
		entry = kind{DataLoss, "all its objects are deleted in the old cluster, and created in another one",
			"Create a second stack for the other cluster, move data and traffic, and destroy this one last.", nil}
	}
	if entry.Class != Outage {
		when = ""
	}
	if entry.Lost != "" {
		what += ": " + entry.Lost + when
	}
	e := effect{entry.Class, what + ".", entry.Instead}
	switch {
	case old.Options.Protect && (c.after == nil || c.after.Options.Protect):
		e.why += " It is protected, so `pulumi up` refuses this."
	case old.Options.Protect:
		e.why += " This change also ends its protection, so nothing refuses it."
	case old.Options.RetainOnDelete && c.after == nil:
		e = effect{Replacement, "No longer managed: the object stays, and nobody updates or deletes it.", ""}
	case c.renamed && old.Object() != "":
		e.why += " The new one is created first, which fails because the object exists."
		e.instead = "Add `pulumi.Aliases` with the old name, type or parent."
	case c.renamed:
		e.instead = "Add `pulumi.Aliases` with the old name, type or parent."
	}
	return e
}

// container returns what the replacement of a Docker container means. Its inputs are immutable, so this is frequent.
func (c *change) container() kind {
	for _, volume := range rendered.List(c.before.Inputs, "volumes") {
		if rendered.Get(volume, "volumeName") == nil && rendered.Get(volume, "hostPath") == nil {
			return kind{DataLoss, "its anonymous volume is deleted with the data", "Copy the data out first, and back into a " +
				"named volume.", nil}
		}
	}
	if c.alone {
		return kind{Outage, "no other container does its work", "Plan a time for it.", nil}
	}
	return kind{Replacement, "the others of its kind serve", "", nil}
}

// addition returns the effects of a new resource.
func (c *change) addition() []effect {
	if c.after.Kind() == "NetworkPolicy" && c.previous != nil && isolates(c.previous, c.after) {
		return []effect{{Outage, "Pods that it selects refuse what no policy allows.",
			"Check that all their clients are allowed."}}
	}
	return []effect{{Addition, "", ""}}
}

// update returns the effects of a change in place.
func (c *change) update() []effect {
	effects := []effect{{InPlace, "", ""}}
	add := func(class Class, why, instead string) { effects = append(effects, effect{class, why, instead}) }
	c.options(add)
	if _, listed := kindOf(c.after.Type); !listed && c.after.Type != container && c.after.Type != provider {
		add(InPlace, "It is not known here which changes replace a resource of this type.", "")
	}
	c.fieldsOf(add)
	if len(effects) > 1 {
		return effects[1:]
	}
	return effects
}

// options adds what changed resource options mean for later updates.
func (c *change) options(add func(Class, string, string)) {
	if c.before.Options.Protect && !c.after.Options.Protect {
		add(InPlace, "Its protection ends: a later removal is no longer refused.", "")
	}
	if c.before.Options.RetainOnDelete && !c.after.Options.RetainOnDelete {
		add(InPlace, "A later removal deletes the object, which stayed before.", "")
	}
	if listed := missing(c.after.Options.ReplaceOnChanges, c.before.Options.ReplaceOnChanges); len(listed) > 0 {
		add(InPlace, "A later change of "+enumerate(quoted(listed))+" replaces it.", "")
	}
	if !reflect.DeepEqual(c.before.Options.ReplaceWith, c.after.Options.ReplaceWith) ||
		c.before.Options.DeletedWith != c.after.Options.DeletedWith {
		add(InPlace, "Its options `replaceWith` or `deletedWith` change: another resource decides about it.", "")
	}
}

// fieldsOf adds what changed fields do, by kind.
func (c *change) fieldsOf(add func(Class, string, string)) {
	switch c.after.Kind() {
	case "Deployment", "StatefulSet":
		c.workload(add)
	case "NetworkPolicy":
		if narrows(c.before, c.after) {
			add(Outage, "What it no longer allows is refused.", "Allow the new clients first, and remove the old rules last.")
		}
	case "HTTPRoute", "GRPCRoute":
		c.route(add)
	case "HorizontalPodAutoscaler", "ScaledObject":
		if c.changes("spec.scaleTargetRef") {
			add(Outage, "It scales another target: the pods of the old one keep their number.", "")
		}
	case "Service":
		c.service(add)
	case "Ingress":
		c.ingress(add)
	case "PersistentVolumeClaim":
		before, after := c.before.Get("spec", "resources", "requests", "storage"),
			c.after.Get("spec", "resources", "requests", "storage")
		size := podsize.Parse(after)
		if size.Cmp(podsize.Parse(before).Quantity) < 0 {
			add(Outage, "A claim cannot shrink: the API server refuses it, and the update fails there.",
				"Create a second, smaller claim, and copy the data.")
		}
	case "NodePool", "NodeClass":
		if c.changes("spec.template") || c.after.Kind() == "NodeClass" && c.changes("spec") {
			add(InPlace, "All nodes are replaced one after the other, within its disruption budgets.", "")
		}
	case "aws:eks/cluster:Cluster":
		if c.before.Get("encryptionConfig") != nil && c.after.Get("encryptionConfig") == nil {
			add(DataLoss, "Without `encryptionConfig` the cluster is replaced: it is deleted with everything in it.",
				"Keep it: encryption cannot be switched off.")
		}
		if c.changes("version") {
			add(InPlace, "The control plane is upgraded, which takes some ten minutes and cannot be undone; nodes follow.", "")
		}
	case "aws:cloudwatch/logGroup:LogGroup":
		before, _ := c.before.Get("retentionInDays").(int)
		after, _ := c.after.Get("retentionInDays").(int)
		if after > 0 && (before == 0 || after < before) {
			add(DataLoss, fmt.Sprintf("Logs that are older than %d days are deleted.", after), "Export the logs first.")
		}
	}
}

// changes reports whether the input at a path, or one below it, changes.
func (c *change) changes(path string) bool {
	return slices.ContainsFunc(c.fields, func(f field) bool { return within(f.path, []string{path}) })
}

// workload adds what an update of a Deployment or StatefulSet does to its pods.
func (c *change) workload(add func(Class, string, string)) {
	pods := c.stack.Scaling(c.after)
	c.replicas(pods, add)
	if !c.changes("spec.template") {
		return
	}
	if gone := missing(claims(c.before), claims(c.after)); len(gone) > 0 {
		add(DataLoss, "Its pods no longer use the claim "+enumerate(quoted(gone))+", and start without its data.",
			"Copy the data first.")
	}
	if c.after.Kind() == "StatefulSet" {
		if ephemeral(c.before) || ephemeral(c.after) {
			add(DataLoss, "Its pods restart, and their data is in an `emptyDir`, which is deleted with the pod.",
				"Keep the data on a claim.")
		}
		if pods.Min <= 1 {
			add(Outage, "Its only pod restarts: it stops before the new one starts.", "Plan a time for it.")
		} else {
			add(InPlace, "Its pods restart one after the other.", "")
		}
		return
	}
	switch missing := rendered.MaxUnavailable(c.after, max(pods.Min, 1)); {
	case c.after.Get("spec", "strategy", "type") == "Recreate":
		add(Outage, "All its pods stop before the new ones start (strategy `Recreate`).", "Use `RollingUpdate`.")
	case missing >= max(pods.Min, 1):
		add(Outage, fmt.Sprintf("A rollout may stop all of its %d pods at once (`maxUnavailable`).", max(pods.Min, 1)),
			"Set `maxUnavailable: 0`.")
	case c.unready():
		add(Outage, "A rollout does not wait until a new pod serves: a container has no readiness probe.",
			"Add a `readinessProbe`.")
	case missing == 0:
		add(InPlace, "Its pods are replaced, with none missing meanwhile.", "")
	default:
		add(InPlace, fmt.Sprintf("Its pods are replaced, with up to %d of %d missing.", missing, max(pods.Min, 1)), "")
	}
}

// replicas adds what another number of replicas in the manifest does.
func (c *change) replicas(pods rendered.Scaling, add func(Class, string, string)) {
	before, _ := c.before.Get("spec", "replicas").(int)
	after, set := c.after.Get("spec", "replicas").(int)
	switch {
	case (pods.Max == 0 || set && after == 0) && c.changes("spec.replicas"):
		add(Outage, "No pod is left: an autoscaler does nothing at 0.", "")
	case before > 1 && !set && c.changes("spec.replicas"):
		add(Outage, fmt.Sprintf("All pods but one stop at once: nobody sets the number any more, so the API server sets "+
			"its default. The autoscaler starts from there (now %d).", before),
			"Hand the field over first: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/"+
				"#migrating-deployments-and-statefulsets-to-horizontal-autoscaling")
	}
	if c.after.Get("spec", "persistentVolumeClaimRetentionPolicy", "whenScaled") == "Delete" && set && after < before {
		add(DataLoss, "The claims of the pods that stop are deleted (`whenScaled`).", "Set `whenScaled: Retain` first.")
	}
}

// claims returns the claims that the pods of a workload use.
func claims(workload *rendered.Resource) (names []string) {
	for _, volume := range rendered.List(workload.Inputs, "spec", "template", "spec", "volumes") {
		if name, ok := rendered.Get(volume, "persistentVolumeClaim", "claimName").(string); ok {
			names = append(names, name)
		}
	}
	return names
}

// ephemeral reports whether a StatefulSet keeps nothing outside of its pods.
func ephemeral(workload *rendered.Resource) bool {
	volumes := rendered.List(workload.Inputs, "spec", "template", "spec", "volumes")
	return len(claims(workload))+len(rendered.List(workload.Inputs, "spec", "volumeClaimTemplates")) == 0 &&
		slices.ContainsFunc(volumes, func(volume any) bool {
			object, _ := volume.(map[string]any)
			_, empty := object["emptyDir"]
			return empty
		})
}

// texts returns the elements of a list as texts.
func texts(list []any) (texts []string) {
	for _, element := range list {
		texts = append(texts, fmt.Sprint(element))
	}
	return texts
}

// unready reports whether a container of a Deployment has no readiness probe.
func (c *change) unready() bool {
	return slices.ContainsFunc(rendered.List(c.after.Inputs, "spec", "template", "spec", "containers"), func(v any) bool {
		return rendered.Get(v, "readinessProbe") == nil
	})
}

// missing returns the values of before that are not in after.
func missing(before, after []string) (gone []string) {
	for _, value := range before {
		if !slices.Contains(after, value) {
			gone = append(gone, value)
		}
	}
	return gone
}

// enumerate returns "a", "a and b", "a, b and c", and of many the first ten.
func enumerate(words []string) string {
	if rest := len(words) - 10; rest > 0 {
		words = append(slices.Clone(words[:10]), fmt.Sprintf("%d others", rest))
	}
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " and " + words[len(words)-1]
}
