#!/usr/bin/env bash
# packaging/test/readme.sh: follows README.md literally on a fresh machine: a bare Debian with git, curl and
# Debian's npm, a clone of this commit, then the README's blocks word for word ("Two commands" without the tests,
# "Use it" without what needs a person). Needs root, debootstrap, the npm registry and Debian's mirror.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
work=${WORK:-$(mktemp -d)}
root=$work/fresh
step() { printf '\n== %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

# A machine of its own. Only the installation has this machine's network, for the registries.
alone=cortex-readme
inside() {
  ${offline:+ip netns exec "$alone"} unshare --pid --fork --kill-child --mount-proc="$root/proc" chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/root \
    TERM=dumb NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt npm_config_cafile=/etc/ssl/certs/ca-certificates.crt sh -c "$1"
}
# The lines in the fences below a heading of README.md.
block() { awk -v heading="## $1" '$0 == heading { on = 1; next } /^## / { on = 0 } on && /^```/ { inside = !inside; next } on && inside' "$here/README.md"; }

step "a fresh machine: $(date --utc +%F), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
if [ ! -x "$root/usr/bin/npm" ]; then
  debootstrap --variant=minbase --include=git,curl,ca-certificates,npm bookworm "$root" >"$work/debootstrap.log"
fi
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/ca-certificates.crt"
rm -rf "$root/root" && mkdir -m 700 "$root/root"
git clone --quiet --bare "$here" "$root/root/cortex.git"
inside 'node --version; npm --version; git clone --quiet /root/cortex.git /root/cortex'

step "npm ci && npm start"
start=$(block "Two commands" | grep 'npm start' | sed 's/ *#.*//')
install=$(block "Two commands" | grep '^npx ') # Debian 12 has Node 18
[ "${start%% && *}" = "npm ci" ] || fail "the README says $start"
began=$(date +%s)
echo "\$ $install"
inside "cd /root/cortex && $install" 2>&1 | tail -2
ip netns add "$alone"
trap 'kill %1 2>/dev/null || true; wait 2>/dev/null || true; ip netns delete "$alone"' EXIT
ip -netns "$alone" link set lo up
offline=yes
echo "\$ ${start#* && }"
inside "cd /root/cortex && ${start#* && }" >"$work/start.log" 2>&1 &
until grep -q 'Ctrl-C stops' "$work/start.log"; do kill -0 %1 || { cat "$work/start.log"; fail "npm start ended"; }; done
echo "stays up $(($(date +%s) - began)) s after the first command"
grep -v '^npm WARN' "$work/start.log"

step "Use it"
block "Use it" | sed -e ':a' -e '/\\$/N; s/\\\n//; ta' | sed 's/  *# .*//' | grep -v '^$' >"$work/lines"
while IFS= read -r line <&3; do
  printf '\n$ %s\n' "$line"
  case $line in
  "open "*) line="curl -sf ${line#open } | head -c 200" ;;                    # no browser in here
  *"cortex chat") line="echo 'What is cortex?' | $line" ;;
  *"cortex top" | *--watch) line="timeout --signal=INT 5 $line || [ \$? = 124 ]" ;; # live until it is stopped
  esac
  inside "cd /root/cortex && $line" </dev/null >"$work/out" 2>&1 || { cat "$work/out"; fail "$line"; }
  grep -v '^npm WARN' "$work/out" | head -40 | cut -c1-200
done 3<"$work/lines"

step "Ctrl-C stops all of it"
for up in $(pgrep -f 'bin/run.js up$'); do
  [ "$(readlink "/proc/$up/root")" != "$(realpath "$root")" ] || kill -INT "$up"
done
wait %1 || true
inside 'curl --silent --max-time 2 http://127.0.0.1:31313/health' && fail "the gateway still answers"
step "all of it passed"
