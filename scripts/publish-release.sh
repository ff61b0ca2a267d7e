#!/usr/bin/env bash
# Pushes the image that scripts/build-release.sh built, unchanged, and prints its reference by digest:
#
#   scripts/publish-release.sh v1.2.3 OUT ghcr.io/OWNER/REPOSITORY
#
# Run docker login first. Pushing the same version again is safe: the same commit produces the same digest.
set -euo pipefail

usage='usage: publish-release.sh VERSION OUT HOST/NAME'
version=${1:?$usage} out=${2:?$usage} name=${3:?$usage}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() { printf 'publish-release: error: %s\n' "$1" >&2; exit 1; }
# Verify that the files from the build job are unchanged.
(cd "$out" && sha256sum --quiet --strict -c checksums.txt) || die "the files in $out are not those of checksums.txt"
[ "$(wc -l <"$out/digest")" -eq 1 ] || die "$out/digest is not one line"

reference=$(go run -C "$root/scripts/release" . push --layout "$(cd "$out" && pwd)/image" --to "$name:$version")
[ "$reference" = "$name@$(cat "$out/digest")" ] ||
  die "pushed $reference, and the digest that was built is $(cat "$out/digest")"
printf '%s\n' "$reference"
