#!/usr/bin/env bash
# Builds all artifacts of a release from this checkout into a folder:
#
#   scripts/build-release.sh v1.2.3 OUT
#
#   OUT/image/                    OCI layout of the image for linux/amd64 and linux/arm64
#   OUT/digest                    digest of its index, sha256:...
#   OUT/hubspoke-chain_OS_ARCH    the program, for people who use it outside of Actions; .exe for Windows
#   OUT/hubspoke-chain_man.tar    its man pages
#   OUT/sbom.cdx.json             what the program consists of, CycloneDX
#   OUT/notes.md                  the version's section of CHANGELOG.md
#   OUT/checksums.txt             SHA-256 of the programs, man pages and SBOM, as sha256sum -c reads them
#
# Builds are reproducible: the same commit produces the same bytes in any checkout, as scripts/reproducible.sh verifies.
# This requires the exact Go version of the Dockerfile. The CA certificates in the image come from a module that
# scripts/release/go.mod pins.
set -euo pipefail

version=${1:?usage: build-release.sh VERSION OUT} out=${2:?usage: build-release.sh VERSION OUT}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cyclonedx=github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0

die() { printf 'build-release: error: %s\n' "$1" >&2; exit 1; }
[[ $version =~ ^v1\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ ]] || die "the version \"$version\" is not v1.MINOR.PATCH"
[ ! -e "$out" ] || die "$out is there already"
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$root"

# The version's section, without its heading. A release without one fails.
awk -v heading="## ${version#v}" '
  /^## / { inside = ($0 == heading || index($0, heading " ") == 1); next }
  inside' CHANGELOG.md | sed -e '/./,$!d' >"$out/notes.md"
[ -s "$out/notes.md" ] || die "CHANGELOG.md has no section \"## ${version#v}\""

# Ignore the builder's own Go settings.
export CGO_ENABLED=0 GOFLAGS='-trimpath -buildvcs=false' GOAMD64=v1 GOARM64=v8.0 GOEXPERIMENT='' GOTOOLCHAIN=local
want=$(scripts/go-version.sh)
have=$(go env GOVERSION)
[ "$have" = "go$want" ] || die "the Dockerfile builds with go$want, and this is $have"

# The commit that --version prints. The release commit names the image in action.yml, so the binary was built from its
# parent. This also works in a shallow clone.
commit=$(git rev-parse HEAD)
if grep -q '^  image: docker://' action.yml; then
  commit=$(git cat-file commit HEAD | sed -n 's/^parent //p')
fi
[[ $commit =~ ^[0-9a-f]{40}$ ]] || die "the commit that the source is of is not clear: \"$commit\""

for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
  os=${platform%/*} arch=${platform#*/} suffix=
  [ "$os" = windows ] && suffix=.exe
  GOOS=$os GOARCH=$arch go build -ldflags "-s -w -X main.version=$version -X main.commit=$commit" -o "$out/hubspoke-chain_${os}_$arch$suffix" ./cmd/hubspoke-chain
done

tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
# A test writes the man pages, so that the generator is not part of the binary.
mkdir "$tools/man"
go test -count=1 -run '^TestManPages$' ./cmd/hubspoke-chain -man "$tools/man" -man-version "$version" >"$tools/log" 2>&1 ||
  { cat "$tools/log" >&2; die "writing the man pages"; }
(cd "$tools/man" && LC_ALL=C tar --format=ustar --sort=name --mtime=@0 --mode=0644 --owner=0 --group=0 --numeric-owner \
  -cf "$out/hubspoke-chain_man.tar" -- *.1)
go build -C scripts/release -o "$tools/release" .
"$tools/release" image --out "$out/image" --version "$version" \
  "linux/amd64=$out/hubspoke-chain_linux_amd64" "linux/arm64=$out/hubspoke-chain_linux_arm64" >"$out/digest"

# The tool is built for the build machine and cached next to the tools of .ci/run. The SBOM lists the binary's modules, without
# timestamps or a serial number.
bin=${XDG_CACHE_HOME:-$HOME/.cache}/hubspoke-chain/tools/${cyclonedx##*/}
[ -x "$bin/cyclonedx-gomod" ] || GOBIN=$bin GOFLAGS='' go install "$cyclonedx"
"$bin/cyclonedx-gomod" app -json -licenses -noserial -main cmd/hubspoke-chain -output "$tools/sbom.json" "$root" 2>"$tools/log" ||
  { cat "$tools/log" >&2; die "making the SBOM"; }
# Replace the version that the tool detects in git, if any, with the release's.
python3 - "$tools/sbom.json" "$version" >"$out/sbom.cdx.json" <<'PYTHON'
import json, sys
sbom = json.load(open(sys.argv[1]))
sbom.get("metadata", {}).pop("timestamp", None)
old = sbom["metadata"]["component"].get("version", "")
text = json.dumps(sbom, indent=1, sort_keys=True)
if old:
    text = text.replace("hubspoke-chain@" + old, "hubspoke-chain@" + sys.argv[2]).replace('"version": "%s"' % old, '"version": "%s"' % sys.argv[2])
print(text)
PYTHON

(cd "$out" && sha256sum hubspoke-chain_* sbom.cdx.json >checksums.txt)
printf '%s is built: %s\n' "$version" "$(cat "$out/digest")"
