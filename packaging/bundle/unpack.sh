#!/bin/sh
# sh unpack.sh [DIR]: puts the parts beside this file together, checks them, unpacks into DIR (here by default) and
# runs the self-test. Needs sh, cat, sha256sum, tar and gzip; no network, no root.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here}
cd "$here"
echo "checking the parts"
sha256sum --quiet --check SHA256SUMS || {
  echo "A part is missing or not as it was sent: copy the ones that are named once more, then run this again." >&2
  exit 1
}
mkdir -p "$target"
cat NAME.tar.gz.* | tar --extract --gzip --directory "$target"
echo "unpacked into $target/NAME"
exec "$target/NAME/selftest" --json-into "$target/NAME-selftest.json"
