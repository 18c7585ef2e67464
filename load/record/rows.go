package record

import (
	"fmt"
	"math"
	"time"
)

// Row is a number of a verdict with what it means.
type Row struct{ Name, Value, Meaning string }

// Rows are the numbers of a verdict in words, the same for each run, so that those of two stand side by side.
func (v Verdict) Rows(goal float64) []Row {
	rows := []Row{
		{"requests", fmt.Sprint(v.Sent), "sent at the profile's pace, however slow the answers"},
		{"failed", share(v.Failed, v.Sent), "no answer, or another than 2xx"},
		{"not sent in time", fmt.Sprintf("%.1f %%", v.Short*100), "above 1 % the load generator was the limit"},
		{"latency p50, p95, p99", fmt.Sprintf("%s, %s, %s", ms(v.P50), ms(v.P95), ms(v.P99)), "of the good answers"},
		{"longest answer", ms(v.Max), ""},
		{"p95 of the worst second", ms(v.WorstP95), fmt.Sprintf("of those with at least %d requests", minCount)},
		{"longest trouble", whole(v.LongestTrouble), "seconds in a row with a failure or a p95 above " + ms(goal)},
	}
	if !v.Scaled {
		return rows
	}
	return append(rows,
		Row{"pods", fmt.Sprintf("%d to %d", v.StartPods, v.PeakPods), "ready, at the start and at most"},
		Row{"time to capacity", v.capacity(), "from the first rise of the load until all pods wanted for it were ready"},
		Row{"time back", orNone(v.Back, "not seen"), "from the end of the highest load until no more pods than at the start were ready"},
		Row{"decisions", fmt.Sprintf("%d, %d of them back", v.Decisions, v.Reversals), "changes of the number of wanted pods; back is the other direction than the one before"},
		Row{"at the maximum", whole(v.AtMax), "when the autoscaler could not have wanted more pods"},
		Row{"pod seconds", fmt.Sprintf("%.0f, %.1f for 1,000 requests", v.PodSeconds, v.PerThousand), "what the run cost"},
		Row{"over-provisioned", percent(v.Over), "pod seconds beyond what the measured CPU needed at the target"},
	)
}

func (v Verdict) capacity() string {
	if v.Capacity == 0 {
		return "not needed, or not reached"
	}
	if v.Rise >= time.Second {
		return fmt.Sprintf("%s, of which the load rose for %s", whole(v.Capacity), whole(v.Rise))
	}
	return whole(v.Capacity)
}

func share(part, all int) string {
	if part == 0 {
		return "0"
	}
	return fmt.Sprintf("%d (%.2f %%)", part, 100*float64(part)/float64(max(all, 1)))
}

func ms(f float64) string {
	if f > 0 && f < 10 {
		return fmt.Sprintf("%.1f ms", f)
	}
	return fmt.Sprintf("%.0f ms", f)
}

func whole(d time.Duration) string { return fmt.Sprintf("%.0f s", d.Seconds()) }

func orNone(d time.Duration, none string) string {
	if d == 0 {
		return none
	}
	return whole(d)
}

func percent(f float64) string {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return "CPU not measured"
	}
	return fmt.Sprintf("%+.0f %%", f*100)
}
