#!/usr/bin/env bash
# Builds a release twice, from two clones in different folders, at different times, with another umask, locale and time
# zone, and fails unless every file and the image's digest are the same:
#
#   scripts/reproducible.sh [VERSION]
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=${1:-$(sed -nE 's/^## (1\.[0-9]+\.[0-9]+).*/v\1/p' "$root/CHANGELOG.md" | head -n 1)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A clone of what is committed, with the version's section in its changelog if it has none yet.
copy() {
  git clone --quiet "$root" "$1"
  grep -q "^## ${version#v}" "$1/CHANGELOG.md" || sed -i "s/^## Unreleased/## ${version#v}/" "$1/CHANGELOG.md"
}
version=${version:-v1.0.0}
copy "$work/first"
copy "$work/a folder/of another depth/second"
"$work/first/scripts/build-release.sh" "$version" "$work/out-first"
find "$work/a folder" -name '*.go' -exec touch -d '2001-02-03' {} +
(umask 077 && LC_ALL=C TZ=Asia/Tokyo HOME=$HOME "$work/a folder/of another depth/second/scripts/build-release.sh" "$version" "$work/out-second")

for out in first second; do
  (cd "$work/out-$out" && find . -type f -exec sha256sum {} + | sort -k 2) >"$work/$out.sums"
done
diff "$work/first.sums" "$work/second.sums" || { echo "reproducible: error: the two builds differ" >&2; exit 1; }
printf '%s files are the same in both builds\n' "$(wc -l <"$work/first.sums")"
printf '  first   %s\n  second  %s\n' "$(cat "$work/out-first/digest")" "$(cat "$work/out-second/digest")"
