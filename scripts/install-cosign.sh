#!/usr/bin/env bash
# Prints the path of the cosign that releases are signed with, and builds it where it is not there yet (on two cores some
# minutes, once):
#
#   cosign=$(scripts/install-cosign.sh)
#
# Built by Go from a version that Go's checksum database vouches for, so that no action and no download takes part in
# signing. The folder names the version; .ci/run keeps its tools beside it.
set -euo pipefail

cosign=github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5
bin=${XDG_CACHE_HOME:-$HOME/.cache}/hubspoke-chain/tools/${cosign##*/}
if [ ! -x "$bin/cosign" ]; then
  GOBIN=$bin GOFLAGS='' go install "$cosign" >&2 ||
    { printf 'install-cosign: error: building %s\n' "$cosign" >&2; exit 1; }
fi
printf '%s\n' "$bin/cosign"
