package offline

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// wrapped puts a list into rows of at most 80 characters.
func wrapped(total, name string, list []string) [][]string {
	const width = 80
	rows := [][]string{{total, name, ""}}
	for i, word := range list {
		if i < len(list)-1 {
			word += ","
		}
		last := rows[len(rows)-1]
		if last[2] != "" && len(last[2])+1+len(word) > width {
			last = []string{"", "", ""}
			rows = append(rows, last)
		}
		last[2] = strings.TrimSpace(last[2] + " " + word)
	}
	return rows
}

func lines(list []string) string {
	rows := [][]string{}
	for _, line := range list {
		rows = append(rows, []string{line})
	}
	return table(rows)
}

// table aligns columns and indents them by two.
func table(rows [][]string) string {
	var out strings.Builder
	writer := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	for _, row := range rows {
		fmt.Fprintln(writer, "  "+strings.Join(row, "\t"))
	}
	_ = writer.Flush() // a strings.Builder takes everything
	aligned := strings.Split(out.String(), "\n")
	for i := range aligned {
		aligned[i] = strings.TrimRight(aligned[i], " ")
	}
	return strings.Join(aligned, "\n")
}
