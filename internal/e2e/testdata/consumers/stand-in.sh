#!/bin/sh
# Prints the credentials of a hop into staging as a credential_process does, and keeps nothing.
#
#   stand-in.sh HUBSPOKE-CHAIN HUBSPOKE-LAB
#
# They are said to end two seconds early, so that no call that they sign arrives too late.
set -eu
dir=$(mktemp -d "$RUNNER_TEMP/stand-in-XXXXXX")
trap 'rm -rf "$dir"' EXIT
touch "$dir/env" "$dir/output" "$dir/state" "$dir/summary"
env GITHUB_ENV="$dir/env" GITHUB_OUTPUT="$dir/output" GITHUB_STATE="$dir/state" GITHUB_STEP_SUMMARY="$dir/summary" \
  INPUT_AWS-REGION=us-east-1 INPUT_STS-ENDPOINT="$AWS_ENDPOINT_URL_STS" \
  INPUT_HUB-ROLE-TO-ASSUME=arn:aws:iam::123456789012:role/github-actions-hub \
  INPUT_ROLE-TO-ASSUME=arn:aws:iam::222222222222:role/deploy-staging \
  "$1" action >"$dir/log" || { cat "$dir/log" >&2; exit 1; }
exports=$("$2" exports "$dir/env")
eval "$exports"
expires=$(($(date -d "$AWS_CREDENTIAL_EXPIRATION" +%s) - 2))
printf '{"Version":1,"AccessKeyId":"%s","SecretAccessKey":"%s","SessionToken":"%s","Expiration":"%s"}\n' \
  "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" "$AWS_SESSION_TOKEN" "$(date -u -d "@$expires" +%Y-%m-%dT%H:%M:%SZ)"
