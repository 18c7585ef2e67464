#!/bin/sh
# Shows what the working tree changes in the golden files, which hold what each stack would deploy, against the commit
# BASE. It only reads, so it gives the same result in a hook, in a shallow clone and beside other worktrees; without
# optional locks git does not even refresh the index.
set -eu
export GIT_OPTIONAL_LOCKS=0
cd "$(git rev-parse --show-toplevel)"

# In two steps, since a revision such as :/fix extends to the end of the text.
if ! base="$(git rev-parse --quiet --verify --end-of-options "$BASE")" ||
	! base="$(git rev-parse --quiet --verify "$base^{commit}")"; then
	shallow=
	[ "$(git rev-parse --is-shallow-repository)" = false ] || shallow=' --unshallow'
	echo "diff: BASE=$BASE is not a commit in this clone: git fetch$shallow origin" >&2
	exit 1
fi
set -- testdata/golden cluster/testdata/golden
for folder; do
	git cat-file -e "$base:$folder" 2>/dev/null ||
		echo "diff: $BASE has no golden files in $folder, so all of them are shown as new" >&2
done
git --no-pager diff --no-ext-diff --no-textconv --stat --patch "$base" -- "$@"
# Git compares only files that it tracks; `make golden` may have written others.
git ls-files -z --others --exclude-standard -- "$@" |
	xargs -0 -r -n 1 git --no-pager diff --no-ext-diff --no-textconv --no-index -- /dev/null || true
