#!/usr/bin/env bash
# Sets up the hub in the account that the AWS CLI is logged in to: GitHub's OIDC provider, and the hub role.
#
#   hub.sh ROLE-NAME TRUST.json PERMISSIONS.json
#   hub.sh github-actions-hub ../lab/hub-trust.json ../lab/hub-permissions.json
#
# The files are policies as "hubspoke-chain policy hub-trust" and "policy hub-permissions" print them. If run again, it
# updates the role to match the files. It prints the role's ARN, the input hub-role-to-assume.
set -euo pipefail

[ $# -eq 3 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
name=$1 trust=$2 permissions=$3
issuer=token.actions.githubusercontent.com

# arn:PARTITION:sts::ACCOUNT:...
IFS=: read -r _ partition _ _ account _ < <(aws sts get-caller-identity --query Arn --output text)
[ -n "${account:-}" ] || { echo "hub.sh: error: the AWS CLI is not logged in" >&2; exit 1; }
audience=sts.amazonaws.com
[ "$partition" != aws-cn ] || audience=sts.amazonaws.com.cn

provider=arn:$partition:iam::$account:oidc-provider/$issuer
if audiences=$(aws iam get-open-id-connect-provider --open-id-connect-provider-arn "$provider" \
  --query ClientIDList --output json 2>/dev/null); then
  case $audiences in
    *"\"$audience\""*) ;;
    *) aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn "$provider" --client-id "$audience" ;;
  esac
else
  aws iam create-open-id-connect-provider --url "https://$issuer" --client-id-list "$audience" >/dev/null
fi

if aws iam get-role --role-name "$name" >/dev/null 2>&1; then
  aws iam update-assume-role-policy --role-name "$name" --policy-document "file://$trust"
else
  aws iam create-role --role-name "$name" --assume-role-policy-document "file://$trust" \
    --description "Jobs of GitHub Actions, on their way to the spoke roles" >/dev/null
fi
aws iam put-role-policy --role-name "$name" --policy-name hop-to-spokes --policy-document "file://$permissions"
aws iam get-role --role-name "$name" --query Role.Arn --output text
