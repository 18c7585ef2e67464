#!/bin/sh
# Keeps one open issue of $GITHUB_REPOSITORY with the title $1: for the outcome "failure" it opens the issue with the text
# of the file $2, or updates it; for "success" it closes the issue. It needs gh and GH_TOKEN. Only an issue of the same
# account with exactly this title is changed.
set -eu
title="$1" file="$2" outcome="$3"
author="${ISSUE_AUTHOR:-app/github-actions}"
export title
found="$(gh issue list --repo "$GITHUB_REPOSITORY" --author "$author" --state open --limit 200 --json number,title \
	--jq '.[] | select(.title == env.title) | .number')"
found="$(printf '%s\n' "$found" | head -n 1)"
body="$(mktemp)"
trap 'rm -f "$body"' EXIT
# GitHub allows 65,536 characters. Four backticks, as the text may have three.
{ echo '````'; head -c 60000 "$file"; echo; echo '````'; } >"$body"
case "$outcome $found" in
"success ") echo "issue: none, and nothing to report" ;;
success*) gh issue close "$found" --repo "$GITHUB_REPOSITORY" --comment "No longer so." ;;
"failure ") gh issue create --repo "$GITHUB_REPOSITORY" --title "$title" --body-file "$body" ;;
failure*) gh issue edit "$found" --repo "$GITHUB_REPOSITORY" --body-file "$body" ;;
*) echo "issue: the outcome $outcome is neither success nor failure" >&2; exit 1 ;;
esac
