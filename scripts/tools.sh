#!/usr/bin/env bash
# Builds the Go tools that the checks use, from pinned versions, and prints their folders as a PATH:
#
#   PATH=$(scripts/tools.sh):$PATH
#
# They are kept between runs, each in a folder named after its version. They are not in go.mod, where their dependencies would
# mix with the action's.
set -euo pipefail

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
actionlint=github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
act=github.com/nektos/act@v0.2.89

tools=${XDG_CACHE_HOME:-$HOME/.cache}/hubspoke-chain/tools
path=
for tool in "$staticcheck" "$actionlint" "$act"; do
  bin=$tools/${tool##*/}
  name=${tool##*/}
  name=${name%@*}
  if [ ! -x "$bin/$name" ]; then
    printf 'building %s\n' "$tool" >&2
    GOBIN=$bin GOFLAGS='' go install "$tool" >&2
  fi
  path=$path:$bin
done
printf '%s\n' "${path#:}"
