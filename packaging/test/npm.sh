#!/usr/bin/env bash
# packaging/test/npm.sh: packs the npm package of this checkout (built before), installs it into an empty folder
# without the engine, uses it as a gateway and as a CI runner do, and asks a neuron what it lacks. Needs the registry.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
export HOME=$work CORTEX_DATA_DIR=$work/data NO_COLOR=1

echo "== pack"
(cd "$here" && npx publint --strict && npm pack --ignore-scripts --pack-destination "$work" --loglevel error)
echo "== install into an empty folder"
mkdir "$work/fresh"
cd "$work/fresh"
npm install --no-audit --no-fund --loglevel error "$work"/cortex-*.tgz
du --summarize --human-readable node_modules
test ! -e node_modules/node-llama-cpp
cortex="$(command -v node) $work/fresh/node_modules/cortex/bin/run.js"
echo "== plan, as a CI runner"
$cortex init fleet >/dev/null
$cortex validate fleet
$cortex plan --config fleet | tail -1
echo "== serve, as a gateway"
free_port() { node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })'; }
port=$(free_port)
cat >"$work/fleet.toml" <<TOML
[fleet]
name = "home"
[gateway]
listen = "127.0.0.1:$port"
metrics_listen = "127.0.0.1:$(free_port)"
[[neurons]]
name = "local"
endpoint = "http://127.0.0.1:$(free_port)"
[[models]]
id = "cortex/demo"
source = "cortex-demo"
replicas = 0
TOML
for _ in 1 2 3; do
  began=$(date +%s%N)
  $cortex serve --config "$work/fleet.toml" --log-level error >/dev/null &
  until curl --silent --output /dev/null "http://127.0.0.1:$port/health"; do kill -0 %%; done
  echo "answers $((($(date +%s%N) - began) / 1000000)) ms after its start (load $(cut -d' ' -f1 /proc/loadavg))"
  kill %% && wait %% 2>/dev/null || true
done
echo "== neuron, without an engine"
timeout 5 $cortex neuron --port 0 2>&1 || true
echo "== all of it passed"
