#!/bin/sh
# Before the files go. At an upgrade nothing is stopped: the new version takes over.
set -e
case "$1" in
  remove|0) [ ! -d /run/systemd/system ] || systemctl disable --now cortex.service cortex-reconcile.service ;;
esac
