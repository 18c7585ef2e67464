package offline

import (
	"strings"
	"testing"
)

func TestDumpIsReadAsItWasWritten(t *testing.T) {
	r := runDemo(t)
	dump, err := r.Dump()
	if err != nil {
		t.Fatal(err)
	}
	read, err := readDump(dump)
	if err != nil {
		t.Fatal(err)
	}
	c, err := compare("dev", read, r)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.changes) != 0 || c.unchanged != len(r.Resources)+1 {
		t.Errorf("got %+v, want no changes", c)
	}
	for _, test := range []struct{ name, dump, want string }{
		{"no JSON", "missing stack name", "its program knows no `dump`"},
		{"other JSON", `{"result": {}}`, "its program knows no `dump`"},
		{"another version", `{"scaleoutDump": 99, "result": {}}`, "another form of `dump` (99, not 1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := readDump([]byte(test.dump)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}
