package offline

import (
	"fmt"
	"strings"
)

// containers lists the containers on a Docker host: what each may use, what they may use together, and where each is
// reached from outside.
func (r *Result) containers() string {
	rows := [][]string{{"", "CPU limit", "Memory limit", "Published"}}
	var memory int64
	limited := true
	for i := range r.Resources {
		resource := &r.Resources[i]
		if resource.Type != "docker:index/container:Container" {
			continue
		}
		mebibytes, given := resource.Inputs["memory"].(int64)
		memory += mebibytes
		limited = limited && given
		rows = append(rows, []string{
			inlineOr(resource.Inputs["name"], resource.Name), inlineOr(resource.Inputs["cpus"], "none"),
			memoryLimit(mebibytes, given), strings.Join(published(resource.Inputs["ports"]), " "),
		})
	}
	if len(rows) == 1 {
		return ""
	}
	return table(append(rows, []string{"All", "", memoryLimit(memory, limited), ""}))
}

func memoryLimit(mebibytes int64, given bool) string {
	if !given {
		return "none"
	}
	return fmt.Sprintf("%dMi", mebibytes)
}

func inlineOr(v any, fallback string) string {
	if v == nil {
		return fallback
	}
	return inline(printable(v, false))
}

// published are the host's ports, with what each leads to.
func published(ports any) []string {
	var all []string
	list, _ := ports.([]any)
	for _, port := range list {
		from := inlineOr(Lookup(port, "external"), "any")
		if ip := text(port, "ip"); ip != "" {
			from = ip + ":" + from
		}
		all = append(all, from+"->"+inlineOr(Lookup(port, "internal"), "?"))
	}
	return all
}
