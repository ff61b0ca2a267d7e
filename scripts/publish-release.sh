#!/usr/bin/env bash
# Pushes the image that scripts/build-release.sh has built, as it is, and prints its reference by digest:
#
#   scripts/publish-release.sh v1.2.3 OUT ghcr.io/OWNER/REPOSITORY
#
# Whoever pushes has done docker login. The same version may be pushed again: the same commit gives the same digest.
set -euo pipefail

usage='usage: publish-release.sh VERSION OUT HOST/NAME'
version=${1:?$usage} out=${2:?$usage} name=${3:?$usage}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() { printf 'publish-release: error: %s\n' "$1" >&2; exit 1; }
# What comes from another job is what that job built.
(cd "$out" && sha256sum --quiet --strict -c checksums.txt) || die "the files in $out are not those of checksums.txt"
[ "$(wc -l <"$out/digest")" -eq 1 ] || die "$out/digest is not one line"

reference=$(go run -C "$root/scripts/release" . push --layout "$(cd "$out" && pwd)/image" --to "$name:$version")
[ "$reference" = "$name@$(cat "$out/digest")" ] ||
  die "pushed $reference, and the digest that was built is $(cat "$out/digest")"
printf '%s\n' "$reference"
