#!/bin/sh
# Writes the file $1 as a comment on the pull request $NUMBER of $GITHUB_REPOSITORY, or updates the comment that an
# earlier run wrote. The first line of the file identifies it: an HTML comment such as <!-- scaleout: review -->. Only a
# comment of the same account that begins with this line is ever changed. It needs gh and GH_TOKEN.
set -eu
IFS= read -r marker <"$1" || true
case "$marker" in
'<!-- scaleout: '*' -->') ;;
*) echo "comment: $1 does not begin with a line like <!-- scaleout: review -->" >&2; exit 1 ;;
esac
comments="repos/$GITHUB_REPOSITORY/issues/$NUMBER/comments"
# The account of GITHUB_TOKEN in GitHub Actions; another token says whose it is.
author="${COMMENT_AUTHOR:-github-actions[bot]}"
export marker author
found="$(gh api --paginate "$comments" \
	--jq '.[] | select(.user.login == env.author and (.body | startswith(env.marker))) | .id')"
found="$(printf '%s\n' "$found" | head -n 1)"
if [ -n "$found" ]; then
	gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$found" --field body=@"$1"
	echo "comment: updated"
else
	gh api --silent --method POST "$comments" --field body=@"$1"
	echo "comment: written"
fi
