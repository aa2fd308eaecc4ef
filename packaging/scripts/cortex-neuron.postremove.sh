#!/bin/sh
# Settings and state stay until a purge, which only deb knows; downloaded models stay even then.
set -e
[ ! -d /run/systemd/system ] || systemctl daemon-reload
[ "$1" = purge ] || exit 0
rm -rf /etc/cortex-neuron /var/cache/neuron
find /var/lib/neuron -mindepth 1 -maxdepth 1 ! -name models -exec rm -rf {} + 2>/dev/null || true
rmdir /var/lib/neuron 2>/dev/null || [ ! -d /var/lib/neuron/models ] ||
  echo "models stay in /var/lib/neuron/models; rm -r /var/lib/neuron removes them"
