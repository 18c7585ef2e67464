package decode

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
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

// A problem of a field is reported under its key, or under the key of the enclosing field, regardless of list indexes.
func TestCheckNamesTheKey(t *testing.T) {
	for path, want := range map[string]string{
		"port": "app:port", "scaling.max": "app:maxReplicas", "scaling.min": "app:replicas",
		"scaling[3].max[key.a]": "app:maxReplicas", "port.of.any": "app:port",
	} {
		d := decoder(map[string]string{})
		d.Check("web", field.ErrorList{{Type: field.ErrorTypeInvalid, Field: path, BadValue: 1, Detail: "must be 2"}})
		if got := message(t, d); got != "  "+want+": Invalid value: 1: must be 2" {
			t.Errorf("%s: got %q, want a line for %s", path, got, want)
		}
	}
}

// Fill sets fields of every type, ignoring case. It skips nested fields, keys of other namespaces and fields without a
// key.
func TestFillReadsTheTableOfKeys(t *testing.T) {
	d := New("app", "docs/keys.md", map[string]string{
		"app:port": "80", "app:arn": "a", "app:share": "0.5", "app:on": "true", "app:list": `["a"]`,
		"app:map": `{"a":"b"}`, "app:max": "3", "aws:region": "eu-central-1",
	}, nil, map[string]string{
		"web.port": "port", "web.keyArn": "arn", "web.share": "share", "web.on": "on", "web.list": "list", "web.map": "map",
		"web.scaling.max": "max", "web.region": "aws:region", "web.missing": "missing", "other.name": "port",
	})
	type scaling struct{ Max int }
	type args struct {
		Port                 int
		KeyARN, Name, Region string
		Share                float64
		On                   bool
		List                 []string
		Map                  map[string]string
		Scaling              scaling
	}
	var got args
	d.Fill("web", &got)
	d.Fill("web.scaling", &got.Scaling)
	want := args{
		Port: 80, KeyARN: "a", Share: 0.5, On: true, List: []string{"a"}, Map: map[string]string{"a": "b"},
		Scaling: scaling{3},
	}
	if err := d.Finish("dev"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
}

// A problem from a key's own check is not reported again by the check of the arguments that use its value. One check
// reports all that it finds.
func TestCheckSilencesTheArguments(t *testing.T) {
	d := decoder(map[string]string{"app:port": "0"})
	d.Check("port", check.Range("port", d.Integer("port"), 1, 9))
	d.Check("web", check.Range("port", 0, 1, 65535))
	if got := message(t, d); got != "  app:port: Invalid value: 0: must be from 1 to 9" {
		t.Errorf("got %q, want one line", got)
	}
	d = decoder(map[string]string{})
	d.Check("port", append(check.Label("", "A"), check.Label("of.any", "B")...))
	if got := message(t, d); strings.Count(got, "app:port: ") != 2 {
		t.Errorf("got %q, want a line for A and one for B", got)
	}
}

// An unused part leaves no trace: its problems may also be those of another part.
func TestUnusedPartLeavesNoTrace(t *testing.T) {
	d := decoder(map[string]string{"app:port": "0", "app:size": "x"})
	read := func() *int {
		port := d.Integer("port")
		d.Check("port", check.Range("port", port, 1, 9))
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
	got := message(t, d)
	if strings.Count(got, "\n") != 1 || !strings.Contains(got, "app:port") || !strings.Contains(got, "app:size") {
		t.Errorf("got %q, want a line for port and one for size", got)
	}
}

func TestMessagesHideSecrets(t *testing.T) {
	d := decoder(map[string]string{"app:port": "Canary"}, "app:port")
	d.Integer("port")
	d.Check("size", check.Label("size", "_"))
	d.Check("web", check.Label("port", "Canary"))
	if got := message(t, d); strings.Contains(got, "Canary") || !strings.Contains(got, hidden) {
		t.Errorf("got %q, want %s in place of the value", got, hidden)
	}
}

// as adapts a method of Decoder that reads a value to the table of TestTypes.
func as[V any](read func(*Decoder, string) V) func(*Decoder) any {
	return func(d *Decoder) any { return read(d, "port") }
}

// A value of another type has one problem, which is not repeated for the arguments that use the placeholder.
func TestTypes(t *testing.T) {
	for want, test := range map[string]struct {
		read func(*Decoder) any
		good map[string]any
		bad  []string
	}{
		"any text": {as((*Decoder).Text), map[string]any{"": "", " a ": " a "}, nil},
		"a whole number": {as((*Decoder).Integer), map[string]any{"0": 0, "-7": -7},
			[]string{"", "1.0", "1e3", "0x1f90", " 1", "3s"}},
		"a whole number of fewer digits": {as((*Decoder).Integer), nil, []string{"99999999999999999999"}},
		"a number such as 99.9": {as((*Decoder).Decimal), map[string]any{"0": 0.0, "99.95": 99.95},
			[]string{"", "-1", "1e3", "0x1p-4", "NaN", "5%", ".5", "1234567890"}},
		"true or false": {as((*Decoder).Boolean), map[string]any{"true": true, "false": false}, []string{"", "True", "1"}},
		"a list of strings": {as((*Decoder).List), map[string]any{`[]`: []string{}, `["a",""]`: []string{"a", ""}},
			[]string{"", "a", "null", `{"a":"b"}`, `["a",1,"b"]`, `["a",null]`}},
		"a map of strings to strings, with numbers, true and false in quotes": {as((*Decoder).StringMap),
			map[string]any{`{}`: map[string]string{}, `{"a":"1"}`: map[string]string{"a": "1"}},
			[]string{"", "null", `["a"]`, `{"a":1}`, `{"a":null}`, `{"a":`}},
	} {
		for value, result := range test.good {
			d := decoder(map[string]string{"app:port": value})
			if got, err := test.read(d), d.Finish("dev"); err != nil || !reflect.DeepEqual(got, result) {
				t.Errorf("%q: got %#v, %v, want %#v", value, got, err, result)
			}
		}
		for _, value := range test.bad {
			d := decoder(map[string]string{"app:port": value})
			test.read(d)
			d.Check("web", check.Invalid("port", 0, "must be set"))
			if got := message(t, d); got != "  app:port: got "+d.Display("port")+", want "+want {
				t.Errorf("%q: got %q, want one line, about %q", value, got, want)
			}
		}
		d := decoder(nil)
		test.read(d)
		if got := message(t, d); got != "  app:port: is required; run: pulumi config set app:port <value>" {
			t.Errorf("%s: got %q for a missing value", want, got)
		}
	}
}

func TestAWSTags(t *testing.T) {
	for value, want := range map[string]map[string]string{
		"": nil, `{"tags":{"team":"shop"}}`: {"team": "shop"},
		`{"tags":{"team":1}}`: nil, `{"tags":{}}`: nil, `{"team":"shop"}`: nil, "team": nil,
	} {
		d := decoder(map[string]string{"aws:defaultTags": value})
		got, err := d.AWSTags(), d.Finish("dev")
		if want != nil && !reflect.DeepEqual(got, want) || (err == nil) != (want != nil || value == "") {
			t.Errorf("%q: got %v, %v, want %v", value, got, err, want)
		}
	}
}

// A secret must be encrypted or empty. The message about plain text does not show it.
func TestSecretIsEncrypted(t *testing.T) {
	for value, secrets := range map[string][]string{"hunter2": {"app:port"}, "": nil} {
		d := decoder(map[string]string{"app:port": value}, secrets...)
		if got := d.Secret("port"); got != value || d.Finish("dev") != nil {
			t.Errorf("got %q, %v, want %q", got, d.Finish("dev"), value)
		}
	}
	d := decoder(map[string]string{"app:port": "hunter2"}, "app:size")
	d.Secret("port")
	if got := message(t, d); got != "  app:port: is in plain text; encrypt it: pulumi config set --secret port" {
		t.Errorf("got %q", got)
	}
}

// Each problem is reported once, sorted by key. Namespaces of providers are not checked.
func TestFinish(t *testing.T) {
	d := decoder(map[string]string{
		"app:port": "a\n", "app:size": `{"a":1}`, "app:prot": "", "app:old": "", "app:a\nb": "",
		"ap:port": "", "aws:x": "", "pulumi:x": "", "kubernetes:x": "", "docker:x": "",
	})
	d.Renamed = map[string]string{"old": "port", "port": "new"} // port is read
	d.Text("port")
	d.StringMap("size")
	d.RefuseIf(false, "port", "is never refused")
	d.RefuseIf(true, "port", "must be %d", 1)
	d.Refuse("port", "must be 1")
	want := `  ap:port: there is no such namespace; this project's keys begin with app:
  app:a\nb: there is no such key; docs/keys.md lists them
  app:old: is now app:port
  app:port: got "a\n", must be 1
  app:prot: there is no such key; docs/keys.md lists them
  app:size: got ` + "`{\"a\":1}`, want a map of strings to strings, with numbers, true and false in quotes"
	if got := message(t, d); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestEnvironment(t *testing.T) {
	for name, test := range map[string]struct {
		config, secrets string
		values          map[string]string
		encrypted       []string
		err             string
	}{
		"none":        {values: map[string]string{}},
		"both":        {`{"app:port":"1"}`, `["app:port"]`, map[string]string{"app:port": "1"}, []string{"app:port"}, ""},
		"bad values":  {config: `[]`, err: "decoding " + pulumi.EnvConfig},
		"bad secrets": {secrets: `{`, err: "decoding " + pulumi.EnvConfigSecretKeys},
	} {
		t.Setenv(pulumi.EnvConfig, test.config)
		t.Setenv(pulumi.EnvConfigSecretKeys, test.secrets)
		values, secrets, err := Environment()
		if !reflect.DeepEqual(values, test.values) || !slices.Equal(secrets, test.encrypted) ||
			!strings.Contains(fmt.Sprint(err), test.err) || (err == nil) != (test.err == "") {
			t.Errorf("%s: got %v, %q, %v", name, values, secrets, err)
		}
	}
}
