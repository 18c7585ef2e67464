package decode

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"example.com/scaleout/internal/check"
)

var fields = map[string]string{"web.port": "port", "web.scaling": "replicas", "web.scaling.max": "maxReplicas"}

func decoder(values map[string]string, secrets ...string) *Decoder {
	return New("app", "docs/keys.md", values, secrets, fields)
}

func message(t *testing.T, d *Decoder) string {
	t.Helper()
	err := d.Finish("dev")
	if err == nil {
		t.Fatal("got no error")
	}
	_, lines, _ := strings.Cut(err.Error(), "\n")
	return lines
}

// The problem of a field is told under its key, or under that of what holds it, wherever the field is in a list.
func TestCheckNamesTheKey(t *testing.T) {
	for path, want := range map[string]string{
		"port": "app:port", "scaling.max": "app:maxReplicas", "scaling.min": "app:replicas", "scaling[3].max[key.a]": "app:maxReplicas",
		"port.of.any": "app:port",
	} {
		d := decoder(map[string]string{})
		d.Check("web", field.ErrorList{{Type: field.ErrorTypeInvalid, Field: path, BadValue: 1, Detail: "must be 2"}})
		if got := message(t, d); got != "  "+want+": Invalid value: 1: must be 2" {
			t.Errorf("%s: got %q, want a line for %s", path, got, want)
		}
	}
}

func TestFillReadsTheTableOfKeys(t *testing.T) {
	d := decoder(map[string]string{"app:port": "80", "app:maxReplicas": "3"})
	var web struct {
		Port    int
		Name    string
		Scaling struct{ Max int }
	}
	d.Fill("web", &web)
	d.Fill("web.scaling", &web.Scaling)
	if err := d.Finish("dev"); err != nil || web.Port != 80 || web.Scaling.Max != 3 || web.Name != "" {
		t.Errorf("got %+v, %v", web, err)
	}
}

// What a key's own check says is not said again, in other words, by the arguments that its value goes into.
func TestCheckKeySilencesTheArguments(t *testing.T) {
	d := decoder(map[string]string{"app:port": "0"})
	d.CheckKey("port", check.Range("port", d.Integer("port"), 1, 9))
	d.Check("web", check.Range("port", 0, 1, 65535))
	if got := message(t, d); got != "  app:port: Invalid value: 0: must be from 1 to 9" {
		t.Errorf("got %q, want one line", got)
	}
}

// A part that is not used leaves nothing behind: what it refused may be what another part has to refuse.
func TestUnusedPartLeavesNoTrace(t *testing.T) {
	d := decoder(map[string]string{"app:port": "0", "app:size": "x"})
	read := func() *int {
		port := d.Integer("port")
		d.CheckKey("port", check.Range("port", port, 1, 9))
		d.Integer("size")
		return &port
	}
	if Part(d, false, read) != nil {
		t.Error("got a part that is not used")
	}
	if err := d.Finish("dev"); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if Part(d, true, read) == nil {
		t.Error("got no part")
	}
	if got := message(t, d); strings.Count(got, "\n") != 1 || !strings.Contains(got, "app:port") || !strings.Contains(got, "app:size") {
		t.Errorf("got %q, want a line for port and one for size", got)
	}
}

func TestMessagesHideSecrets(t *testing.T) {
	d := decoder(map[string]string{"app:port": "Canary"}, "app:port")
	d.Integer("port")
	d.CheckKey("size", check.Label("size", "_"))
	d.Check("web", check.Label("port", "Canary"))
	if got := message(t, d); strings.Contains(got, "Canary") || !strings.Contains(got, hidden) {
		t.Errorf("got %q, want %s in place of the value", got, hidden)
	}
}
