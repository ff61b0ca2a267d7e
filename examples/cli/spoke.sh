#!/usr/bin/env bash
# Sets up a spoke role in the account that the AWS CLI is logged in to. The hub role must exist.
#
#   spoke.sh ROLE-NAME TRUST.json [MANAGED-POLICY-ARN...]
#   spoke.sh deploy-staging ../lab/spoke-trust.json arn:aws:iam::aws:policy/PowerUserAccess
#
# The file is a policy as "hubspoke-chain policy spoke-trust" prints it, and the managed policies define the
# role's permissions. If run again, it updates the trust policy, sets the tag and attaches the policies. It detaches none. It
# prints the role's ARN, the input role-to-assume.
set -euo pipefail

[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
name=$1 trust=$2
shift 2

if aws iam get-role --role-name "$name" >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name "$name" --policy-document "file://$trust"
  aws iam tag-role --role-name "$name" --tags Key=hubspoke,Value=spoke
else
  aws iam create-role --role-name "$name" --assume-role-policy-document "file://$trust" \
    --description "Deployments by GitHub Actions, over the hub role" --tags Key=hubspoke,Value=spoke >/dev/null
fi
for policy in "$@"; do
  aws iam attach-role-policy --role-name "$name" --policy-arn "$policy"
done
aws iam get-role --role-name "$name" --query Role.Arn --output text
