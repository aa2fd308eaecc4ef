#!/usr/bin/env bash
# packaging/test/rpm.sh OLD NEW: as deb.sh, with the rpm packages, by rpm itself. The root is a Debian with rpm in it,
# so that the names of what they need are not looked up (--nodeps); scripts, files, users and units are as anywhere.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/booted-root.sh"
old=$1 new=$2
work=${WORK:-$(mktemp -d)}
base=$work/rpmbase root=$work/rpmroot
trap shut_down EXIT

step "a root with rpm: $(date --utc +%F), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
[ -x "$base/usr/bin/rpm" ] || debootstrap --variant=minbase \
  --include=systemd,procps,curl,libgomp1,libstdc++6,rpm bookworm "$base" >"$work/debootstrap.log"
rm -rf "$root"
cp -a "$base" "$root"
mkdir -p "$root/packages/old" "$root/packages/new"
cp "$old"/*.rpm "$root/packages/old/"
cp "$new"/*.rpm "$root/packages/new/"
boot "$root"

step "what they ask for"
inside sh -c 'rpm --query --requires --package /packages/old/cortex-neuron-*.rpm; rpm --query --provides --package /packages/old/cortex-neuron-*.rpm'

step "install"
inside sh -c 'rpm --install --nodeps /packages/old/*.rpm'
inside rpm --query cortex cortex-neuron
inside stat --format '%A %U:%G %n' /etc/cortex /etc/cortex/cortex.env /etc/cortex/fleet/fleet.toml /etc/cortex-neuron/neuron.env
inside systemctl start neuron cortex
inside systemctl is-active neuron cortex
ask >"$work/answer"
grep -q '"content":"' "$work/answer" || fail "no answer"
before=$(model_pid)

step "upgrade"
inside sh -c 'echo "# changed by its owner" >> /etc/cortex/cortex.env'
inside sh -c 'rpm --upgrade --nodeps /packages/new/*.rpm'
inside rpm --query cortex cortex-neuron
inside tail -1 /etc/cortex/cortex.env
inside systemctl is-active neuron cortex
[ "$before" = "$(model_pid)" ] || fail "the upgrade loaded the model anew"
echo "the model's process before and after: $before"
ask >"$work/answer"
grep -q '"content":"' "$work/answer" || fail "no answer after the upgrade"

step "erase: what its owner changed stays, and the state"
inside rpm --erase cortex cortex-neuron
inside systemctl is-active neuron cortex || true
inside ls /etc/cortex /var/lib/neuron
echo "processes left: $(inside pgrep -c -f /usr/lib/cortex || true)"
step "all of it passed"
