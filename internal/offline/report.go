package offline

import (
	"fmt"
	"html"
	"strings"
)

// commentLimit is half of the characters that GitHub takes as one comment (pulumi/actions#1387), since two projects share
// it. Here it is a number of bytes, of which there are never fewer.
const commentLimit = 65536 / 2

// report is what `diff` prints.
type report struct {
	// project whose stacks these are.
	project string
	// base is how the user named what is compared with, and commit what that is.
	base, commit string
	comparisons  []*comparison
}

// changes is how many there are in all stacks.
func (r *report) changes() int {
	n := 0
	for _, c := range r.comparisons {
		n += len(c.changes)
	}
	return n
}

func (r *report) title() string {
	verb := "Changes"
	if r.changes() == 0 {
		verb = "No changes"
	}
	if r.project != "" {
		verb += " of " + r.project
	}
	return fmt.Sprintf("%s in the working tree against %s (%s)", verb, r.base, r.commit)
}

// text is for a terminal.
func (r *report) text() string {
	var out strings.Builder
	out.WriteString(r.title() + "\n\n")
	rows := [][]string{{"Stack", "Added", "Changed", "Removed", "Unchanged", ""}}
	for _, c := range r.comparisons {
		rows = append(rows, append(c.row(), c.note))
	}
	out.WriteString(table(rows))
	for _, c := range r.comparisons {
		for _, change := range c.changes {
			fmt.Fprintf(&out, "\n%s %s: %s\n%s", change.action, c.stack, change.title, change.diff)
		}
	}
	return out.String()
}

// row is the stack's line in the table of counts.
func (c *comparison) row() []string {
	return []string{
		c.stack, fmt.Sprint(c.added), fmt.Sprint(c.changed), fmt.Sprint(c.removed), fmt.Sprint(c.unchanged),
	}
}

// markdown is for a comment on a pull request, no longer than limit. What does not fit is left out object by object.
func (r *report) markdown(limit int) string {
	head := "### " + r.title() + "\n\n| Stack | Added | Changed | Removed | Unchanged |\n|---|--:|--:|--:|--:|\n"
	sections := []string{}
	for _, c := range r.comparisons {
		row := c.row()
		if c.note != "" {
			row[0] += " (" + c.note + ")"
		}
		head += "| " + strings.Join(row, " | ") + " |\n"
		for _, change := range c.changes {
			sections = append(sections, change.markdown(c.stack))
		}
	}
	head += "\n"
	all := head + strings.Join(sections, "")
	if len(all) <= limit {
		return all
	}
	room := limit - len(head) - len(r.cut(len(sections), len(sections)))
	kept := 0
	for room >= 0 && kept < len(sections) && len(sections[kept]) <= room {
		room -= len(sections[kept])
		kept++
	}
	return head + strings.Join(sections[:kept], "") + r.cut(len(sections)-kept, len(sections))
}

// cut says what is missing from a comment.
func (r *report) cut(left, all int) string {
	return fmt.Sprintf("**%d of %d changes are not shown: a comment has room for %d characters.** "+
		"`make diff BASE=%s` shows all.\n", left, all, commentLimit, r.base)
}

// markdown is folded up, so that a long comment can be skimmed.
func (c change) markdown(stack string) string {
	title := fmt.Sprintf("<code>%s</code> %s: %s", c.action, html.EscapeString(stack), html.EscapeString(c.title))
	if c.diff == "" {
		return title + "\n\n"
	}
	fence := fenceFor(c.diff)
	return fmt.Sprintf("<details><summary>%s</summary>\n\n%sdiff\n%s%s\n\n</details>\n\n", title, fence, c.diff, fence)
}

// fenceFor is longer than every run of backticks in the text, so that the text cannot end the block.
func fenceFor(text string) string {
	longest, run := 2, 0
	for _, r := range text {
		run++
		if r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}
