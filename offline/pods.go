package offline

import "fmt"

// sizes shows what each pod asks for and what all of them do. Pods that run once per node are left out of the totals.
func (r *Result) sizes() string {
	workloads := r.workloads()
	if len(workloads) == 0 {
		return ""
	}
	heading := []string{"", "Replicas"}
	for _, m := range measures {
		heading = append(heading, m.heading)
	}
	rows, perNode := [][]string{heading}, ""
	for _, w := range workloads {
		row := []string{w.object.String(), w.replicas.String()}
		if w.perNode {
			row[1], perNode = "per node", ", no DaemonSets"
		}
		for _, m := range measures {
			row = append(row, m.of(w.podSpec).String())
		}
		rows = append(rows, row)
	}
	fewest := func(w workload) int64 { return w.replicas.min }
	most := func(w workload) int64 { return w.replicas.max }
	rows = append(rows, total("All at min replicas"+perNode, workloads, fewest))
	return table(append(rows, total("All at max replicas"+perNode, workloads, most)))
}

// total adds up all workloads at one end of their ranges.
func total(title string, workloads []workload, count func(workload) int64) []string {
	row, pods, unknown := []string{title, ""}, int64(0), ""
	for i, m := range measures {
		var sum size
		for _, w := range workloads {
			switch {
			case w.perNode:
			case w.replicas.unknown:
				sum.unknown, unknown = true, " + [unknown]"
			default:
				sum = sum.plus(m.of(w.podSpec).times(count(w)))
				if i == 0 {
					pods += count(w)
				}
			}
		}
		row = append(row, sum.String())
	}
	row[1] = fmt.Sprint(pods) + unknown
	return row
}
