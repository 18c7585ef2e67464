#!/bin/sh
# Checks that VERSION can be released from this commit, and writes the notes, its section of CHANGELOG.md, to FILE
# (release.md). It changes nothing else: the workflow release creates the tag. With REPOSITORY it also builds and pushes
# the images of the app and the balancer as REPOSITORY/app:VERSION and REPOSITORY/balancer:VERSION, and prints their
# references by digest, one in a line, to FILE.images.
set -eu
fail() {
	echo "release: $*" >&2
	exit 1
}
notes="${FILE:-release.md}"
echo "${VERSION:-}" | grep -Eq '^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$' ||
	fail "VERSION=${VERSION:-} is no version such as v0.1.0 (https://semver.org, https://go.dev/doc/modules/version-numbers)"
! git rev-parse --quiet --verify "refs/tags/$VERSION" >/dev/null || fail "there is a tag $VERSION already"
[ -z "$(git status --porcelain --untracked-files=no)" ] || fail "there are changes that are not committed"
# The lines between "## VERSION", which may be followed by a date, and the next heading of this level.
awk -v version="$VERSION" '
	/^## / { inside = ($2 == version); next }
	inside { print }
' CHANGELOG.md >"$notes"
grep -q '[^[:space:]]' "$notes" || rm -f "$notes"
[ -e "$notes" ] ||
	fail "CHANGELOG.md has no section \"## $VERSION\": rename \"## Unreleased\", and begin a new one above it"
echo "==> notes in $notes"
[ -n "${REPOSITORY:-}" ] || exit 0
: >"$notes.images"
nginx="$(awk '$1 == "nginxImage:" { found = 1 } found && $1 == "default:" { print $2; exit }' Pulumi.yaml)"
[ -n "$nginx" ] || fail "Pulumi.yaml has no default of nginxImage"
for image in app balancer; do
	reference="$REPOSITORY/$image:$VERSION"
	echo "==> $reference"
	docker build --quiet --tag "$reference" --build-arg VERSION="$VERSION" --build-arg NGINX_IMAGE="$nginx" "$image"
	docker push --quiet "$reference"
	docker image inspect --format '{{range .RepoDigests}}{{println .}}{{end}}' "$reference" |
		grep "^$REPOSITORY/$image@" | head -n 1 >>"$notes.images"
done
cat "$notes.images"
