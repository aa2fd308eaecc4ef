#!/bin/sh
# Settings and state stay until a purge, which only deb knows; downloaded models stay even then.
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
[ "$1" = purge ] || exit 0
rm -rf /etc/cortex /var/cache/cortex
find /var/lib/cortex -mindepth 1 -maxdepth 1 ! -name models -exec rm -rf {} + 2>/dev/null || true
rmdir /var/lib/cortex 2>/dev/null || [ ! -d /var/lib/cortex/models ] ||
  echo "models stay in /var/lib/cortex/models; rm -r /var/lib/cortex removes them"
