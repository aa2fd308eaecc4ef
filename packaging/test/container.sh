#!/usr/bin/env bash
# packaging/test/container.sh DIR: a folder that `npm run packages` filled.
# Builds both images of packaging/Containerfile with buildah, starts what they start as the user they name, asks the demo
# model, and ends them. Isolated by chroot alone, so that it also runs where a container may not have cgroups of its own.
# Needs root, buildah, debootstrap (in the place of the base image, which may not be at hand), and Debian's mirror.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
packages=$(cd "$1" && pwd)
work=${WORK:-$(mktemp -d)}
base=docker.io/library/debian:bookworm-slim
step() { printf '\n== %s\n' "$*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }
stop() {
  kill $(jobs -p) 2>/dev/null || true
  buildah rm cortex-test-gateway cortex-test-neuron >/dev/null 2>&1 || true
}
of() { buildah inspect --type image --format "{{$2}}" "cortex-test-$1"; }

if [ "${2-}" != in-its-own-network ]; then
  trap stop EXIT
  stop
  step "$(buildah --version), $(date --utc +%F), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg)"
  if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    [ -d "$work/slim" ] || debootstrap --variant=minbase bookworm "$work/slim" >"$work/debootstrap.log"
    blank=$(buildah from scratch)
    buildah add --quiet "$blank" "$work/slim" / >/dev/null
    buildah config --cmd bash "$blank"
    buildah commit --quiet --rm "$blank" "$base" >/dev/null
    echo "the base is a bare Debian made by debootstrap"
  fi
  context=$(mktemp -d)
  mkdir -p "$context/packages"
  cp "$packages"/*.deb "$context/packages/"

  for target in gateway neuron; do
    step "build the $target"
    buildah build --isolation chroot --quiet --file "$here/packaging/Containerfile" --target "$target" \
      --tag "cortex-test-$target" "$context" >/dev/null
    echo "user $(of $target .OCIv1.Config.User), entry $(of $target .OCIv1.Config.Entrypoint), command $(of $target .OCIv1.Config.Cmd)"
    buildah from --quiet --name "cortex-test-$target" "cortex-test-$target" >/dev/null
    echo "$(($(du --summarize --bytes "$(buildah mount "cortex-test-$target")" | cut -f1) / 1000000)) MB"
  done
  rm -rf "$context"
  WORK=$work unshare --net "$0" "$1" in-its-own-network # nothing that listens here is in its way
  exit
fi

# What the image starts: its entry point with its command.
start() {
  local words
  words="$(of "$1" .OCIv1.Config.Entrypoint) $(of "$1" .OCIv1.Config.Cmd)"
  buildah run --isolation chroot "cortex-test-$1" -- $(tr -d '[]' <<<"$words") >"$work/$1.log" 2>&1 &
}
until_it_answers() { until curl --silent --max-time 5 --output /dev/null "$2"; do kill -0 %"$1" || { cat "$work"/*.log; fail "it ended"; }; done; }

step "start both, without a network, and ask the demo model"
ip link set lo up
start neuron
start gateway
until_it_answers 1 http://127.0.0.1:13131/health
until_it_answers 2 http://127.0.0.1:31313/health
ps -eo user:12,args | grep -E '/usr/lib/cortex(-neuron)?/bin/node' | grep -v -e grep -e buildah | cut -c1-110
answer=$(curl --silent --show-error --max-time 120 http://127.0.0.1:31313/v1/chat/completions --header 'content-type: application/json' \
  --data '{"model":"cortex/demo","messages":[{"role":"user","content":"What is cortex?"}],"max_tokens":24,"temperature":0}')
echo "$answer" | cut -c1-300
case $answer in *'"content":"'*) ;; *) cat "$work"/*.log; fail "no answer" ;; esac

step "they end when they are asked to"
pkill -TERM -f '/usr/lib/cortex/bin/node' && wait %2 && echo "the gateway ended with 0"
pkill -TERM -f '/usr/lib/cortex-neuron/bin/node .* neuron' && wait %1 && echo "the neuron ended with 0"
step "all of it passed"
