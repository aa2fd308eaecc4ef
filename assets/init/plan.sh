#!/bin/sh
# Checks the fleet files of a pull request and writes its plan to plan.md: sh .cortex/ci/plan.sh BASE
# Exits 0 whether the plan changes something or not; 1 when the files have errors or there is no plan.
set -eu
export NO_COLOR=1
PATH="$(cd "$(dirname "$0")" && pwd)/node_modules/.bin:$PATH"
base=$1
fleet=${CORTEX_CONFIG:-.}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
rm -f plan.md

if ! cortex validate > "$scratch/findings" 2>&1; then
  cat "$scratch/findings"
  if [ -n "${GITHUB_ACTIONS:-}" ]; then cortex validate --format github || true; fi
  {
    printf '### cortex plan: none\n\n`cortex validate` says:\n\n````text\n'
    cat "$scratch/findings"
    printf '````\n'
  } > plan.md
  exit 1
fi
# Warnings pass, and are shown at their lines.
if [ -n "${GITHUB_ACTIONS:-}" ]; then cortex validate --format github; else cat "$scratch/findings"; fi

# What the fleet is now: a file of this job, else what the last apply saw, else what the base has committed. None of
# them is the pull request's own to change. Without any, the neurons are asked.
name=$(cortex validate --json | node -p 'JSON.parse(fs.readFileSync(0, "utf8")).fleet')
if [ -s "${CORTEX_SNAPSHOT:-}" ]; then
  set -- --against "$CORTEX_SNAPSHOT"
elif git show "origin/cortex-snapshot-$name:snapshot.json" > "$scratch/snapshot.json" 2> /dev/null ||
  git -C "$fleet" show "$base:./.cortex/snapshot.json" > "$scratch/snapshot.json" 2> /dev/null; then
  set -- --against "$scratch/snapshot.json"
else
  set --
fi
# A base that cannot be read has nothing to compare with, and the branch that mends it needs a plan all the same.
if cortex validate --ref "$base" > /dev/null 2>&1; then set -- "$@" --base "$base"; fi
cortex plan "$@" --markdown > plan.md
