#!/bin/sh
# Carries the merged fleet out, and writes what it saw to snapshot.json, for the plans of pull requests.
# NEURON_TOKEN is the neurons' token, where they ask for one.
set -eu
export NO_COLOR=1
PATH="$(cd "$(dirname "$0")" && pwd)/node_modules/.bin:$PATH"
if [ -n "${NEURON_TOKEN:-}" ]; then
  CORTEX_NEURON_TOKEN_FILE=$(mktemp)
  export CORTEX_NEURON_TOKEN_FILE
  trap 'rm -f "$CORTEX_NEURON_TOKEN_FILE"' EXIT
  printf %s "$NEURON_TOKEN" > "$CORTEX_NEURON_TOKEN_FILE"
  unset NEURON_TOKEN
fi
cortex validate
status=0
cortex apply --yes || status=$?
# An apply that stopped half-way has changed the fleet, too.
cortex snapshot --out snapshot.json || echo "There is no snapshot: plans of pull requests will be made on the last one." >&2
exit "$status"
