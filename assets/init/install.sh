#!/bin/sh
# Puts `cortex` on the PATH of a CI job, unless it is there. Plans and applies need no inference engine: its optional
# packages stay out, and no package runs a script of its own.
set -eu
if command -v cortex; then exit 0; fi
if [ -z "${CORTEX_PACKAGE:-}" ]; then
  echo "There is no cortex on this runner: write the URL of its package into CORTEX_PACKAGE in @ci-file@." >&2
  exit 1
fi
npm install --global --omit=optional --ignore-scripts --no-audit --no-fund "$CORTEX_PACKAGE"
