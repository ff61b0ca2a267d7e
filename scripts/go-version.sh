#!/usr/bin/env bash
# Prints the Go version that the Dockerfile builds with, as 1.2.3. The Dockerfile is the only place that sets it.
set -euo pipefail
dockerfile=$(dirname "${BASH_SOURCE[0]}")/../Dockerfile
version=$(sed -nE 's,^ARG GO_IMAGE=([^ ]*/)?golang:([0-9]+(\.[0-9]+)+)(-[^ ]*)?$,\2,p' "$dockerfile")
[[ $version =~ ^[0-9.]+$ ]] || { printf 'go-version: error: no one line of %s is ARG GO_IMAGE=golang:VERSION\n' "$dockerfile" >&2; exit 1; }
printf '%s\n' "$version"
