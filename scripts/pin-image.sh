#!/usr/bin/env bash
# Changes an action.yml to run a published image instead of building one:
#
#   scripts/pin-image.sh action.yml ghcr.io/org/hubspoke-chain@sha256:...
set -euo pipefail
file=${1:?usage: pin-image.sh ACTION.YML IMAGE@sha256:DIGEST} image=${2:?usage: pin-image.sh ACTION.YML IMAGE@sha256:DIGEST}
[[ $image =~ ^[a-z0-9./:_-]+@sha256:[0-9a-f]{64}$ ]] || { echo "pin-image: error: \"$image\" is not IMAGE@sha256:DIGEST" >&2; exit 1; }
[ "$(grep -c '^  image: ' "$file")" = 1 ] || { echo "pin-image: error: $file does not have one image" >&2; exit 1; }
sed -i "s#^  image: .*#  image: docker://$image#" "$file"
