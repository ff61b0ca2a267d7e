#!/usr/bin/env bash
# Signs a release: the image, by digest, and the checksums of the programs.
#
#   scripts/sign-release.sh HOST/NAME@sha256:... OUT     writes OUT/checksums.txt.sigstore.json
#
# Signs keyless with the job's identity, which is recorded in Sigstore's public log. COSIGN_KEY names a private key to use
# instead, without any external service: it is for the rehearsal.
set -euo pipefail

usage='usage: sign-release.sh HOST/NAME@DIGEST OUT'
reference=${1:?$usage} out=${2:?$usage}
cosign=$("$(dirname "${BASH_SOURCE[0]}")/install-cosign.sh")
# Require a digest: a tag could refer to another image by now.
[[ $reference =~ @sha256:[0-9a-f]{64}$ ]] || { printf 'sign-release: error: %s is not a reference by digest\n' "$reference" >&2; exit 1; }

how=(--yes)
[ -z "${COSIGN_KEY-}" ] || how+=(--key "$COSIGN_KEY" --tlog-upload=false)
"$cosign" sign "${how[@]}" "$reference"
"$cosign" sign-blob "${how[@]}" --new-bundle-format --bundle "$out/checksums.txt.sigstore.json" "$out/checksums.txt" >/dev/null
