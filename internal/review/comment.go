package review

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"example.com/scaleout/internal/cost"
	"example.com/scaleout/internal/rendered"
)

const (
	// Marker begins the comment, so that the next run finds and updates it, and no other comment.
	Marker = "<!-- scaleout: review -->"
	// Limit is the largest number of characters of a comment on GitHub; GitLab allows a million.
	Limit = 65536
)

// caps are the numbers of entries of each class that a comment shows, and of fields and names of each entry.
type caps struct {
	entries       [classes]int
	fields, names int
}

// Comment returns the report as Markdown of at most limit characters; 0 is no limit. What does not fit is counted,
// never left out silently: first the fields of changes in place, then the least dangerous changes.
func (r *Report) Comment(head, base string, limit int) string {
	c := caps{fields: 1 << 20, names: 1 << 20}
	for class := range c.entries {
		c.entries[class] = 1 << 20
	}
	steps := []func(){
		func() { c.fields, c.names = 10, 10 }, func() { c.fields = 2 }, func() { c.fields = 0 },
	}
	for class := classes - 1; class >= 0; class-- {
		for _, n := range []int{100, 30, 10, 3} {
			steps = append(steps, func() { c.entries[class] = n })
		}
	}
	totals := r.capacity() + r.cost()
	text := r.text(head, base, totals, c)
	for _, step := range steps {
		if limit == 0 || utf8.RuneCountInString(text) <= limit {
			break
		}
		step()
		text = r.text(head, base, totals, c)
	}
	// Names of thousands of characters.
	if runes := []rune(text); limit > 0 && len(runes) > limit {
		const end = "…\n\n**Cut here: `make review` prints the rest.**\n"
		text = string(runes[:limit-len(end)]) + end
	}
	return text
}

func (r *Report) text(head, base, totals string, c caps) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### %s\n", Marker, r.headline())
	if len(r.stale) > 0 {
		fmt.Fprintf(&b, "\n**The settings of %s change, but not the golden files: run `make golden`**, unless these "+
			"settings change no object.\n", some(r.stale, "", 10))
	}
	b.WriteString("\n" + r.table())
	for class := DataLoss; class <= Replacement; class++ {
		if entries := r.entries[class]; len(entries) > 0 {
			fmt.Fprintf(&b, "\n#### %s\n\n", class)
			list(&b, entries, class, c)
		}
	}
	b.WriteString(totals)
	for class := InPlace; class <= Addition; class++ {
		if entries := r.entries[class]; len(entries) > 0 {
			fmt.Fprintf(&b, "\n<details><summary>%s: %s</summary>\n\n", class, resources(r.count(class)))
			list(&b, entries, class, c)
			b.WriteString("\n</details>\n")
		}
	}
	fmt.Fprintf(&b, "\nThe golden files of %s, compared with %s. They do not show what an image contains, nor values "+
		"that only an update finds out: `pulumi preview` has the last word.\n", code(head), code(base))
	return b.String()
}

// headline has the dangers, or says that there are none.
func (r *Report) headline() string {
	if len(r.stacks) == 0 {
		return "No change of a stack"
	}
	var dangers []string
	for class := DataLoss; class <= Replacement; class++ {
		if n := r.count(class); n > 0 {
			dangers = append(dangers, fmt.Sprintf("%s: %d", class, n))
		}
	}
	if len(dangers) == 0 {
		return "No data loss, outage or replacement"
	}
	return strings.Join(dangers, " · ")
}

// count returns how many resources of all stacks have their worst effect in a class.
func (r *Report) count(class Class) (n int) {
	for _, s := range r.stacks {
		n += s.counts[class]
	}
	return n
}

// grid returns a table in Markdown, of at most 40 rows, so that hundreds of stacks leave room for the changes. Without
// rows it is empty.
func grid(heading []string, rows [][]string, last ...string) string {
	if len(rows) == 0 {
		return ""
	}
	const most = 40
	if rest := len(rows) - most; rest > 0 {
		others := make([]string, len(heading))
		others[0] = fmt.Sprintf("and %d others", rest)
		rows = append(slices.Clone(rows[:most]), others)
	}
	rows = slices.Concat([][]string{heading, slices.Repeat([]string{"---"}, len(heading))}, rows)
	if last != nil {
		rows = append(rows, last)
	}
	var b strings.Builder
	for _, row := range rows {
		b.WriteString("|")
		for _, cell := range row {
			b.WriteString(strings.TrimRight(" "+cell, " ") + " |")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// table returns how many resources of each stack are in each class.
func (r *Report) table() string {
	var rows [][]string
	for _, s := range r.stacks {
		row := []string{cell(s.name)}
		switch {
		case s.before == nil:
			row[0] += " (new)"
		case s.after == nil:
			row[0] += " (removed)"
		}
		for _, n := range s.counts {
			row = append(row, strings.TrimPrefix(strconv.Itoa(n), "0"))
		}
		rows = append(rows, row)
	}
	text := grid([]string{"stack", "data loss", "outage", "replaced or removed", "in place", "added"}, rows)
	if len(r.same) > 0 {
		if text != "" {
			text += "\n"
		}
		text += fmt.Sprintf("Unchanged: %s.\n", some(r.same, "", 10))
	}
	return text
}

// list writes entries, and how many there are beyond the largest number.
func list(b *strings.Builder, entries []*entry, class Class, c caps) {
	most := c.entries[class]
	for _, e := range entries[:min(len(entries), most)] {
		e.write(b, c)
	}
	if rest := len(entries) - most; rest > 0 {
		fmt.Fprintf(b, "- and %d more of this class: `make review` lists them\n", rest)
	}
}

// resources returns "1 resource" or "2 resources".
func resources(n int) string {
	if n == 1 {
		return "1 resource"
	}
	return fmt.Sprintf("%d resources", n)
}

// write writes an entry: a line for the resource, one for each effect, and the changed fields.
func (e *entry) write(b *strings.Builder, c caps) {
	fmt.Fprintf(b, "- %s: %s\n", some(e.stacks, "", c.names), some(e.titles, "**", c.names))
	for i, effect := range e.effects {
		if effect.why == "" {
			continue
		}
		b.WriteString("  - ")
		if i > 0 && effect.class != e.effects[0].class {
			fmt.Fprintf(b, "%s: ", effect.class)
		}
		b.WriteString(effect.why)
		if effect.instead != "" {
			fmt.Fprintf(b, " *Instead:* %s", effect.instead)
		}
		b.WriteString("\n")
	}
	lines := e.lines()
	for _, line := range lines[:min(len(lines), c.fields)] {
		b.WriteString("  - " + line + "\n")
	}
	if rest := len(lines) - c.fields; rest > 0 {
		fmt.Fprintf(b, "  - and %d more\n", rest)
	}
}

// some returns texts as code between marks, and of those beyond a number only how many there are.
func some(texts []string, mark string, most int) string {
	var shown []string
	for _, text := range texts[:min(len(texts), most)] {
		shown = append(shown, mark+code(text)+mark)
	}
	if rest := len(texts) - len(shown); rest > 0 {
		shown = append(shown, fmt.Sprintf("%d others", rest))
	}
	return strings.Join(shown, ", ")
}

// lines returns the fields with their values, with a single line for several that are added or removed as a whole.
func (e *entry) lines() []string {
	var lines []string
	parts := map[string]int{}
	for _, f := range e.fields {
		parts[f.within]++
	}
	last := ""
	for _, f := range e.fields {
		switch {
		case f.within == "" || parts[f.within] == 1:
			lines = append(lines, f.line())
		case f.within == last:
			continue
		case f.before == nil:
			lines = append(lines, code(f.within)+" added")
		default:
			lines = append(lines, code(f.within)+" removed")
		}
		last = f.within
	}
	return lines
}

// line returns a field with its value before and after.
func (f field) line() string {
	before, after := f.before, f.after
	// Of two long texts, only the lines that differ first.
	if x, y := fmt.Sprint(before), fmt.Sprint(after); before != nil && after != nil {
		a, b := strings.Split(x, "\n"), strings.Split(y, "\n")
		for len(a) > 1 && len(b) > 1 && a[0] == b[0] {
			a, b = a[1:], b[1:]
		}
		before, after = a[0], b[0]
	}
	switch {
	case f.before == nil:
		return fmt.Sprintf("%s: %s added", code(f.path), value(after))
	case f.after == nil:
		return fmt.Sprintf("%s: %s removed", code(f.path), value(before))
	}
	return fmt.Sprintf("%s: %s → %s", code(f.path), value(before), value(after))
}

// value returns a value as code, shortened.
func value(v any) string {
	switch empty := v.(type) {
	case map[string]any:
		if len(empty) == 0 {
			return "`{}`"
		}
	case []any:
		if len(empty) == 0 {
			return "`[]`"
		}
	}
	text, _, more := strings.Cut(strings.TrimSpace(fmt.Sprint(v)), "\n")
	if runes := []rune(text); len(runes) > 80 {
		text, more = string(runes[:80]), true
	}
	if more {
		text += "…"
	}
	return code(text)
}

// code returns a text as inline code, in which Markdown, HTML and names of accounts have no effect.
func code(text string) string {
	const longest = 300
	if runes := []rune(text); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, text)
	if text == "" {
		return "(empty)"
	}
	fence := "`"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	if fence != "`" || text[0] == ' ' {
		return fence + " " + text + " " + fence
	}
	return fence + text + fence
}

// cell returns a text as inline code in a cell of a table.
func cell(text string) string { return strings.ReplaceAll(code(text), "|", `\|`) }

func quoted(texts []string) []string {
	quoted := slices.Clone(texts)
	for i, text := range quoted {
		quoted[i] = code(text)
	}
	return quoted
}

// capacity returns a table with the requests of the stacks in which they change.
func (r *Report) capacity() string {
	var rows [][]string
	for _, s := range r.stacks {
		if s.before == nil || s.after == nil {
			continue
		}
		before, after := capacityOf(s.before), capacityOf(s.after)
		if before == after {
			continue
		}
		row := []string{cell(s.name)}
		for i := range before {
			if before[i] != after[i] {
				after[i] = cmp.Or(before[i], "none") + " → **" + cmp.Or(after[i], "none") + "**"
			}
			row = append(row, after[i])
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return ""
	}
	return "\n#### Capacity\n\n" +
		grid([]string{"stack", "at minimum", "at maximum", "at maximum, in a rollout", "limits of the nodes"}, rows)
}

// capacityOf returns the cells of a stack: its requests at minimum, at maximum and in a rollout, and the limits of its
// nodes, which a stack outputs or its own NodePool has.
func capacityOf(s *rendered.Stack) [4]string {
	c := s.Capacity()
	limits, cpu, memory := s.NodeLimits()
	if limits != "" {
		limits = strings.ReplaceAll(code(limits), "|", `\|`)
	}
	if c.InRollout.CPU.Exceeds(cpu) || c.InRollout.Memory.Exceeds(memory) {
		limits += ", too small"
	}
	return [4]string{c.AtMin.String(), c.AtMax.String(), c.InRollout.String(), limits}
}

// cost returns a table of the stacks whose cost changes, and the difference of all of them.
func (r *Report) cost() string {
	var rows [][]string
	var unknown []string
	var total cost.Month
	partly, incomplete := map[bool]string{true: " (known prices)"}, false
	for _, s := range r.stacks {
		if s.after == nil { // its resources stay
			continue
		}
		before, after := r.prices.Estimate(s.before), r.prices.Estimate(s.after)
		for _, name := range missing(after.Unknown, before.Unknown) {
			unknown = append(unknown, s.name+": "+name)
		}
		difference := after.Total.Minus(before.Total)
		if difference == (cost.Month{}) {
			continue
		}
		lacks := len(before.Unknown)+len(after.Unknown) > 0
		incomplete, total = incomplete || lacks, total.Plus(difference)
		change := func(before, after float64) string { return fmt.Sprintf("%.2f → **%.2f**", before, after) }
		rows = append(rows, []string{cell(s.name) + partly[lacks], change(before.Total.AtMin, after.Total.AtMin),
			change(before.Total.AtMax, after.Total.AtMax), change(before.Total.Profile, after.Total.Profile)})
	}
	if len(rows)+len(unknown) == 0 {
		return ""
	}
	signed := func(usd float64) string { return fmt.Sprintf("%+.2f", usd) }
	text := "\n#### Cost of a month\n\n" + grid([]string{"stack", "at minimum", "at maximum", r.prices.Profile.Name}, rows,
		"difference"+partly[incomplete || len(unknown) > 0], signed(total.AtMin), signed(total.AtMax), signed(total.Profile))
	if len(unknown) > 0 {
		text += fmt.Sprintf("\nUnknown prices: %s.\n", some(unknown, "", 10))
	}
	return text + fmt.Sprintf("\nUS dollars, list prices of %s, without traffic.\n", r.prices.Region)
}
