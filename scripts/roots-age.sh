#!/usr/bin/env bash
# Fails where the certificate authorities of a release are more than half a year behind the module's newest version, and says
# how to renew them. It asks the Go module proxy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/release"
module=golang.org/x/crypto/x509roots/fallback
# In statements of their own: what fails within another one does not end the script.
pinned=$(go list -m -f '{{.Time.Unix}}' "$module")
newest=$(go list -m -f '{{.Time.Unix}}' "$module@latest")
behind=$(((newest - pinned) / 86400))
printf '%s is %d days behind its newest version\n' "$module" "$behind"
[ "$behind" -le 180 ] ||
  { printf 'roots-age: error: renew them: go get -C scripts/release %s@latest\n' "$module" >&2; exit 1; }
