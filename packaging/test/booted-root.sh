# Sourced by the tests here: a root of its own with systemd running in it, without any network but loopback.
# Needs root and systemd-nspawn (Debian's systemd-container).

leader=

boot() { # ROOT
  systemd-nspawn --quiet --directory "$1" --boot --private-network --register=no --keep-unit >"$1.console" 2>&1 &
  local nspawn=$!
  for _ in $(seq 100); do
    leader=$(pgrep -P "$nspawn" || true)
    if [ -n "$leader" ] && inside systemctl is-system-running 2>/dev/null | grep -Eq 'running|degraded'; then return; fi
    read -rt 0.2 <> <(:) || true
  done
  echo "the root did not start; see $1.console" >&2
  return 1
}

inside() {
  nsenter --target "$leader" --mount --uts --ipc --net --pid -- \
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

shut_down() {
  [ -z "$leader" ] || kill -s RTMIN+4 "$leader" 2>/dev/null || true
  wait || true
}

step() { printf '\n== %s\n' "$*"; }

fail() { echo "FAILED: $*" >&2; exit 1; }

# One question to the gateway, by what clients call the demo model.
ask() {
  inside curl --silent --show-error --max-time 120 http://127.0.0.1:31313/v1/chat/completions \
    --header 'content-type: application/json' \
    --data '{"model":"cortex/demo","messages":[{"role":"user","content":"What is cortex?"}],"max_tokens":24,"temperature":0}'
}

worker_pids() { inside pgrep -f 'worker/io/worker-main' | sort | tr '\n' ' '; }

# The model's own process; a second one may stand ready for the next load.
model_pid() {
  inside curl --silent http://127.0.0.1:13131/models | grep -o '"pid":[0-9]*' | head -1 | cut -d: -f2
}
