package check

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

var (
	digest256 = "@sha256:" + strings.Repeat("0a", 32)
	digest512 = "@sha512:" + strings.Repeat("0a", 64)
)

// a returns a name of n letters.
func a(n int) string { return strings.Repeat("a", n) }

// dnsName adapts IsDNSName to the table of TestForms.
func dnsName(name, value string) field.ErrorList { return That(IsDNSName(value), name, value, "") }

// Each form accepts its good values, and reports exactly one problem, with the field and the value, for each bad one.
func TestForms(t *testing.T) {
	for name, test := range map[string]struct {
		form      func(name, value string) field.ErrorList
		good, bad []string
	}{
		"image": {Image, []string{
			"redis:8.2", "redis" + digest256, "redis:8.2" + digest256, "redis:latest" + digest256,
			"org/app:1", "a.b/c__d/e-f.g:v1",
			"localhost/app:1", "localhost:5001/app:1", "docker.io/library/nginx:stable-alpine", "host:5000/app:1",
			"r.io/app:" + strings.Repeat("1", 128),
		}, []string{
			"", "redis", "redis:", "redis:latest", "localhost:5001/redis", "Redis:8.2", "Bitnami/redis:8.2", "redis@sha256:0a1b",
			"redis" + strings.ToUpper(digest256), "redis" + strings.Replace(digest256, "0a", "0A", 1), "redis" + digest512,
			"redis@sha512:" + strings.Repeat("0a", 32), "redis:8.2:8.3", "redis:8.2 alpine", "https://docker.io/redis:8.2",
			"redis:" + strings.Repeat("1", 129), "a//b:1", "/a:1", "a/:1", "r.io/" + a(256) + ":1",
			strings.Repeat("0a", 32), "redis:8.2\n", "redis:8.2@", "-a:1",
		}},
		"repository": {Repository, []string{
			"localhost:5001/scaleout", "localhost/app", "docker.io/app", "docker.io/org/app", "host:5000/a/b/c",
			"111122223333.dkr.ecr.eu-central-1.amazonaws.com/scaleout",
		}, []string{
			"", "app", "team/app", "[fd00::1]:5000/app", "Team/app", "localhost:5001", "example.com",
			"localhost:5001/app:v1", "localhost:5001/app/",
			"localhost:5001/app" + digest256, "localhost:5001/App", "https://localhost:5001/app", "r.io//app", "r.io/ app",
		}},
		"cpu": {CPU, []string{"1m", "250m", "0.5", "1000"},
			[]string{
				"", "0", "0.9m", "1001", "1e4", "64Mi", "-100m", "1 ", "100 m", "500mcpu", "1e", "1e999999999",
				"999999e9999999999999",
			}},
		"memory": {Memory, []string{"6Mi", "64M", "1e9", "32Ti"},
			[]string{"", "64", "64e3", "-64Mi", "250m", "5Mi", "33Ti", "64Pi", "64mi", "64MB", "64MiB", "1e-99999999999"}},
		"storage": {Storage, []string{"1Mi", "64Ti"}, []string{"", "0", "1", "1023Ki", "65Ti", "-1Gi", "big"}},
		"label":   {Label, []string{"a", "0-a", a(63)}, []string{"", "-a", "a-", "a.b", "A", "a_b", a(64), "a\n"}},
		"name":    {Name, []string{"a", "a.b-c", a(253)}, []string{"", ".a", "a.", "a..b", "a.-b", "A", a(254)}},
		"object name": {func(_, value string) field.ErrorList { return ObjectName(value) },
			[]string{"a", a(52)}, []string{"", a(53), "a.b", "A"}},
		"DNS name": {dnsName, []string{"a", "a.example.com", "1.a", a(63) + ".a"}, []string{
			"", "192.0.2.1", "2001:db8::1", "a.1", "a.example.com:80", "a.example.com/a", "a_b", "A", "a.", "a..b", "-a.b",
			a(64) + ".a", strings.Repeat("abcdefg.", 32) + "a",
		}},
		"variable": {Variable, []string{"A", "_a1"}, []string{"", "1A", "A-B", "A.B", "A=B", "Ä", "A\n"}},
		"block": {CIDR, []string{"10.0.0.0/16", "0.0.0.0/0", "2001:db8::/32"}, []string{
			"", "10.0.0.0", "10.0.0.1/16", "10.0.0.0/33", "10.0.0.0/255.255.0.0", "10.0.0/16", "10.0.256.0/24", "internal",
			"10.0.0.0-10.0.0.9", "2001::db8::/32", "2001:db8::/129", "2001:db8::1/64", "fe80::%eth0/64",
		}},
		"region": {Region, []string{"eu-central-1", "us-gov-west-1", "ap-southeast-3"},
			[]string{"", "eu-central", "eu-central-1a", "EU-central-1", "Frankfurt"}},
		"directory": {Path, []string{"/tmp", "/var/cache/app"},
			[]string{"", "/", "tmp", "/tmp/", "/a/../b", "/a//b", "/a:b"}},
		"optional": {func(name, value string) field.ErrorList { return Optional(Label, name, value) },
			[]string{"", "a"}, []string{"A"}},
		"word": {func(name, value string) field.ErrorList { return OneOf(name, value, "a", "b") },
			[]string{"a", "b"}, []string{"", "c", "a, b"}},
		"match": {func(name, value string) field.ErrorList {
			return Match(name, value, regexp.MustCompile("^a$"), "must be a")
		}, []string{"a"}, []string{"", "b"}},
		"label of an object": {func(name, value string) field.ErrorList {
			key, value, _ := strings.Cut(value, ": ")
			return Labels(name, map[string]string{key: value})
		}, []string{"team: shop", "example.com/team: ", "a: B_c.d"},
			[]string{": a", "a b: c", "a: b c", "a/b/c: d", "a: " + a(64), a(64) + ": a"}},
		"annotation": {func(name, value string) field.ErrorList {
			return Annotations(name, map[string]string{value: "any text\n"})
		}, []string{"a", "example.com/Role"}, []string{"", "a b", "/a", "a/b/c", "a/" + a(64)}},
	} {
		for _, value := range test.good {
			if problems := test.form("name", value); problems != nil {
				t.Errorf("%s %q: got %v, want it accepted", name, value, problems)
			}
		}
		for _, value := range test.bad {
			problems := test.form("name", value)
			if len(problems) != 1 || problems[0].Field != "name" || problems[0].BadValue != value {
				t.Errorf("%s %q: got %v, want one problem with the field and the value", name, value, problems)
			}
		}
	}
}

// The message names the IPv6 address of the registry as the reason.
func TestRepositoryAtIPv6(t *testing.T) {
	problems := Repository("repository", "[fd00::1]:5000/app")
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), "IPv6") {
		t.Errorf("got %v, want a refusal of the IPv6 address", problems)
	}
}

// Problems name the field with its parents and indexes, the value and the accepted form, and are sorted.
func TestJoin(t *testing.T) {
	type pod struct{ port int }
	inRange := func(p *pod) field.ErrorList { return Range("port", p.port, 1, 9) }
	problems := Each("pods", []pod{{1}, {0}}, inRange)
	problems = append(problems, In("scaling", Range("max", 10, 1, 9))...)
	problems = append(problems, Selectors("allow", []map[string]string{{"a": "b"}, nil, {"a": "b c"}})...)
	problems = append(problems, Set("image", false)...)
	for _, accepted := range []field.ErrorList{
		Range("max", 1, 1, 9), Range("max", 9, 1, 9), Set("image", true),
	} {
		problems = append(problems, accepted...)
	}
	want := `invalid arguments of WebApp "web":
  allow[1]: Required value: must be set
  allow[2]: Invalid value: "a: b c": must be a label: a name such as release or example.com/team, ` +
		`and up to 63 letters, digits, -, _ and .
  image: Required value: must be set
  pods[1].port: Invalid value: 0: must be from 1 to 9
  scaling.max: Invalid value: 10: must be from 1 to 9`
	if err := Join(`WebApp "web"`, problems); fmt.Sprint(err) != want {
		t.Errorf("got\n%v, want\n%s", err, want)
	}
	if err := Join("WebApp", nil); err != nil {
		t.Errorf("got %v for no problems", err)
	}
}
