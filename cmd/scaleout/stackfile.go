package main

import (
	"fmt"
	"os"
	"strings"
)

// The mark that `up` puts behind a line it writes. What follows "was:" is the value before.
const (
	mark    = "# set by make up"
	markWas = mark + ", was:"
)

// saltKey is Pulumi's key for the passphrase's salt, at the top level of a stack file.
const saltKey = "encryptionsalt"

// stackFile is a Pulumi.<stack>.yaml as lines. Pulumi's own edits lay the whole file out anew and drop empty lines;
// these touch one line each, so that `down` can leave the file as git has it.
type stackFile struct {
	path  string
	lines []string
}

func readStackFile(path string) (*stackFile, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the stack's settings: %w", err)
	}
	return &stackFile{path: path, lines: strings.SplitAfter(string(content), "\n")}, nil
}

// save replaces the file in one go, so that an interruption leaves the old one or the new one.
func (f *stackFile) save() error {
	tmp := f.path + ".tmp"
	if err := os.WriteFile(tmp, []byte(strings.Join(f.lines, "")), 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	if err := os.Rename(tmp, f.path); err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	return nil
}

// find returns the index of the key's line, or -1.
func (f *stackFile) find(key string) (int, entry) {
	for i, line := range f.lines {
		if e, ok := parseEntry(line); ok && e.key == key {
			return i, e
		}
	}
	return -1, entry{}
}

// get returns the plain value of a key; "" if it is missing, empty or not a scalar.
func (f *stackFile) get(key string) string {
	_, e := f.find(key)
	return scalar(e.tail)
}

// has tells whether the key is there, whatever its value.
func (f *stackFile) has(key string) bool {
	i, _ := f.find(key)
	return i >= 0
}

// marked tells whether `up` wrote the key.
func (f *stackFile) marked(key string) bool {
	i, e := f.find(key)
	return i >= 0 && (strings.Contains(e.tail, mark) || strings.Contains(f.secure(i).tail, mark))
}

// secure returns the `secure:` line that follows the line of an encrypted value.
func (f *stackFile) secure(i int) entry {
	if i < 0 || i+1 >= len(f.lines) {
		return entry{}
	}
	if e, ok := parseEntry(f.lines[i+1]); ok && e.key == "secure" {
		return e
	}
	return entry{}
}

// set gives a config key a plain value and remembers the one before. Setting the value before again removes the mark.
func (f *stackFile) set(key, value string) {
	i, e := f.find(key)
	if i < 0 {
		f.insert(fmt.Sprintf("  %s: %s %s\n", key, value, mark))
		return
	}
	_, before, again := strings.Cut(e.tail, markWas)
	added := !again && strings.Contains(e.tail, mark)
	if !again {
		before = e.tail
	}
	switch {
	case added:
		e.tail = " " + value + " " + mark
	case scalar(before) == value:
		e.tail = before
	default:
		e.tail = " " + value + " " + markWas + before
	}
	f.lines[i] = e.String()
}

// setPassword adds the encrypted Redis password.
func (f *stackFile) setPassword(ciphertext string) {
	f.insert("  "+keyRedisPassword+":\n", "    secure: "+ciphertext+" "+mark+"\n")
}

// setSalt adds the salt as the first entry.
func (f *stackFile) setSalt(salt string) {
	at := 0
	for at < len(f.lines) && !isEntry(f.lines[at]) {
		at++ // comments at the top stay there
	}
	f.splice(at, 0, saltKey+": "+salt+" "+mark+"\n")
}

// insert adds lines at the head of the config block, which it creates if the file has none.
func (f *stackFile) insert(lines ...string) {
	if at, _ := f.find("config"); at >= 0 {
		f.splice(at+1, 0, lines...)
		return
	}
	if n := len(f.lines); n > 0 && f.lines[n-1] != "" && !strings.HasSuffix(f.lines[n-1], "\n") {
		f.lines[n-1] += "\n"
	}
	f.lines = append(f.lines, append([]string{"config:\n"}, lines...)...)
}

func (f *stackFile) splice(at, remove int, lines ...string) {
	tail := append([]string{}, f.lines[at+remove:]...)
	f.lines = append(append(f.lines[:at:at], lines...), tail...)
}

// clean removes everything that carries the mark and brings back the values before. It returns the keys it touched.
func (f *stackFile) clean() []string {
	var touched []string
	for i := 0; i < len(f.lines); i++ {
		e, ok := parseEntry(f.lines[i])
		if !ok {
			continue
		}
		_, before, changed := strings.Cut(e.tail, markWas)
		switch {
		case changed:
			e.tail = before
			f.lines[i] = e.String()
		case strings.Contains(f.secure(i).tail, mark):
			f.splice(i, 2)
			i--
		case strings.Contains(e.tail, mark):
			f.splice(i, 1)
			i--
		default:
			continue
		}
		touched = append(touched, e.key)
	}
	return touched
}
