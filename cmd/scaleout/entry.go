package main

import (
	"regexp"
	"strings"
)

// entry is a line of the form `key: value # comment`, at any depth.
type entry struct {
	head   string // up to the colon, with the indent
	indent int
	key    string // without quotes
	tail   string // after the colon: spaces, value and comment
	end    string // the line's end
}

var entryPattern = regexp.MustCompile(`^((\s*)["']?([A-Za-z0-9_.:-]+?)["']?:)(\s.*|)$`)

func parseEntry(line string) (entry, bool) {
	text := strings.TrimRight(line, "\r\n")
	m := entryPattern.FindStringSubmatch(text)
	if m == nil {
		return entry{}, false
	}
	return entry{head: m[1], indent: len(m[2]), key: m[3], tail: m[4], end: line[len(text):]}, true
}

// String is the line as it stood in the file.
func (e entry) String() string { return e.head + e.tail + e.end }

func isEntry(line string) bool {
	_, ok := parseEntry(line)
	return ok
}

// scalar takes comment and quotes from what follows a colon.
func scalar(tail string) string {
	rest := strings.TrimSpace(tail)
	if rest == "" || strings.HasPrefix(rest, "#") {
		return ""
	}
	if q := rest[0]; q == '"' || q == '\'' {
		if end := strings.IndexByte(rest[1:], q); end >= 0 {
			return rest[1 : 1+end]
		}
	}
	value, _, _ := strings.Cut(rest, " #")
	return strings.TrimSpace(value)
}
