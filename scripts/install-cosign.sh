#!/usr/bin/env bash
# Prints the path of the cosign binary that signs releases. Builds it on first use, which takes a few minutes on two
# cores:
#
#   cosign=$(scripts/install-cosign.sh)
#
# Go builds it from source and verifies it against Go's checksum database, so that signing depends on no action and no
# binary download. The folder name contains the version; .ci/run keeps its tools next to it.
set -euo pipefail

cosign=github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5
bin=${XDG_CACHE_HOME:-$HOME/.cache}/hubspoke-chain/tools/${cosign##*/}
if [ ! -x "$bin/cosign" ]; then
  GOBIN=$bin GOFLAGS='' go install "$cosign" >&2 ||
    { printf 'install-cosign: error: building %s\n' "$cosign" >&2; exit 1; }
fi
printf '%s\n' "$bin/cosign"
