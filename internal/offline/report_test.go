package offline

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func reportOf(changes ...change) *report {
	return &report{base: "main", commit: "0123456789", comparisons: []*comparison{
		{stack: "dev", changed: len(changes), changes: changes}, {stack: "prod", unchanged: 7},
	}}
}

func TestMarkdown(t *testing.T) {
	got := reportOf(
		change{"~", "Deployment a/web", "@@ -1,1 +1,1 @@\n-x: 1\n+x: 2\n"},
		change{"+", "scaleout:index:WebApp <b>", ""},
	).markdown(commentLimit)
	want := "### Changes in the working tree against main (0123456789)\n\n" +
		"| Stack | Added | Changed | Removed | Unchanged |\n|---|--:|--:|--:|--:|\n" +
		"| dev | 0 | 2 | 0 | 0 |\n| prod | 0 | 0 | 0 | 7 |\n\n" +
		"<details><summary><code>~</code> dev: Deployment a/web</summary>\n\n" +
		"```diff\n@@ -1,1 +1,1 @@\n-x: 1\n+x: 2\n```\n\n</details>\n\n" +
		"<code>+</code> dev: scaleout:index:WebApp &lt;b&gt;\n\n"
	if got != want {
		t.Errorf("(- want, + got)\n%s", unified(want, got))
	}
}

func TestMarkdownWithoutChanges(t *testing.T) {
	got := reportOf().markdown(commentLimit)
	if !strings.HasPrefix(got, "### No changes in the working tree against main") || strings.Contains(got, "details") {
		t.Errorf("got %s", got)
	}
}

func TestMarkdownIsCutBetweenObjects(t *testing.T) {
	var changes []change
	for i := range 100 {
		changes = append(changes, change{"~", fmt.Sprintf("ConfigMap a/c%d", i), strings.Repeat("+ü: line\n", 300)})
	}
	r := reportOf(changes...)
	for _, limit := range []int{1000, 5000, commentLimit} {
		got := r.markdown(limit)
		if len(got) > limit {
			t.Errorf("limit %d: got %d bytes", limit, len(got))
		}
		shown := strings.Count(got, "<details>")
		if ends := strings.Count(got, "</details>"); ends != shown {
			t.Errorf("limit %d: %d objects begin, %d end", limit, shown, ends)
		}
		want := fmt.Sprintf("**%d of 100 changes are not shown", 100-shown)
		if !strings.Contains(got, want) || !strings.Contains(got, "`make diff BASE=main` shows all.") {
			t.Errorf("limit %d: got no %q", limit, want)
		}
	}
	if shown := strings.Count(r.markdown(commentLimit), "<details>"); shown < 10 {
		t.Errorf("got only %d objects in %d characters", shown, commentLimit)
	}
}

func TestFenceIsLongerThanAnyInside(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"none", "a: b\n", "```"},
		{"two", "a ``b``\n", "```"},
		{"three", "```\nx\n```\n", "````"},
		{"five", "+`````\n", "``````"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := fenceFor(test.text); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	got := reportOf(change{"+", "ConfigMap a", "+```\n+</details>\n"}).markdown(commentLimit)
	if !regexp.MustCompile("(?s)\n````diff\n.*\n````\n").MatchString(got) {
		t.Errorf("got %s", got)
	}
}

func TestCompare(t *testing.T) {
	resource := func(urn, value string, custom bool) Resource {
		return Resource{URN: urn, Type: "aws:s3/bucket:Bucket", Name: urn, Custom: custom, Inputs: map[string]any{"a": value}}
	}
	before := &Result{Resources: []Resource{
		resource("same", "1", true), resource("changed", "1", true), resource("gone", "1", true),
		resource("component", "1", false),
	}}
	protected := resource("same", "1", true)
	protected.Options = map[string]any{"protect": true}
	after := &Result{Resources: []Resource{
		protected, resource("changed", "2", true), resource("new", "1", true), resource("component", "2", false),
	}}
	c, err := compare("dev", before, after)
	if err != nil {
		t.Fatal(err)
	}
	want := []change{
		{"~", "aws:s3:Bucket changed", "@@ -1,1 +1,1 @@\n-a: \"1\"\n+a: \"2\"\n"},
		{"-", "aws:s3:Bucket gone", "@@ -1,1 +0,0 @@\n-a: \"1\"\n"},
		{"+", "aws:s3:Bucket new", "@@ -0,0 +1,1 @@\n+a: \"1\"\n"},
		{"~", "aws:s3:Bucket same", "@@ -1,1 +1,3 @@\n a: \"1\"\n+# options:\n+#   protect: true\n"},
	}
	if fmt.Sprintf("%q", c.changes) != fmt.Sprintf("%q", want) {
		t.Errorf("got %q\nwant %q", c.changes, want)
	}
	if c.added != 1 || c.changed != 2 || c.removed != 1 || c.unchanged != 2 {
		t.Errorf("got +%d ~%d -%d =%d, want +1 ~2 -1 =2", c.added, c.changed, c.removed, c.unchanged)
	}
}
