package review

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"example.com/scaleout/internal/rendered"
)

// edit changes one file of testdata/base.txtar: it replaces a text, or removes the file if both texts are empty, or
// adds the file if old is empty.
type edit struct {
	file, old, new string
	class          Class
	want           string // in the reason
}

const (
	pvc     = "shop/persistentvolumeclaim-scaleout.redis-data.yaml"
	redis   = "shop/statefulset-scaleout.redis.yaml"
	web     = "shop/deployment-scaleout.web.yaml"
	ingress = "shop/ingress-scaleout.web.yaml"
	svc     = "shop/service-scaleout.web.yaml"
	cache   = "shop/aws-elasticache-replicationgroup-redis.yaml"
	pool    = "cluster/prod/nodepool-apps.yaml"
)

// dangers has a change of each kind. The tests of combinations use those whose files differ.
var dangers = map[string]edit{
	"claim replaced": {pvc, "storageClassName: gp3", "storageClassName: gp2", DataLoss,
		"immutable `spec.storageClassName`: its volume is deleted"},
	"claim removed":   {pvc, "", "", DataLoss, "protected, so `pulumi up` refuses"},
	"claim unguarded": {pvc, "#   protect: true\n", "#   protect: false\n", InPlace, "Its protection ends"},
	"claim shrinks":   {pvc, "storage: 1Gi", "storage: 500Mi", Outage, "cannot shrink"},
	"claim grows":     {pvc, "storage: 1Gi", "storage: 2Gi", InPlace, ""},
	"claim renamed": {pvc, "PersistentVolumeClaim::redis-data", "PersistentVolumeClaim::data", DataLoss,
		"its URN, and no alias has the old one"},
	"claim moved with an alias": {pvc, "# urn: urn:pulumi:prod::scaleout::scaleout:index:Redis$kubernetes",
		"# aliases: ['urn:pulumi:prod::scaleout::scaleout:index:Redis$kubernetes:core/v1:PersistentVolumeClaim::" +
			"redis-data']\n" +
			"# urn: urn:pulumi:prod::scaleout::kubernetes", -1, ""},
	"another name": {pvc, "name: redis-data\n  namespace", "name: data\n  namespace", DataLoss,
		"immutable `metadata.name`"},
	"another cluster": {"shop/pulumi-providers-kubernetes-cluster.yaml", "clusterIdentifier: '[unknown: aws getCluster]'",
		"clusterIdentifier: other", DataLoss, "created in another one"},
	"namespace removed": {"shop/namespace-scaleout.yaml", "", "", DataLoss, "claims included"},
	"images removed": {
		"shop/aws-ecr-repository-repository.yaml", "name: scaleout", "name: shop", DataLoss, "all its images",
	},
	"cache without snapshots": {cache, "snapshotRetentionLimit: 7", "snapshotRetentionLimit: 0", InPlace, ""},
	"cache replaced":          {cache, "port: 6379", "port: 6380", DataLoss, "the cache is deleted"},
	"cache downgraded": {
		cache, `engineVersion: "8.0"`, `engineVersion: "7.2"`, DataLoss, "immutable `engineVersion`",
	},
	"cache upgraded": {cache, `engineVersion: "8.0"`, `engineVersion: "10.0"`, InPlace, ""},
	"EKS replaced": {"cluster/prod/aws-eks-cluster-cluster.yaml", "bootstrapSelfManagedAddons: false",
		"bootstrapSelfManagedAddons: true", DataLoss, "the cluster is deleted with everything in it"},
	"EKS upgraded": {"cluster/prod/aws-eks-cluster-cluster.yaml", `version: "1.35"`, `version: "1.36"`, InPlace,
		"cannot be undone"},
	"anonymous volume": {"docker/docker-index-container-redis.yaml", "user: 999:999", "user: 1000:1000", DataLoss,
		"anonymous volume"},
	"Redis in memory": {redis, "persistentVolumeClaim:\n            claimName: redis-data",
		"emptyDir:\n            medium: Memory",
		DataLoss, "`emptyDir`"},

	"Service replaced": {svc, "spec:\n", "spec:\n  clusterIP: None\n", Outage, "immutable `spec.clusterIP`: its clients"},
	"Service removed":  {svc, "", "", Outage, "Removed: its clients find no address"},
	"Service port":     {svc, "port: 80\n", "port: 8080\n", Outage, "Clients of port 80 are refused"},
	"Service selector": {svc, "selector:\n    app.kubernetes.io/instance: web",
		"selector:\n    app.kubernetes.io/instance: shop",
		Outage, "selects other pods"},
	"load balancer replaced": {
		ingress, "scheme: internet-facing", "scheme: internal", Outage, "(`replaceOnChanges`): its hosts",
	},
	"host removed": {
		ingress, "host: app.example.com", "host: www.example.com", Outage, "No longer served: `app.example.com/`",
	},
	"any host":         {ingress, "host: app.example.com\n      http", "http", InPlace, ""},
	"listener removed": {ingress, `,{"HTTPS":443}`, "", Outage, "no longer listens on `HTTPS 443`"},
	"StatefulSet replaced": {redis, "serviceName: redis", "serviceName: redis-headless", Outage,
		"immutable `spec.serviceName`: none of its pods"},
	"single pod": {redis, "redis:8.2.3-alpine", "redis:8.2.4-alpine", Outage, "Its only pod restarts"},
	"Recreate":   {web, "type: RollingUpdate", "type: Recreate", InPlace, ""},
	"all at once": {
		web, "maxUnavailable: 0\n    type: RollingUpdate\n  template:\n    metadata:\n",
		"maxUnavailable: 100%\n    type: RollingUpdate\n  template:\n    metadata:\n      finalizers: []\n", Outage,
		"may stop all of its 3 pods",
	},
	"new pods": {
		web, "memory: 64Mi\n            requests", "memory: 96Mi\n            requests", InPlace, "with none missing",
	},
	"labels": {
		web, "matchLabels:\n      app.kubernetes.io/instance: web",
		"matchLabels:\n      app.kubernetes.io/instance: shop", Outage, "immutable",
	},
	"not ready": {web, "readinessProbe:", "oldProbe:", Outage, "no readiness probe"},
	"NAT replaced": {"cluster/prod/aws-ec2-natgateway-network-eu-central-1a.yaml", "tags:",
		"privateIp: 10.0.0.9\ntags:", Outage,
		"do not reach the internet"},
	"the only container": {
		"docker/docker-index-container-nginx.yaml", "stopTimeout: 18", "stopTimeout: 20", Outage, "no other container",
	},

	"one of several containers": {"docker/docker-index-container-web-1.yaml", "stopTimeout: 19",
		"stopTimeout: 20", Replacement,
		"the others of its kind serve"},
	"policy narrowed": {
		"shop/networkpolicy-scaleout.default-deny.yaml", "- Ingress", "- Other", Outage, "no longer allows",
	},
	"policy removed": {
		"shop/networkpolicy-scaleout.default-deny.yaml", "", "", Outage, "what only it allows is refused",
	},
	"type of a Secret": {"shop/secret-scaleout.redis-auth.yaml", "kind: Secret\n",
		"kind: Secret\ntype: kubernetes.io/basic-auth\n", Replacement,
		"pods that start meanwhile fail"},

	"nodes": {
		pool, "values:\n            - amd64", "values:\n            - arm64", InPlace, "All nodes are replaced",
	},
	"another target": {
		"shop/horizontalpodautoscaler-scaleout.web.yaml", "kind: Deployment\n    name: web",
		"kind: Deployment\n    name: shop", Outage, "another target",
	},
	"more pods": {
		"shop/horizontalpodautoscaler-scaleout.web.yaml", "maxReplicas: 20", "maxReplicas: 30", InPlace, "",
	},
	"order": {
		web,
		"- name: DRAIN_DELAY\n              value: 5s\n            - name: REDIS_HOST\n" +
			"              value: redis.scaleout.svc",
		"- name: REDIS_HOST\n              value: redis.scaleout.svc\n            - name: DRAIN_DELAY\n" +
			"              value: 5s",
		InPlace, "with none missing",
	},
	"policy added": {
		"shop/networkpolicy-new.yaml", "", "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n" +
			"  name: new\n  namespace: scaleout\n# urn: urn:pulumi:prod::scaleout::kubernetes:networking.k8s.io/v1:" +
			"NetworkPolicy::new\n", Addition, "", // another one selects all pods already
	},
	"unprotected and replaced": {
		pvc, "storageClassName: gp3\n# options:\n#   protect: true\n", "storageClassName: gp2\n", DataLoss,
		"also ends its protection",
	},
	"another claim": {redis, "claimName: redis-data", "claimName: data", DataLoss, "no longer use the claim `redis-data`"},
	"path type":     {ingress, "pathType: Prefix", "pathType: Exact", Outage, "No longer served: `app.example.com/`"},
	"logs kept for less time": {
		"cluster/prod/aws-cloudwatch-loggroup-cluster.yaml", "retentionInDays: 30", "retentionInDays: 7", DataLoss,
		"older than 7 days are deleted",
	},
	"encryption removed": {
		"cluster/prod/aws-eks-cluster-cluster.yaml",
		"encryptionConfig:\n  provider:\n    keyArn: '[unknown: aws key cluster]'\n  resources:\n    - secrets\n", "",
		DataLoss, "Without `encryptionConfig`",
	},
	"unknown type": {
		"shop/aws-ecr-repository-repository.yaml", "aws:ecr/repository:Repository::repository",
		"aws:new/thing:Thing::repository", DataLoss, "Removed",
	},
	"any field": {
		ingress, "#     - spec.ingressClassName\n", "#     - '*'\n", InPlace, "A later change of `*` replaces it",
	},
	"added": {
		"shop/configmap-new.yaml", "",
		"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: new\n" +
			"# urn: urn:pulumi:prod::scaleout::kubernetes:core/v1:ConfigMap::new\n",
		Addition, "",
	},
}

func baseFiles(t testing.TB) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/base.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, file := range archive.Files {
		files[file.Name] = string(file.Data)
	}
	return files
}

// apply returns the files with edits.
func apply(t testing.TB, files map[string]string, edits ...edit) map[string]string {
	t.Helper()
	files = maps.Clone(files)
	for _, e := range edits {
		content := files[e.file]
		switch {
		case e.old == "" && e.new == "":
			delete(files, e.file)
			continue
		case !strings.Contains(content, e.old):
			t.Fatalf("%s has no %q", e.file, e.old)
		}
		files[e.file] = strings.Replace(content, e.old, e.new, 1)
	}
	return files
}

// reviewed compares two versions of files with paths.
func reviewed(t testing.TB, before, after map[string]string) *Report {
	t.Helper()
	archive := &txtar.Archive{}
	for version, files := range map[string]map[string]string{"before/": before, "after/": after} {
		for path, content := range files {
			archive.Files = append(archive.Files, txtar.File{Name: version + path, Data: []byte(content)})
		}
	}
	x, y := versions(t, archive)
	return New(x, y, prices)
}

// worst returns the class of the most dangerous change, and false if nothing changes.
func (r *Report) worst() (Class, bool) {
	for class, entries := range r.entries {
		if len(entries) > 0 {
			return Class(class), true
		}
	}
	return Addition, false
}

// found returns the reasons of a report by class and title.
func found(r *Report) map[string]string {
	found := map[string]string{}
	for class, entries := range r.entries {
		for _, e := range entries {
			for _, title := range e.titles {
				found[fmt.Sprint(Class(class), " ", title)] = fmt.Sprint(e.effects)
			}
		}
	}
	return found
}

func TestDangers(t *testing.T) {
	files := baseFiles(t)
	for name, e := range dangers {
		t.Run(name, func(t *testing.T) {
			r := reviewed(t, files, apply(t, files, e))
			worst, changed := r.worst()
			if !changed && e.class == -1 {
				return
			}
			if worst != e.class || !changed || !strings.Contains(fmt.Sprint(found(r)), e.want) {
				t.Errorf("got %s, %v; want %s, %q", worst, found(r), e.class, e.want)
			}
		})
	}
}

// The comment on a change of every class.
func TestCommentOfEveryClass(t *testing.T) {
	files := baseFiles(t)
	after := apply(t, files, dangers["claim replaced"], dangers["single pod"], dangers["load balancer replaced"],
		dangers["policy removed"], dangers["new pods"], dangers["added"], dangers["more pods"])
	got, file := reviewed(t, files, after).Comment("a branch", "0123456789", Limit), "testdata/classes.md"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || got != string(want) {
		t.Errorf("%s (%v): got\n%s", file, err, got)
	}
}

// No change hides another one: the report of several is the union of the reports of each, whatever their classes.
func TestChangesDoNotHideEachOther(t *testing.T) {
	files, random := baseFiles(t), rand.New(rand.NewPCG(1, 2)) //nolint:gosec // reproducible
	alone := map[string]map[string]string{}
	for name, e := range dangers {
		if e.file != "shop/horizontalpodautoscaler-scaleout.web.yaml" { // what a rollout means depends on it
			alone[name] = found(reviewed(t, files, apply(t, files, e)))
		}
	}
	names := slices.Sorted(maps.Keys(alone))
	for range 100 {
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		var edits []edit
		want := map[string]string{}
		taken := map[string]bool{}
		for _, name := range names[:1+random.IntN(len(names))] {
			e := dangers[name]
			if !taken[e.file] {
				taken[e.file] = true
				edits = append(edits, e)
				maps.Copy(want, alone[name])
			}
		}
		if got := found(reviewed(t, files, apply(t, files, edits...))); !maps.Equal(got, want) {
			t.Fatalf("of %v: got %v, want %v", edits, got, want)
		}
	}
}

// Two dangers of one resource are both told, under the worse class.
func TestDangersOfOneResource(t *testing.T) {
	files := baseFiles(t)
	both := apply(t, files, dangers["Redis in memory"])
	got := reviewed(t, files, both).Comment("head", "base", 0)
	for _, want := range []string{"#### Data loss", "`emptyDir`", "Outage: Its only pod restarts"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %q in it", got, want)
		}
	}
}

// A comment fits, whatever changes: it counts all changes, and what it leaves out is of the least dangerous classes.
func TestCommentFits(t *testing.T) {
	files := baseFiles(t)
	before, after := map[string]string{}, map[string]string{}
	changed := apply(t, files, dangers["claim replaced"], dangers["single pod"], dangers["policy removed"],
		dangers["new pods"], dangers["host removed"])
	for i := range 300 {
		for path, content := range files {
			stack := fmt.Sprintf("stack-%03d/", i)
			unique := func(text string) string { // so that nothing is merged
				text = strings.ReplaceAll(text, "gp2", fmt.Sprint("gp2-", i))
				return strings.ReplaceAll(text, "alpine", fmt.Sprint("alpine-", i))
			}
			before[stack+filepath.Base(path)], after[stack+filepath.Base(path)] = content, unique(changed[path])
			if changed[path] == "" {
				delete(after, stack+filepath.Base(path))
			}
		}
	}
	r := reviewed(t, before, after)
	for _, limit := range []int{Limit, 20000} {
		got := r.Comment("head", "base", limit)
		if n := utf8.RuneCountInString(got); n > limit {
			t.Errorf("got %d characters, want at most %d", n, limit)
		}
		for _, want := range []string{
			"Data loss: 300 · Outage: 900", "Changed in place: 300 resources",
			"#### Data loss\n\n- `stack-000`: **`PersistentVolumeClaim",
			"StatefulSet scaleout/redis", "NetworkPolicy", "more of this class", "and 260 others",
		} {
			if !strings.Contains(got, want) {
				t.Errorf("limit %d: got %s, want %q in it", limit, got, want)
			}
		}
	}
	if all := r.Comment("head", "base", 0); strings.Count(all, "**`PersistentVolumeClaim scaleout/redis-data`**") != 300 {
		t.Error("without a limit, some changes are missing")
	}
}

// What a branch contains has no effect as Markdown or HTML, and mentions nobody.
func TestCommentIsInert(t *testing.T) {
	files := baseFiles(t)
	hostile := "`<img src=x>` @octocat\\n### Approved | x"
	after := apply(t, files, edit{file: web, old: "name: DRAIN_DELAY", new: `name: "` + hostile + `"`})
	got := reviewed(t, files, after).Comment("head", "base", Limit)
	// Also in the outputs and in names that are longer than a comment.
	output := apply(t, files, edit{file: "shop/outputs.yaml", old: "nodeLimits: 32 CPU, 128Gi",
		new: `nodeLimits: "x |\n\n### Approved <img src=x> @octocat"`}, dangers["more pods"])
	if text := reviewed(t, files, output).Comment("head", "base", Limit); !strings.Contains(text,
		"`32 CPU, 128Gi` → **`x \\|  ### Approved <img src=x> @octocat`**") {
		t.Errorf("got %s", text)
	}
	long := apply(t, files, edit{file: svc, old: "name: web\n  namespace", new: "name: " + strings.Repeat("x", 70000) +
		"\n  namespace"})
	if n := utf8.RuneCountInString(reviewed(t, files, long).Comment("head", "base", 2000)); n > 2000 {
		t.Errorf("got %d characters", n)
	}
	if !strings.Contains(got,
		"`` spec.template.spec.containers[web].env[`<img src=x>` @octocat ### Approved | x] `` added") {
		t.Errorf("got %s", got)
	}
}

// Of two resources with aliases for one, the first alias that exists is taken, and the other resource is removed.
func TestAliasesHideNoRemoval(t *testing.T) {
	claim := func(name, more string) string {
		return "kind: PersistentVolumeClaim\nmetadata: {name: " + name + "}\n" + more +
			"# urn: urn:pulumi:s::p::kubernetes:core/v1:PersistentVolumeClaim::" + name + "\n"
	}
	urn := "urn:pulumi:s::p::kubernetes:core/v1:PersistentVolumeClaim::"
	got := found(reviewed(t, map[string]string{"s/a.yaml": claim("a", ""), "s/b.yaml": claim("b", "")},
		map[string]string{"s/c.yaml": claim("c", "# aliases: ['"+urn+"a', '"+urn+"b']\n")}))
	if !strings.Contains(got["Data loss PersistentVolumeClaim b"], "Removed") || len(got) != 2 {
		t.Errorf("got %v", got)
	}
}

// A change of the API version alone replaces nothing, since the SDK adds the alias.
func TestAnotherAPIVersion(t *testing.T) {
	scaler := func(version string) map[string]string {
		return map[string]string{"s/hpa.yaml": "apiVersion: autoscaling/" + version +
			"\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\n" +
			"# urn: urn:pulumi:s::p::kubernetes:autoscaling/" + version + ":HorizontalPodAutoscaler::web\n"}
	}
	if worst, _ := reviewed(t, scaler("v1"), scaler("v2")).worst(); worst != InPlace {
		t.Errorf("got %s", worst)
	}
}

// What decides about the account and the cluster is in the stack file only.
func TestMoveOfAStack(t *testing.T) {
	files := baseFiles(t)
	with := func(settings string) map[string]string {
		files := maps.Clone(files)
		files["shop/Pulumi.shop.yaml"] = "config:\n  " + settings + "\n  p:key: {secure: v1:abc}\n"
		return files
	}
	for settings, want := range map[string]Class{
		"p:eksCluster: other": DataLoss, "aws:region: eu-west-1": DataLoss, "p:maxReplicas: 9": InPlace,
		"aws:assumeRole: {roleArn: other}": DataLoss, "aws:assumeRoles: [{roleArn: other}]": DataLoss,
		"docker:host: ssh://other": DataLoss, "aws:allowedAccountIds: [1]": InPlace, "p:eksRoleArn: other": InPlace,
	} {
		key, _, _ := strings.Cut(settings, ": ")
		r := reviewed(t, with(key+": before"), with(settings))
		if worst, changed := r.worst(); worst != want || !changed {
			t.Errorf("%s: got %s, want %s", settings, worst, want)
		}
	}
	stale := reviewed(t, with("p:maxReplicas: before"), with("p:maxReplicas: 9")).Comment("head", "base", 0)
	if !strings.Contains(stale, "**The settings of `shop` change, but not the golden files: run `make golden`**") {
		t.Errorf("got %s", stale)
	}
	secret := with("a: b")
	secret["shop/Pulumi.shop.yaml"] = strings.Replace(secret["shop/Pulumi.shop.yaml"], "v1:abc", "v1:def", 1)
	got := reviewed(t, with("a: b"), secret).Comment("head", "base", 0)
	if !strings.Contains(got, "`[secret]` → `[another secret]`") {
		t.Errorf("got %s", got)
	}
	// One more waiver changes no golden file, and a new secret is not a removed one.
	waived := reviewed(t, with("policy:waivers: []"), with("policy:waivers: [{rule: tags}]\n  p:b: {secure: v1:x}"))
	if got := waived.Comment("head", "base", 0); !strings.Contains(got, "`[\"p:b\"].secure`: `[another secret]` added") {
		t.Errorf("got %s", got)
	}
	waived = reviewed(t, with("policy:waivers: []"), with("policy:waivers: [{rule: tags}]"))
	if got := waived.Comment("head", "base", 0); strings.Contains(got, "run `make golden`**") {
		t.Errorf("got %s", got)
	}
}

// The paths of options have wildcards and indexes.
func TestCovered(t *testing.T) {
	for _, test := range []struct {
		path, option   string
		loose, covered bool
	}{
		{"data.key", "*", false, true}, {"data.key", "data.*", false, true}, {"data.key", `data["key"]`, false, true},
		{`data["a/b"]`, `data["a/b"]`, false, true}, {"data.key", "data.keys", false, false},
		{"data", "data.key", false, false},
		{"spec.containers[web].image", "spec.containers[0].image", true, true},
		{"spec.containers[web].image", "spec.containers[0].image", false, false},
		{"spec.containers[web].image", "spec.containers[*].image", false, true},
	} {
		if got := covered(test.path, []string{test.option}, test.loose); got != test.covered {
			t.Errorf("%s within %s: got %t", test.path, test.option, got)
		}
	}
}

// A resource follows those that it depends on: another VPC means other subnets, and what is in them.
func TestReplacementsFollow(t *testing.T) {
	files := baseFiles(t)
	after := apply(t, files, edit{file: "cluster/prod/aws-ec2-vpc-network.yaml", old: "cidrBlock: 10.0.0.0/16",
		new: "cidrBlock: 10.1.0.0/16"})
	got := found(reviewed(t, files, after))
	for _, want := range []string{"Vpc network", "Subnet network-private-eu-central-1a"} {
		if !strings.Contains(got["Outage aws:ec2:"+want], "Replaced for a change of immutable") {
			t.Errorf("%s: got %v", want, got)
		}
	}
}

// A stack that is new or no longer there, and one that does not change.
func TestStacks(t *testing.T) {
	files := baseFiles(t)
	without := maps.Clone(files)
	maps.DeleteFunc(without, func(path, _ string) bool { return strings.HasPrefix(path, "docker/") })
	for _, test := range []struct {
		name          string
		before, after map[string]string
		want          []string
	}{
		{"new", without, files, []string{"`docker` (new) | | | | | 5 |", "Unchanged: `cluster/prod`, `shop`."}},
		{"removed", files, without, []string{"`docker` (removed) | | | 1 |",
			"- `docker`: **`stack docker`**\n  - Removed here, and destroyed nowhere: its 5 resources stay as they are."}},
		{"same", files, files, []string{"### No change of a stack\n\nUnchanged"}},
	} {
		for _, want := range test.want {
			if got := reviewed(t, test.before, test.after).Comment("head", "base", Limit); !strings.Contains(got, want) {
				t.Errorf("%s: got %s, want %q in it", test.name, got, want)
			}
		}
	}
}

// Two components of a type do not serve for each other: a URN has only the type of the parent.
func TestContainersOfTwoComponents(t *testing.T) {
	container := func(name, alias string, timeout int) string {
		return fmt.Sprintf("name: %s\nnetworksAdvanced: [{name: n, aliases: [%s]}]\nstopTimeout: %d\n"+
			"# urn: urn:pulumi:s::p::my:index:App$docker:index/container:Container::%[1]s\n", name, alias, timeout)
	}
	for other, want := range map[string]Class{"a": Replacement, "b": Outage} {
		before := map[string]string{"s/1.yaml": container("1", "a", 1), "s/2.yaml": container("2", other, 1)}
		after := map[string]string{"s/1.yaml": container("1", "a", 2), "s/2.yaml": container("2", other, 1)}
		if worst, _ := reviewed(t, before, after).worst(); worst != want {
			t.Errorf("beside a container with alias %s: got %s, want %s", other, worst, want)
		}
	}
}

// ElastiCache encrypts connections in place from Redis OSS 7.0.5 on.
func TestEncryptionOfACache(t *testing.T) {
	for version, want := range map[string]Class{"6.2": DataLoss, "7.0": DataLoss, "7.1": InPlace, "8.0": InPlace} {
		cache := func(encrypted bool) map[string]string {
			return map[string]string{"s/r.yaml": fmt.Sprintf("engineVersion: %q\ntransitEncryptionEnabled: %t\n"+
				"# urn: urn:pulumi:s::p::aws:elasticache/replicationGroup:ReplicationGroup::r\n", version, encrypted)}
		}
		if worst, _ := reviewed(t, cache(false), cache(true)).worst(); worst != want {
			t.Errorf("version %s: got %s, want %s", version, worst, want)
		}
	}
}

// The table marks limits of the nodes that are too small for a rollout at the maximum.
func TestCapacityBeyondTheNodes(t *testing.T) {
	files := baseFiles(t)
	small := apply(t, files, edit{file: "shop/outputs.yaml", old: "nodeLimits: 32 CPU", new: "nodeLimits: 2 CPU"},
		dangers["more pods"])
	got := reviewed(t, files, small).Comment("head", "base", 0)
	if !strings.Contains(got, "| `32 CPU, 128Gi` → **`2 CPU, 128Gi`, too small** |") {
		t.Errorf("got %s", got)
	}
}

func TestKinds(t *testing.T) {
	if strings.Count(kindsYAML, "\n  class: ") != len(kinds) {
		t.Error("an entry of kinds.yaml has no class, or one that begins elsewhere")
	}
	for name, entry := range kinds {
		if strings.HasSuffix(entry.Lost, ".") || entry.Instead != "" && !strings.HasSuffix(entry.Instead, ".") ||
			entry.Lost == "" && entry.Class != Replacement {
			t.Errorf("%s: got %+v", name, entry)
		}
	}
}

// BenchmarkComment measures the comment on apps of which each has a few changes: in a stack each, and in one stack.
func BenchmarkComment(b *testing.B) {
	files := baseFiles(b)
	changed := apply(b, files, dangers["claim replaced"], dangers["new pods"])
	trees := func(files map[string]string, apps, stacks int) map[string]map[string]string {
		trees := map[string]map[string]string{}
		for i := range apps {
			stack, app := fmt.Sprint("stack-", i%stacks), fmt.Sprint("app-", i)
			if trees[stack] == nil {
				trees[stack] = map[string]string{"tree.txt": "Type  Name\n", "outputs.yaml": "{}\n"}
			}
			for path, content := range files {
				if name, found := strings.CutPrefix(path, "shop/"); found && name != "outputs.yaml" {
					content = strings.ReplaceAll(content, "urn:pulumi:prod::", "urn:pulumi:"+stack+"::"+app)
					trees[stack][app+name] = strings.ReplaceAll(content, "namespace: scaleout", "namespace: "+app)
				}
			}
		}
		return trees
	}
	for _, n := range [][2]int{{1, 1}, {10, 10}, {50, 50}, {200, 200}, {200, 1}} {
		apps, stacks := n[0], n[1]
		before, after := trees(files, apps, stacks), trees(changed, apps, stacks)
		b.Run(fmt.Sprintf("apps=%d/stacks=%d", apps, stacks), func(b *testing.B) {
			for b.Loop() {
				parser := rendered.Parser{}
				x, err := parser.Parse(before)
				if err != nil {
					b.Fatal(err)
				}
				y, err := parser.Parse(after)
				if err != nil {
					b.Fatal(err)
				}
				New(x, y, prices).Comment("head", "base", Limit)
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/float64(apps), "µs/app")
		})
	}
}
