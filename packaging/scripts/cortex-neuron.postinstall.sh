#!/bin/sh
# After unpacking, at the first installation and at each upgrade, of deb and rpm.
set -e
systemd-sysusers cortex-neuron.conf
systemd-tmpfiles --create cortex-neuron.conf
[ -d /run/systemd/system ] || exit 0
systemctl daemon-reload
# deb: "configure" and the version before, if there was one. rpm: how many versions are installed now.
case "$1:$2" in
  configure:?*|[2-9]:*) systemctl try-restart neuron.service ;;
esac
