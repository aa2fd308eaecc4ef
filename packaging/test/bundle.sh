#!/usr/bin/env bash
# packaging/test/bundle.sh DIR: a folder that `npm run bundle` filled. Unpacks it and runs its self-test in a root that
# has a shell and little else, as a user without rights, without any network but loopback.
set -euo pipefail
bundle=$1
work=${WORK:-$(mktemp -d)}
root=$work/bare
[ -x "$root/usr/bin/tar" ] || debootstrap --variant=minbase bookworm "$root" >"$work/debootstrap.log"
rm -rf "$root/srv/bundle"
mkdir -p "$root/srv/bundle"
cp "$bundle"/* "$root/srv/bundle/"
chown -R 1234:1234 "$root/srv/bundle"

inside() {
  unshare --net --pid --fork --mount-proc="$root/proc" chroot --userspec=1234:1234 "$root" \
    /usr/bin/env -i PATH=/usr/bin:/bin HOME=/srv/bundle sh -c "$1"
}

echo "== the parts"
ls -l --block-size=M "$bundle" | awk 'NR > 1 { print $5, $9 }'
echo "== a part that is damaged is named"
first=$(ls "$root"/srv/bundle/*.tar.gz.01)
printf x | dd of="$first" bs=1 seek=1000 conv=notrunc status=none
inside 'sh /srv/bundle/unpack.sh' && { echo "FAILED: it was taken"; exit 1; }
cp "$bundle/$(basename "$first")" "$first"
chown 1234:1234 "$first"
echo "== unpack and test ($(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg))"
unshare --net --pid --fork --mount-proc="$root/proc" sh -c "
  ip link set lo up
  exec chroot --userspec=1234:1234 '$root' /usr/bin/env -i PATH=/usr/bin:/bin HOME=/srv/bundle sh /srv/bundle/unpack.sh"
echo "== the report"
head -c 600 "$root"/srv/bundle/*-selftest.json
echo
