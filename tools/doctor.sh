#!/bin/sh
# Lists what this machine has and lacks. Without an argument: everything, with the make targets that need it. With the
# name of a target: only what is missing for it; it fails if the target cannot run without that.
set -u
target="${1:-}" missing=0
builds="preview preview-cluster render test test-all golden golden-check docs bench bench-request fuzz lint contract"
builds="$builds up down env-up env-down env-expire deploy plan drift evidence sbom sign policy policy-cluster review preflight upgrade promote rollback status logs env load dashboards e2e e2e-prod"

# row TARGETS NEED CHECK INSTALL prints one line if TARGETS contains the target, or if there is none. CHECK is a shell
# command that prints a version. A TARGET followed by ? runs without it, and skips tests.
row() {
	optional='' targets="$(printf '%s' "$1" | tr -d '?')"
	[ "$1" != "$builds" ] || targets='everything that compiles'
	case " $1 " in
	*" $target? "*) optional=1 ;;
	*" $target "*) ;;
	*) [ -z "$target" ] || return 0 ;;
	esac
	if version="$(eval "$3" 2>/dev/null)"; then
		[ -n "$target" ] || printf 'ok       %-12s %-34s for %s\n' "$2" "$(printf '%.34s' "$version" | head -n 1)" "$targets"
		return 0
	fi
	if [ -n "$optional" ]; then
		printf 'skipped  tests that need %s: %s\n' "$2" "$4"
		return 0
	fi
	printf 'missing  %-12s for %s: %s\n' "$2" "$targets" "$4"
	missing=1
}

go_version="$(sed -n 's/^go //p' go.mod)"
# Go fetches the exact version by itself, from 1.21 on.
row "$builds" "Go" "go version | sed 's/go version go//; s/ .*//' | grep -E '^1\.(2[1-9]|[3-9])'" \
	"https://go.dev/dl ($go_version; from 1.21 on Go fetches that by itself)"
row "diff review upgrade lint test? test-all" "git" "git --version" "apt-get install git"
row "up down env-up env-down env-expire upgrade contract e2e bench-request" "Docker" "docker version --format '{{.Server.Version}}'" \
	"a daemon that this user may use: https://docs.docker.com/engine/install, \`sudo systemctl start docker\`, group docker, or DOCKER_HOST"
row "load dashboards e2e e2e-prod" "Pulumi CLI" "pulumi version || .local/bin/pulumi version" \
	"https://www.pulumi.com/docs/install (make up, down, deploy, drift, promote and rollback install it into .local)"
row "dashboards preflight e2e" "kubectl" "kubectl version --client" "https://kubernetes.io/docs/tasks/tools"
row "test? test-all" "redis-server" "redis-server --version" "apt-get install redis-server, brew install redis"
row "test? test-all" "nginx" "nginx -v 2>&1" "apt-get install nginx-light, brew install nginx"
row "test-all" "C compiler" "cc --version" "apt-get install gcc libc6-dev, xcode-select --install (the race detector needs it)"
row "test-all" "Chromium" "chromium --version || chromium-browser --version || google-chrome --version" \
	"apt-get install chromium, brew install chromium"
row "e2e" "strace" "strace -V" "apt-get install strace (one test is skipped without it)"
exit "$missing"
