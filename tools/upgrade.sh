#!/bin/sh
# Brings up the version BASE of stack dev on a kind cluster of its own, updates it to the committed version of this
# folder under load, and writes a comment on that to FILE. Both run in a copy of the repository that is removed in the
# end, so neither this folder nor its stacks are touched.
set -eu
git rev-parse --quiet --verify "$BASE^{commit}" >/dev/null ||
	{ echo "upgrade: BASE=$BASE is not a commit in this clone: git fetch origin" >&2; exit 1; }
from="$(git rev-parse --short=10 "$(git merge-base "$BASE" HEAD)")"
to="$(git rev-parse --short=10 HEAD)"
# An absolute path, since the test runs elsewhere.
report="$(cd "$(dirname "${FILE:-upgrade.md}")" && pwd)/$(basename "${FILE:-upgrade.md}")"
work="$(mktemp -d)"
export STACK=dev CLUSTER=scaleout-upgrade HTTP_PORT=8480 HTTPS_PORT=8483
unset BASE FILE MAKEFLAGS MFLAGS MAKELEVEL # a make below make announces its folder, also where a value is expected
clean() {
	(cd "$work/scaleout" && make down) || echo "upgrade: left over: kind delete cluster --name $CLUSTER" >&2
	rm -rf "$work"
}
git clone --quiet . "$work/scaleout"
cd "$work/scaleout"
git checkout --quiet --detach "$from"
trap clean EXIT
trap 'exit 130' INT TERM
echo "==> up of $from"
make up
git checkout --quiet --detach "$to"
echo "==> upgrade to $to, under load"
UPGRADE_REPORT="$report" UPGRADE_FROM="$from" UPGRADE_TO="$to" make e2e RUN='^TestUpgrade$'
echo "==> wrote $report"
