#!/usr/bin/env bash
# Verifies a release: who signed the image and the checksums, and that the files are those of the checksums.
#
#   scripts/verify-release.sh HOST/NAME@sha256:... DIR
#
# DIR holds checksums.txt, checksums.txt.sigstore.json, whichever of the release's files were downloaded, and nothing else
# that is called hubspoke-chain. The signer must be release.yml on main of REPOSITORY, by default org/hubspoke-chain.
# COSIGN_PUBLIC_KEY names the public key of a rehearsal instead.
set -euo pipefail

usage='usage: verify-release.sh HOST/NAME@sha256:DIGEST DIR'
die() { printf 'verify-release: error: %s\n' "$1" >&2; exit 1; }
[ $# -eq 2 ] || die "$usage"
reference=$1 directory=$2
[[ $reference =~ @sha256:[0-9a-f]{64}$ ]] || die "\"$reference\" is not HOST/NAME@sha256: and 64 hexadecimal digits: a tag may name another image by now"
for file in checksums.txt checksums.txt.sigstore.json; do
  [ -f "$directory/$file" ] || die "there is no $file in \"$directory\""
done
cosign=$("$(dirname "${BASH_SOURCE[0]}")/install-cosign.sh")

signer=(
  --certificate-identity "https://github.com/${REPOSITORY:-org/hubspoke-chain}/.github/workflows/release.yml@refs/heads/main"
  --certificate-oidc-issuer https://token.actions.githubusercontent.com
)
roots=()
if [ -n "${COSIGN_PUBLIC_KEY-}" ]; then
  signer=(--key "$COSIGN_PUBLIC_KEY" --insecure-ignore-tlog)
  # A key needs no trusted root. Without this, cosign would download the public one.
  root=$(mktemp)
  trap 'rm -f "$root"' EXIT
  printf '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}' >"$root"
  roots=(--trusted-root "$root")
fi
"$cosign" verify "${signer[@]}" "$reference" >/dev/null
"$cosign" verify-blob "${signer[@]}" "${roots[@]}" --new-bundle-format \
  --bundle "$directory/checksums.txt.sigstore.json" "$directory/checksums.txt"
# sha256sum does not report files missing from the list.
for file in "$directory"/hubspoke-chain*; do
  [ ! -e "$file" ] || name=${file##*/} awk '$2 == ENVIRON["name"] { found = 1 } END { exit !found }' "$directory/checksums.txt" ||
    die "$file is not in checksums.txt"
done
(cd "$directory" && sha256sum --quiet --strict --ignore-missing -c checksums.txt)
printf 'verified: %s and the files in %s\n' "$reference" "$directory"
