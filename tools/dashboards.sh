#!/bin/sh
# Forwards ports of this machine to the Grafana and the Prometheus of the stack STACK until Ctrl-C; `make dashboards` sources it, with
# the function pulumi of `make env`.
set -eu

fail() {
	echo "dashboards: stack $STACK $1" >&2
	exit 1
}

of_stack() { pulumi "$@" --stack "$STACK" --non-interactive; }

forward() { # Service, its port, port of this machine
	exec kubectl --context "$CONTEXT" --namespace "$namespace" port-forward "service/$1" "$3:$2" >/dev/null
}

grafana= prometheus=
outputs="$(of_stack stack output --shell)"
eval "$outputs"
[ -n "$prometheus" ] || fail "runs neither Grafana nor Prometheus; docs/monitoring.md says how to have them"

# Never the current context: names are the same in every cluster, so the wrong one would not be noticed.
if [ -z "${CONTEXT:-}" ]; then
	target="$(of_stack config get target)"
	[ "$target" = kind ] || fail "is on $target, so its settings name no kubeconfig context; CONTEXT=NAME says which is its cluster's"
	CONTEXT="$(of_stack config get kubeContext)"
fi

if [ -n "$grafana" ]; then
	echo "Grafana     http://localhost:${GRAFANA_PORT:=3000}/d/scaleout"
	forward "$grafana" 3000 "$GRAFANA_PORT" &
	trap "kill $! 2>/dev/null || true" EXIT INT TERM
fi
echo "Prometheus  http://localhost:${PROMETHEUS_PORT:=9090}/alerts"
(forward "$prometheus" 9090 "$PROMETHEUS_PORT")
