#!/bin/sh
# Forwards ports of this machine to the Grafana and the Prometheus of the stack STACK until Ctrl-C. `make dashboards`
# runs it with the variables of `make env`.
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
[ -n "$prometheus" ] || fail "runs neither Grafana nor Prometheus; see docs/monitoring.md for the settings"

# Never the current context: names are the same in every cluster, so a wrong one would go unnoticed.
if [ -z "${CONTEXT:-}" ]; then
	target="$(of_stack config get target)"
	[ "$target" = kind ] ||
		fail "is on $target, so its settings have no kubeconfig context; set that of its cluster with CONTEXT=NAME"
	CONTEXT="$(of_stack config get kubeContext)"
fi

if [ -n "$grafana" ]; then
	echo "Grafana     http://localhost:${GRAFANA_PORT:=3000}/d/scaleout"
	forward "$grafana" 3000 "$GRAFANA_PORT" &
	trap "kill $! 2>/dev/null || true" EXIT INT TERM
fi
echo "Prometheus  http://localhost:${PROMETHEUS_PORT:=9090}/alerts"
(forward "$prometheus" 9090 "$PROMETHEUS_PORT")
