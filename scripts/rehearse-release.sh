#!/usr/bin/env bash
# Rehearses a release from build to tags with the scripts that release.yml calls, in the same order. It uses a registry on
# loopback, a local repository as origin, and a temporary key.
#
#   scripts/rehearse-release.sh [VERSION]
#
# It cannot rehearse what runs on GitHub: keyless signing, attestations, registry permissions, the release page. It
# releases the committed state. It needs Go, git, a Docker engine, python3 and the AWS CLI.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=${1:-$(sed -nE 's/^## (1\.[0-9]+\.[0-9]+).*/v\1/p' "$root/CHANGELOG.md" | head -n 1)}
version=${version:-v1.0.0}

die() { printf 'rehearse-release: error: %s\n' "$1" >&2; exit 1; }
say() { printf '%4d s  %s\n' "$SECONDS" "$1"; }
# Runs a command that must fail. Arguments: description, pattern of the expected message, command.
refused() {
  local what=$1 why=$2 said
  shift 2
  if said=$("$@" 2>&1); then die "$what passed"; fi
  grep -qE "$why" <<<"$said" || die "$what was refused for another reason: $said"
  say "refused: $what"
}

work=$(mktemp -d)
registry='' reference=''
clean_up() {
  [ -z "$registry" ] || kill "$registry"
  # Missing if the script failed earlier.
  [ -z "$reference" ] || docker image rm --force "$reference" >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean_up EXIT

# Keep the caller's credentials and proxy away from docker, cosign and git push.
mkdir "$work/docker"
export DOCKER_CONFIG=$work/docker NO_PROXY=127.0.0.1 no_proxy=127.0.0.1
cosign=$("$root/scripts/install-cosign.sh")
say "cosign is there"

git clone --quiet --bare "$root" "$work/origin.git"
# A pull request checkout has a detached HEAD.
git -C "$work/origin.git" update-ref refs/heads/main HEAD
git -C "$work/origin.git" symbolic-ref HEAD refs/heads/main
git -C "$work/origin.git" tag --list 'v1*' | xargs -r git -C "$work/origin.git" tag --delete >/dev/null
git clone --quiet "$work/origin.git" "$work/checkout"
cd "$work/checkout"
grep -qE "^## ${version#v}( |$)" CHANGELOG.md || sed -i "s/^## Unreleased$/## ${version#v}/" CHANGELOG.md
if grep -q 'No release has been made' README.md; then
  refused "a README.md that says there is no release" 'would be published' scripts/tag-release.sh check "$version"
  sed -i 's/No release has been made/A release has been made/' README.md
fi
git diff --quiet || git -c user.name=rehearsal -c user.email=rehearsal@localhost commit --quiet -am "Prepare the version"
git push --quiet origin HEAD:main

scripts/tag-release.sh check "$version"
scripts/build-release.sh "$version" "$work/out"
out=$work/out
say "built $(find "$out" -maxdepth 1 -name 'hubspoke-chain_*_*' | wc -l) programs and the image"
[ "$(tar -tf "$out/hubspoke-chain_man.tar" | grep -cxE 'hubspoke-chain(-[a-z-]+)?\.1')" -gt 8 ] || die "there are not enough man pages"

# Each binary matches the platform in its name, and the one for this machine runs.
for platform in linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64; do
  program=$(find "$out" -name "hubspoke-chain_${platform/\//_}*")
  [ "$(go version -m "$program" | sed -nE 's/^\tbuild\tGOOS=//p')/$(go version -m "$program" | sed -nE 's/^\tbuild\tGOARCH=//p')" = "$platform" ] ||
    die "$program is not for $platform"
done
program=$out/hubspoke-chain_linux_$(go env GOARCH)
[ "$("$program" --version | head -n 2)" = "hubspoke-chain $version"$'\n'"commit:   $(git rev-parse HEAD)" ] || die "$program is not $version"
"$program" lint examples/lab/hub-*.json examples/lab/spoke-trust.json >/dev/null || die "$program does not lint examples/lab"
say "$("$program" --version | head -n 1) runs and lints examples/lab"

go build -C scripts/release -o "$work/release" .
"$work/release" registry --address 127.0.0.1:0 >"$work/address" 2>"$work/registry.log" &
registry=$!
for _ in $(seq 100); do
  [ ! -s "$work/address" ] || break
  sleep 0.1
done
[ -s "$work/address" ] || die "the registry does not start: $(cat "$work/registry.log")"
name=$(cat "$work/address")/org/hubspoke-chain

reference=$(scripts/publish-release.sh "$version" "$out" "$name")
say "pushed $reference"
[ "$(scripts/publish-release.sh "$version" "$out" "$name")" = "$reference" ] || die "pushing again gave another digest"

(cd "$work" && COSIGN_PASSWORD='' "$cosign" generate-key-pair --output-key-prefix right >/dev/null 2>&1 &&
  COSIGN_PASSWORD='' "$cosign" generate-key-pair --output-key-prefix wrong >/dev/null 2>&1) || die "making keys"
COSIGN_PASSWORD='' COSIGN_KEY=$work/right.key scripts/sign-release.sh "$reference" "$out" 2>"$work/sign.log" ||
  die "signing: $(cat "$work/sign.log")"
verify() { COSIGN_PUBLIC_KEY=$work/right.pub scripts/verify-release.sh "$@"; }
verified=$(verify "$reference" "$out" 2>"$work/verify.log") || die "verifying: $(cat "$work/verify.log")"
say "$verified"

refused "the key of another signer" 'no matching signatures|invalid signature' \
  env COSIGN_PUBLIC_KEY="$work/wrong.pub" scripts/verify-release.sh "$reference" "$out"
# Replace the image with one that has a different binary: the tag now refers to it.
cp -r "$out" "$work/forged"
printf x >>"$work/forged/hubspoke-chain_linux_amd64"
rm -r "$work/forged/image"
forged=$name@$("$work/release" image --out "$work/forged/image" --version "$version" \
  "linux/amd64=$work/forged/hubspoke-chain_linux_amd64" "linux/arm64=$work/forged/hubspoke-chain_linux_arm64")
"$work/release" push --layout "$work/forged/image" --to "$name:$version" >"$work/pushed"
[ "$(cat "$work/pushed")" = "$forged" ] || die "the forged image was not pushed"
[ "$forged" != "$reference" ] || die "the forged image is the real one"
refused "an image of someone else's by its digest" 'no signatures found|no matching signatures' verify "$forged" "$out"
refused "the version's tag, which names an image of someone else by now" 'a tag may name another image' verify "$name:$version" "$out"
refused "a program with a byte more" 'hubspoke-chain_linux_amd64: FAILED' verify "$reference" "$work/forged"
(cd "$work/forged" && sha256sum hubspoke-chain_* sbom.cdx.json >checksums.txt)
refused "a program with a byte more and checksums to match" 'signature|digest' verify "$reference" "$work/forged"

# A workflow change that is merged during the release, and reverted.
main=$(git -C "$work/origin.git" rev-parse main)
git clone --quiet "$work/origin.git" "$work/merged"
printf '# merged meanwhile\n' >>"$work/merged/.github/workflows/ci.yml"
git -C "$work/merged" -c user.name=rehearsal -c user.email=rehearsal@localhost commit --quiet -am "Change a workflow"
git -C "$work/merged" push --quiet origin HEAD:main
refused "a tag where main has other workflows by now" 'other workflows than this commit' scripts/tag-release.sh pin "$version" "$reference"
git -C "$work/origin.git" update-ref refs/heads/main "$main"
# The version's tag, pushed by someone else while the release waits. It contains the expected line, which must not count.
git -C "$work/merged" reset --quiet --hard "$main"
sed -i "s,^  image: .*,  'image': docker://$forged," "$work/merged/action.yml"
printf 'more: |\n  image: docker://%s\n' "$reference" >>"$work/merged/action.yml"
git -C "$work/merged" -c user.name=rehearsal -c user.email=rehearsal@localhost commit --quiet -am "Forge the version"
git -C "$work/merged" push --quiet origin "HEAD:refs/tags/$version"
refused "the version's tag on a commit of somebody else" "$version is released already" scripts/tag-release.sh pin "$version" "$reference"
git -C "$work/origin.git" tag --delete "$version" >/dev/null
git tag --delete "$version" >/dev/null
# A tag that is not one of our releases.
git -C "$work/origin.git" tag "$version-rc1" "$main"

cp -r "$out" "$work/more"
printf x >"$work/more/hubspoke-chain"
refused "a program that the checksums do not name" 'hubspoke-chain is not in checksums.txt' verify "$reference" "$work/more"

# From here on, use the image as a user does: from the registry, by the digest in the tagged commit.
scripts/tag-release.sh pin "$version" "$reference"
scripts/tag-release.sh move "$version"
scripts/tag-release.sh pin "$version" "$reference" >/dev/null || die "a job that is run again does not get past the tag"
refused "another image as $version" "$version is released already, with another image" scripts/tag-release.sh pin "$version" "$forged"
git clone --quiet --branch v1 -c advice.detachedHead=false "$work/origin.git" "$work/user"
[ "$(git -C "$work/user" rev-parse HEAD)" = "$(git -C "$work/user" rev-parse "$version^{commit}")" ] || die "v1 is not $version"
[ "$(git -C "$work/user" diff --unified=0 HEAD~1 | grep -E '^[-+] ')" = "-  image: Dockerfile"$'\n'"+  image: docker://$reference" ] ||
  die "the release's commit changes more than the image"
(cd "$work/user" && scripts/build-release.sh "$version" "$work/rebuilt" >/dev/null)
diff -r --exclude=checksums.txt.sigstore.json "$out" "$work/rebuilt" >/dev/null || die "the tagged commit does not build what was released"
refused "$version a second time" "$version is released already" scripts/tag-release.sh check "$version"
say "$version and v1 are tagged; action.yml names the image"

docker pull --quiet "$reference" >/dev/null
docker image inspect --format '{{join .RepoDigests "\n"}}' "$reference" | grep -qxF "$reference" || die "the engine has another digest"
[ "$(docker run --rm "$reference" --version | head -n 1)" = "hubspoke-chain $version" ] || die "the image is not $version"
container=$(docker create "$reference")
docker cp --quiet "$container:/hubspoke-chain" "$work/hubspoke-chain" 2>/dev/null || docker cp "$container:/hubspoke-chain" "$work/hubspoke-chain" >/dev/null
docker rm "$container" >/dev/null
cmp "$work/hubspoke-chain" "$program" || die "the image's program is another than the one to download"
say "pulled by digest: hubspoke-chain $version, and its program is the one to download"

HUBSPOKE_IMAGE=$(sed -n 's,^  image: docker://,,p' "$work/user/action.yml") \
  go test -C "$work/user" -tags docker -count=1 -v -run '^(TestHop|TestRefused|TestPost|TestImageFiles)$' ./internal/e2e/ >"$work/tested" ||
  { cat "$work/tested"; die "the image does not pass"; }
[ "$(grep -c '^--- PASS: ' "$work/tested")" -eq 4 ] || { cat "$work/tested"; die "not all four tests were run"; }
say "the image that v1 names makes the hop, is refused where it should be, and cleans up"
printf 'rehearsed %s in %d s: %s\n' "$version" "$SECONDS" "$reference"
