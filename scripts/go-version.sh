#!/usr/bin/env bash
# Prints the version of Go that the Dockerfile builds with, 1.2.3: the one place that names it.
set -euo pipefail
dockerfile=$(dirname "${BASH_SOURCE[0]}")/../Dockerfile
version=$(sed -nE 's,^ARG GO_IMAGE=([^ ]*/)?golang:([0-9]+(\.[0-9]+)+)(-[^ ]*)?$,\2,p' "$dockerfile")
[[ $version =~ ^[0-9.]+$ ]] || { printf 'go-version: error: no one line of %s is ARG GO_IMAGE=golang:VERSION\n' "$dockerfile" >&2; exit 1; }
printf '%s\n' "$version"
