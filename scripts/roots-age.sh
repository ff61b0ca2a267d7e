#!/usr/bin/env bash
# Fails if a release's CA certificates are more than six months behind the module's newest version, and prints how to
# update them. It queries the Go module proxy.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/release"
module=golang.org/x/crypto/x509roots/fallback
# Separate statements: a failure inside a substitution would not end the script.
pinned=$(go list -m -f '{{.Time.Unix}}' "$module")
newest=$(go list -m -f '{{.Time.Unix}}' "$module@latest")
behind=$(((newest - pinned) / 86400))
printf '%s is %d days behind its newest version\n' "$module" "$behind"
[ "$behind" -le 180 ] ||
  { printf 'roots-age: error: renew them: go get -C scripts/release %s@latest\n' "$module" >&2; exit 1; }
