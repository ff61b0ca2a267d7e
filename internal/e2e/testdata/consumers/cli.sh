#!/bin/sh
# Asks AWS who it is, again and again, with the AWS CLI and the credentials that the environment names.
#
#   cli.sh SECONDS
#
# It says how many calls there were and how many failed, and ends with status 1 if one did.
set -u
export AWS_MAX_ATTEMPTS=1 # a retry would hide a failure
calls=0 failures=0
end=$(($(date +%s) + $1))
while [ "$(date +%s)" -lt "$end" ]; do
  calls=$((calls + 1))
  aws sts get-caller-identity >/dev/null || failures=$((failures + 1))
  sleep 0.3
done
echo "$calls calls, $failures failures"
[ "$failures" -eq 0 ]
