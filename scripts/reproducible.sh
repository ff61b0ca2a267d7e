#!/usr/bin/env bash
# Builds a release twice, from two clones in different folders, at different times, with another umask, locale and time
# zone, the second time with nothing in Go's build cache, and fails unless every file and the image's digest are the same:
#
#   scripts/reproducible.sh [VERSION]
#
# Then it builds the Dockerfile, which the tests on main use: its binary must be identical to the release's. GO_IMAGE is as
# in .ci/run.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=${1:-$(sed -nE 's/^## (1\.[0-9]+\.[0-9]+).*/v\1/p' "$root/CHANGELOG.md" | head -n 1)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A clone of the committed state. Adds the version's changelog section if it is missing.
copy() {
  git clone --quiet "$root" "$1"
  grep -qE "^## ${version#v}( |$)" "$1/CHANGELOG.md" || sed -i "s/^## Unreleased/## ${version#v}/" "$1/CHANGELOG.md"
}
version=${version:-v1.0.0}
copy "$work/first"
copy "$work/a folder/of another depth/second"
"$work/first/scripts/build-release.sh" "$version" "$work/out-first"
find "$work/a folder" -name '*.go' -exec touch -d '2001-02-03' {} +
# With the first build's cache, the second would only copy its results.
(umask 077 && GOCACHE=$work/cache LC_ALL=C TZ=Asia/Tokyo \
  "$work/a folder/of another depth/second/scripts/build-release.sh" "$version" "$work/out-second")

for out in first second; do
  (cd "$work/out-$out" && find . -type f -exec sha256sum {} + | sort -k 2) >"$work/$out.sums"
done
diff "$work/first.sums" "$work/second.sums" || { echo "reproducible: error: the two builds differ" >&2; exit 1; }
printf '%s files are the same in both builds\n' "$(wc -l <"$work/first.sums")"
printf '  first   %s\n  second  %s\n' "$(cat "$work/out-first/digest")" "$(cat "$work/out-second/digest")"

image=hubspoke-chain/reproducible:$$
trap 'rm -rf "$work"; docker image rm --force "$image" >/dev/null 2>&1 || true' EXIT
docker build --quiet -t "$image" --build-arg VERSION="$version" --build-arg COMMIT="$(git -C "$work/first" rev-parse HEAD)" \
  --build-arg GO_IMAGE="${GO_IMAGE:-$("$work/first/scripts/go-image.sh")}" "$work/first" >"$work/log" 2>&1 ||
  { cat "$work/log" >&2; exit 1; }
container=$(docker create "$image")
docker cp "$container:/hubspoke-chain" "$work/built" >/dev/null
docker rm "$container" >/dev/null
cmp "$work/built" "$work/out-first/hubspoke-chain_linux_$(go env GOARCH)" ||
  { echo "reproducible: error: the Dockerfile builds another program" >&2; exit 1; }
printf 'the Dockerfile builds the same program\n'
