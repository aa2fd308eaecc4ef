#!/bin/sh
# Installs cortex for the scripts beside this one, unless the runner has it. Plans and applies need no inference engine:
# its optional packages (hundreds of megabytes) stay out, and no package runs a script of its own.
set -eu
if command -v cortex; then exit 0; fi
if [ -z "${CORTEX_PACKAGE:-}" ]; then
  echo "There is no cortex on this runner: write the URL of its package into CORTEX_PACKAGE in @ci-file@." >&2
  exit 1
fi
# Not --global: there, npm leaves nothing out.
npm install --prefix "$(dirname "$0")" --no-save --omit=optional --ignore-scripts --no-audit --no-fund "$CORTEX_PACKAGE"
