#!/bin/sh
# Runs kube-score on the objects that a stack would deploy, and fails for critical findings that kube-score.txt does not
# explain: kube-score.sh PROGRAM -stack STACK...
set -eu
program="$1"
shift
folder="$(dirname "$0")"
# An empty pattern would explain everything.
awk -F '\t' '!/^#/ && (NF != 2 || $1 == "" || $2 == "") {
	print "kube-score: " FILENAME ":" NR ": want a regular expression, a tab and a reason"; bad = 1
} END { exit bad }' "${explained:=$folder/kube-score.txt}" >&2
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
if ! "$program" render "$@" -out "$work/objects" >/dev/null 2>"$work/error"; then
	if grep -q 'has no Kubernetes objects' "$work/error"; then
		echo "kube-score: the stack has no Kubernetes objects"
		exit 0
	fi
	cat "$work/error" >&2
	exit 1
fi
# It ends with 1 for any critical finding; without output it has failed itself.
go tool -modfile="$folder/../tools/kubescore/go.mod" kube-score score --output-format ci --kubernetes-version v1.30 \
	"$work"/objects/*.yaml >"$work/score" || { [ $? -eq 1 ] && [ -s "$work/score" ]; }
awk -F '\t' '
	NR == FNR { if ($0 !~ /^#/) { pattern[++n] = $1; reason[n] = $2 }; next }
	/^\[CRITICAL\]/ {
		for (i = 1; i <= n; i++) if ($0 ~ pattern[i]) { if (!explained[i]++) first[i] = substr($0, 12); next }
		print "error    kube-score: " substr($0, 12); errors++
	}
	/^\[WARNING\]/ { print "warning  kube-score: " substr($0, 11); warnings++ }
	END {
		for (i = 1; i <= n; i++) if (explained[i])
			printf "intended %s%s\n         %s\n", first[i],
				(explained[i] > 1 ? ", and " (explained[i] - 1) " like it" : ""), reason[i]
		printf "kube-score: critical without a reason: %d, warnings: %d\n", errors, warnings
		exit errors > 0
	}' "$explained" "$work/score"
