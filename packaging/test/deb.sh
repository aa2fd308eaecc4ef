#!/usr/bin/env bash
# packaging/test/deb.sh OLD NEW: folders that `npm run packages` filled, the second with a later version.
# Installs both packages of OLD on a bare Debian with systemd running, serves the demo model, upgrades to NEW while an
# answer is being written, lets the watchdog find a neuron that hangs, removes and purges.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/booted-root.sh"
old=$1 new=$2
work=${WORK:-$(mktemp -d)}
base=$work/base root=$work/debian
trap shut_down EXIT

step "a bare Debian: $(date --utc +%F), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
[ -x "$base/usr/bin/curl" ] || debootstrap --variant=minbase \
  --include=systemd,procps,curl,libgomp1,libstdc++6 bookworm "$base" >"$work/debootstrap.log"
rm -rf "$root"
cp -a "$base" "$root"
mkdir -p "$root/packages/old" "$root/packages/new"
cp "$old"/*.deb "$root/packages/old/"
cp "$new"/*.deb "$root/packages/new/"
boot "$root"

step "install"
inside sh -c 'dpkg --install /packages/old/*.deb' | grep -E '^(Setting|Unpacking)'
inside dpkg-query --show --showformat '${Package} ${Version} ${Installed-Size} KiB\n' 'cortex*'
inside stat --format '%A %U:%G %n' /etc/cortex /etc/cortex/cortex.env /etc/cortex/fleet/fleet.toml \
  /etc/cortex-neuron/neuron.env /var/lib/cortex /var/lib/neuron

step "the units"
units="cortex.service cortex-reconcile.service neuron.service"
inside systemd-analyze verify $units && echo "systemd-analyze verify: nothing to say"
for unit in $units; do
  inside systemd-analyze security --offline=true "/usr/lib/systemd/system/$unit" 2>/dev/null | tail -1
done

step "start, each as its own user"
inside systemctl start neuron cortex
inside systemctl show --property Id,ActiveState,Type,User,NotifyAccess neuron cortex
inside ps -eo user:8,args | grep /usr/lib/cortex | grep -v grep | cut -c1-110

step "how long the gateway takes from its start to its first answer"
for _ in 1 2 3; do
  inside systemctl stop cortex
  inside sh -c 'began=$(date +%s%N); systemctl start --no-block cortex
    until curl --silent --output /dev/null http://127.0.0.1:31313/health; do :; done
    echo "$(( ($(date +%s%N) - began) / 1000000 )) ms"'
done

step "serve the demo model"
ask | tee "$work/answer" | cut -c1-300
grep -q '"content":"' "$work/answer" || fail "no answer"
before=$(model_pid)
echo; echo "the model's process: $before"

step "upgrade while an answer is being written"
inside sh -c 'echo "# changed by its owner" >> /etc/cortex/cortex.env'
inside curl --silent --no-buffer --max-time 120 http://127.0.0.1:31313/v1/chat/completions \
  --header 'content-type: application/json' \
  --data '{"model":"cortex/demo","stream":true,"max_tokens":900,"response_format":{"type":"json_schema","json_schema":{"name":"numbers","schema":{"type":"array","items":{"type":"integer"},"minItems":400}}},"messages":[{"role":"user","content":"What is cortex?"}]}' \
  >"$work/stream" 2>/dev/null &
stream=$!
until [ "$(grep -c '^data:' "$work/stream")" -gt 3 ]; do kill -0 "$stream"; done
inside sh -c 'dpkg --install /packages/new/*.deb' | grep -E '^(Setting|Unpacking|Configuration)'
wait "$stream" || true
echo "events of the stream: $(grep -c '^data:' "$work/stream"); its last: $(grep '^data:' "$work/stream" | tail -1 | cut -c1-160)"
inside dpkg-query --show --showformat '${Package} ${Version}\n' 'cortex*'
inside tail -1 /etc/cortex/cortex.env
inside systemctl is-active neuron cortex
after=$(model_pid)
echo "the model's process: $after"
[ "$before" = "$after" ] || fail "the upgrade loaded the model anew"
ask >"$work/answer"
grep -q '"content":"' "$work/answer" || fail "no answer after the upgrade"

step "a neuron that hangs is found by the watchdog, and keeps its models"
inside mkdir -p /run/systemd/system/neuron.service.d
inside sh -c 'printf "[Service]\nWatchdogSec=4\n" > /run/systemd/system/neuron.service.d/watchdog.conf; systemctl daemon-reload; systemctl restart neuron'
inside systemctl kill --kill-whom=main --signal=STOP neuron
until [ "$(inside systemctl show --property NRestarts --value neuron)" != 0 ]; do :; done
until inside systemctl is-active --quiet neuron; do :; done
inside systemctl show --property NRestarts neuron
[ "$before" = "$(model_pid)" ] || fail "the watchdog's restart loaded the model anew"
echo "the model's process: $(model_pid)"

step "stop unloads"
inside systemctl stop neuron
echo "processes of models left: $(worker_pids | wc -w)"

step "remove: settings and state stay"
inside systemctl start neuron
inside dpkg --remove cortex cortex-neuron | grep Removing
inside systemctl is-active neuron cortex || true
inside ls -d /etc/cortex/cortex.env /var/lib/neuron
inside sh -c '! ls /usr/lib/cortex /usr/lib/cortex-neuron /usr/bin/cortex 2>/dev/null'
echo "processes left: $(inside pgrep -c -f /usr/lib/cortex || true)"

step "purge"
inside dpkg --purge cortex cortex-neuron | grep Purging
inside sh -c 'find / -xdev \( -name "*cortex*" -o -name neuron \) -not -path "/packages/*" -not -path "/proc/*" -not -path "/var/log/*"' || true
step "all of it passed"
