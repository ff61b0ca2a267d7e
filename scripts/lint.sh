#!/usr/bin/env bash
# Runs the linters: gofmt, go vet, go mod tidy and staticcheck on the Go code, actionlint on the workflows, those in the documents
# included, and shellcheck on the scripts. It needs shellcheck, and builds the rest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { printf 'lint.sh: error: %s\n' "$1" >&2; exit 1; }
# Fails if a command prints anything.
none() {
  local what=$1 found
  shift
  found=$("$@") || die "$what: $* failed"$'\n'"$found"
  [ -z "$found" ] || die "$what:"$'\n'"$found"
}

command -v shellcheck >/dev/null || die "shellcheck is not installed"
PATH=$(scripts/tools.sh):$PATH

none "not gofmt-ed" gofmt -l .
go vet ./...
go vet -tags docker ./...
go vet -tags tools ./...
none "go.mod is not tidy" go mod tidy -diff
# The release's own module.
go vet -C scripts/release ./...
none "scripts/release/go.mod is not tidy" go mod tidy -C scripts/release -diff
(cd scripts/release && staticcheck ./...)
staticcheck ./...
staticcheck -tags docker ./...
staticcheck -tags tools ./...

# All files, not only those that git tracks, so that a new script is checked before it is committed.
mapfile -t workflows < <(find . -path ./.git -prune -o \( -path '*/workflows/*' -o -path './internal/e2e/testdata/*' \) \
  \( -name '*.yml' -o -name '*.yaml' \) -print)
[ ${#workflows[@]} -gt 0 ] || die "no workflow found"
# Two of actionlint's findings on this action are wrong: the runner reads post-if of container actions too (container-runs in
# actions/runner, action_yaml.json), and an entrypoint is a path in the image.
actionlint -shellcheck="$(command -v shellcheck)" \
  -ignore '"post-if" is not allowed in "runs" section because "hubspoke-chain" is a Docker action' \
  -ignore 'file "/hubspoke-chain-post" does not exist' "${workflows[@]}"

# The workflows in the documents. Most of them leave out "on:", which actionlint requires.
snippets=$(mktemp -d)
trap 'rm -rf "$snippets"' EXIT
for page in README.md CONTRIBUTING.md docs/*.md examples/*/README.md; do
  awk -v out="$snippets/${page//\//-}" '
    /^```yaml$/ { file = out "-" ++n ".yml"; text = ""; next }
    /^```$/ && file { if (text !~ /(^|\n)on:/) text = "on: push\n" text; printf "%s", text > file; close(file); file = "" }
    file { text = text $0 "\n" }' "$page"
done
found=("$snippets"/*.yml)
[ ${#found[@]} -ge 5 ] || die "found only ${#found[@]} workflows in the documents"
actionlint -shellcheck="$(command -v shellcheck)" "${found[@]}"

mapfile -t scripts < <(find . -path ./.git -prune -o -type f \( -name '*.sh' -o -path './.ci/*' \) -print)
shellcheck "${scripts[@]}"
