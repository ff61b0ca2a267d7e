#!/usr/bin/env bash
# Rehearses a release on this machine, with a registry on loopback in place of ghcr.io and a key that is thrown away in
# place of GitHub's identity:
#
#   scripts/rehearse-release.sh [VERSION]
#
# It builds what release.yml builds, by the same script; pushes the image; writes its digest into a copy of action.yml as
# the release does; pulls the image by that digest with the Docker engine and walks a hop with it against the lab; signs
# it, verifies the signature, and sees that another image and another key do not pass. It needs Go, git, a Docker engine and
# python3, and builds cosign once.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=${1:-v1.0.0}
cosign_module=github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5

die() { printf 'rehearse-release: error: %s\n' "$1" >&2; exit 1; }
say() { printf '%s\n' "$*"; }
for need in go git docker python3; do
  command -v "$need" >/dev/null || die "$need is not installed"
done
cosign=${XDG_CACHE_HOME:-$HOME/.cache}/hubspoke-chain/tools/cosign@${cosign_module##*@}/cosign
if [ ! -x "$cosign" ]; then
  say "building $cosign_module"
  GOBIN=$(dirname "$cosign") GOFLAGS='' go install "$cosign_module"
fi

work=$(mktemp -d)
registry=
image=
cleanup() {
  [ -z "$registry" ] || kill "$registry" 2>/dev/null || true
  [ -z "$image" ] || docker image rm "$image" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT

# A clone of what is committed, with the version's section in its changelog if it has none yet.
git clone --quiet "$root" "$work/clone"
grep -q "^## ${version#v}" "$work/clone/CHANGELOG.md" || sed -i "s/^## Unreleased/## ${version#v}/" "$work/clone/CHANGELOG.md"
cd "$work/clone"
scripts/build-release.sh "$version" "$work/out"
(cd "$work/out" && sha256sum --quiet -c checksums.txt)
said=$("$work/out/hubspoke-chain_$(go env GOOS)_$(go env GOARCH)" --version)
[ "$said" = "hubspoke-chain $version" ] || die "the program says \"$said\""
say "the programs are those of checksums.txt, and say $said"

go build -C scripts/release -o "$work/release" .
"$work/release" registry --address 127.0.0.1:0 >"$work/registry" 2>/dev/null &
registry=$!
for _ in $(seq 50); do [ -s "$work/registry" ] && break; sleep 0.1; done
host=$(head -n 1 "$work/registry")
[ -n "$host" ] || die "the registry does not start"
pushed=$("$work/release" push --layout "$work/out/image" --to "$host/org/hubspoke-chain:$version")
digest=$(cat "$work/out/digest")
[ "$pushed" = "$host/org/hubspoke-chain@$digest" ] || die "pushed $pushed, and $digest was built"
say "pushed $pushed"

scripts/pin-image.sh action.yml "$pushed"
image=$(sed -n 's#^  image: docker://##p' action.yml)
[ "$image" = "$pushed" ] || die "action.yml names \"$image\""
docker pull --quiet "$image" >/dev/null || die "pulling $image"
HUBSPOKE_IMAGE=$image go test -C "$root" -tags docker -count=1 -run '^(TestHop|TestPost)$' ./internal/e2e/ || die "the hop with $image"
say "pulled by digest, and a hop walked"

export COSIGN_PASSWORD=rehearsal
cosign() { "$work/cosign-quietly" "$@"; }
cat >"$work/cosign-quietly" <<QUIETLY
#!/usr/bin/env bash
"$cosign" "\$@" >"$work/cosign.log" 2>&1 || { cat "$work/cosign.log" >&2; exit 1; }
QUIETLY
chmod +x "$work/cosign-quietly"
(cd "$work" && cosign generate-key-pair)
(cd "$work" && mkdir other && cd other && cosign generate-key-pair)
sign=(--yes --tlog-upload=false --key "$work/cosign.key")
verify=(--insecure-ignore-tlog=true --key)
cosign sign "${sign[@]}" "$image"
cosign verify "${verify[@]}" "$work/cosign.pub" "$image"
cosign attest "${sign[@]}" --type cyclonedx --predicate "$work/out/sbom.cdx.json" "$image"
cosign verify-attestation "${verify[@]}" "$work/cosign.pub" --type cyclonedx "$image"
say "signed, with the SBOM attested; both verified"

if cosign verify "${verify[@]}" "$work/other/cosign.pub" "$image" 2>/dev/null; then die "another key verifies the image"; fi
"$work/release" image --out "$work/tampered" --version "$version" "linux/amd64=$work/release" "linux/arm64=$work/release" >/dev/null
tampered=$("$work/release" push --layout "$work/tampered" --to "$host/org/hubspoke-chain:$version")
if cosign verify "${verify[@]}" "$work/cosign.pub" "$tampered" 2>/dev/null; then die "an image that nobody signed is verified"; fi
say "another key, and another image under the same tag, do not pass"
