#!/bin/sh
# Answers like nvidia-smi, from a file of test/fixtures/nvidia-smi: `recorded-nvidia-smi.sh FILE ARGUMENT...`.
file=$1
shift
section() {
  awk -v name="## $1" '/^## /{on=($0==name);next} on' "$file"
}
header() {
  sed -n "s/^## $1 //p" "$file"
}
query=""
alone=""
for argument in "$@"; do
  case "$argument" in
    -L) section list; exit 0 ;;
    -q) section report; exit 0 ;;
    --id=*) alone=${argument#--id=} ;;
    --query-gpu=*) query=${argument#--query-gpu=} ;;
  esac
done
for field in $(header unknown); do
  case ",$query," in
    *",$field,"*) printf 'Field "%s" is not a valid field to query.\n\n' "$field"; exit 2 ;;
  esac
done
if [ -n "$alone" ]; then
  answer=$(awk -v id="$alone" '/^## /{on=0; if ($2=="alone") for (at=3; at<=NF; at++) if ($at==id) on=1; next} on' "$file")
  [ -n "$answer" ] || { echo "No devices were found"; exit 6; }
  echo "$answer"
  exit 0
fi
section stderr >&2
section query
exit "$(header exit | grep . || echo 0)"
