#!/usr/bin/env bash
# Makes a stand-in for the Dockerfile's Go base image, for machines that cannot reach an image registry.
#
#   scripts/go-image.sh [NAME]     prints NAME, by default hubspoke-chain/go:stand-in
#   docker build --build-arg GO_IMAGE="$(scripts/go-image.sh)" .
#
# It holds this machine's Go, a static busybox as its shell, the CA roots, and the modules that go.sum pins, as a
# module proxy made of files: the build then needs no network at all. It is for building the image here, not for
# publishing anything.
set -euo pipefail

name=${1:-hubspoke-chain/go:stand-in}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

die() { printf 'go-image: error: %s\n' "$1" >&2; exit 1; }
for tool in go docker tar; do
  command -v "$tool" >/dev/null || die "$tool is not installed"
done
certificates=/etc/ssl/certs/ca-certificates.crt
[ -r "$certificates" ] || die "$certificates is missing (install ca-certificates)"

# A hash of everything that goes into the image.
contents=$({ go version; go env GOROOT; cat go.mod go.sum "$certificates" scripts/go-image.sh; } | sha256sum)
contents=${contents%% *}
if [ "$(docker image inspect --format '{{index .Config.Labels "contents"}}' "$name" 2>/dev/null)" = "$contents" ]; then
  printf '%s\n' "$name"
  exit 0
fi

stage=$(mktemp -d)
trap 'chmod -R u+w "$stage"; rm -rf "$stage"' EXIT
mkdir -p "$stage/root/bin" "$stage/root/etc/ssl/certs" "$stage/root/go" "$stage/root/tmp"
chmod 1777 "$stage/root/tmp"

# A busybox linked against a libc would not start in an image without one; Debian has both kinds.
busybox=$(command -v busybox || true)
if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then
  command -v apt-get >/dev/null || die "no static busybox here, and no apt-get to fetch busybox-static with"
  (cd "$stage" && apt-get download busybox-static && dpkg -x busybox-static_*.deb deb) >&2 ||
    die "fetching busybox-static (run apt-get update first)"
  busybox=$(find "$stage/deb" -name busybox -type f -perm -u+x | head -n 1)
fi
cp "$busybox" "$stage/root/bin/busybox"
# The commands that the Dockerfile runs, and those that a job container in internal/e2e needs.
for command in sh ln sed tail; do
  ln -s busybox "$stage/root/bin/$command"
done
cp -L "$certificates" "$stage/root$certificates"

# Downloaded into a separate cache, from this machine's cache if possible, so that the image contains only the modules
# in go.sum. go verifies each against go.sum.
GOMODCACHE="$stage/modules" GOFLAGS=-modcacherw \
  GOPROXY="file://$(go env GOMODCACHE)/cache/download,$(go env GOPROXY)" go mod download >&2 ||
  die "downloading the modules of go.mod"
mv "$stage/modules/cache/download" "$stage/root/go/proxy"

goroot=$(go env GOROOT)
tar --create --file - --numeric-owner --owner=0 --group=0 \
  --exclude='testdata' --exclude='*_test.go' \
  --exclude="${goroot#/}/test" --exclude="${goroot#/}/doc" --exclude="${goroot#/}/api" \
  --transform="s,^${goroot#/},usr/local/go,S" \
  -C / "${goroot#/}" -C "$stage/root" bin etc go tmp |
  docker import \
    --change "LABEL contents=$contents" \
    --change 'ENV PATH=/usr/local/go/bin:/bin' \
    --change 'ENV GOPATH=/go' \
    --change 'ENV GOPROXY=file:///go/proxy' \
    --change 'ENV GOTOOLCHAIN=local' \
    - "$name" >/dev/null
printf '%s\n' "$name"
