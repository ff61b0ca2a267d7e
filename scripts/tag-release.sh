#!/usr/bin/env bash
# Creates the tags of a release, in this checkout and in its origin:
#
#   scripts/tag-release.sh check v1.2.3                          fails if origin has the tag
#   scripts/tag-release.sh pin v1.2.3 HOST/NAME@sha256:...       a commit whose action.yml names the image, and its tag
#   scripts/tag-release.sh move v1.2.3                           moves v1 to the release, unless it is at a later one
#
# The commit is on no branch: main continues to build its Dockerfile, so that changes are tested as they are. A version's
# tag is never moved. v1 is moved last, after everything else is published.
#
# GitHub rejects a tag from a job's token if its workflow files match no branch tip, and no permission allows it. So each
# command fails if the workflows on origin's main differ from this checkout, and prints how to continue.
set -euo pipefail

usage='usage: tag-release.sh check|pin|move VERSION [HOST/NAME@DIGEST]'
command=${1:?$usage} version=${2:?$usage}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

die() { printf 'tag-release: error: %s\n' "$1" >&2; exit 1; }
git() {
  command git -c user.name='github-actions[bot]' -c user.email='41898282+github-actions[bot]@users.noreply.github.com' "$@"
}
[[ $version =~ ^v1\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$ ]] || die "the version \"$version\" is not v1.MINOR.PATCH"

# Fails, and prints how to continue, if GitHub would reject a tag of this checkout.
same_workflows() {
  git fetch --quiet origin refs/heads/main || die "asking origin for main"
  git diff --quiet FETCH_HEAD HEAD -- .github/workflows ||
    die "origin's main has other workflows than this commit, and GitHub refuses a job to tag it: $1"
}

# One query: a missing tag is not an error, an unreachable origin is.
released=$(git ls-remote origin "refs/tags/$version") || die "asking origin for its tags"

case $command in
  check)
    [ -z "$released" ] || die "$version is released already"
    # Statements that are no longer true after the first release.
    if stale=$(grep -nE 'No release has been made|not yet run on GitHub' README.md CHANGELOG.md); then
      die "this would be published with it: $stale"
    fi
    same_workflows "dispatch the release of $version again, on what main is now"
    ;;
  pin)
    reference=${3:?$usage}
    base=$(git rev-parse HEAD)
    [ -n "$released" ] || same_workflows "dispatch the release of $version again, on what main is now"
    git diff --quiet HEAD || die "this checkout has changes that are not committed"
    scripts/pin-image.sh action.yml "$reference"
    git add action.yml
    if [ -n "$released" ]; then # by a job that then failed, if it is this very commit
      git fetch --quiet origin "refs/tags/$version:refs/tags/$version"
      tagged=$(git rev-parse "$version^{commit}")
      tree=$(git write-tree)
      git restore --staged --worktree action.yml
      if [ "$(git rev-parse "$tagged^{tree}")" != "$tree" ] ||
        { [ "$tagged" != "$base" ] && [ "$(git rev-parse "$tagged^@")" != "$base" ]; }; then
        die "$version is released already, with another image or from another commit"
      fi
      printf '%s is %s\n' "$version" "$tagged"
      exit 0
    fi
    git commit --quiet -m "Release $version" -m "The image is $reference, built from the commit before this one."
    git tag -a -m "hubspoke-chain $version" "$version"
    git push --quiet origin "refs/tags/$version"
    printf '%s is %s\n' "$version" "$(git rev-parse HEAD)"
    ;;
  move)
    [ -n "$released" ] || die "$version is not released"
    pinned=$(git rev-parse --quiet --verify "$version^{commit}") || die "this checkout has no $version: pin comes first"
    git fetch --quiet --force --tags origin
    [ "$(git rev-parse "$version^{commit}")" = "$pinned" ] || die "somebody has moved $version since it was pinned here"
    latest=$(git tag --list 'v1.*' | grep -xE 'v1\.[0-9]+\.[0-9]+' | sort -V | tail -n 1)
    if [ "$latest" != "$version" ]; then
      printf 'v1 stays where it is: %s is later than %s\n' "$latest" "$version"
      exit 0
    fi
    same_workflows "move v1 by hand, git push --force origin '$version^{commit}:refs/tags/v1'"
    # Point to the commit, not to its tag object: pinning v1 would resolve to the wrong hash.
    git tag --force v1 "$version^{commit}" >/dev/null
    git push --quiet --force origin refs/tags/v1
    printf 'v1 is %s\n' "$(git rev-parse v1)"
    ;;
  *) die "$usage" ;;
esac
