# A spoke's trust policy as JSON. No provider is needed here, so that it can be looked at, and tested, without an
# account.

locals {
  partition = split(":", var.hub_role)[1]
  audience  = coalesce(var.audience, local.partition == "aws-cn" ? "sts.amazonaws.com.cn" : "sts.amazonaws.com")

  sent = concat(var.session_tags ? ["sts:TagSession"] : [], var.source_identity ? ["sts:SetSourceIdentity"] : [])
  pins = { for key, value in {
    "${var.issuer}:aud" = length(var.subjects) > 0 ? local.audience : null
    "${var.issuer}:sub" = length(var.subjects) > 0 ? var.subjects : null
  } : key => value if value != null }

  # sts:ExternalId is there for sts:AssumeRole alone, so the two other actions then have a statement of their own.
  split = var.external_id != null && length(local.sent) > 0
  statements = concat(
    [{
      Sid       = var.session_tags ? "TheHubRole" : "TheHubRoleWithoutTags"
      Action    = local.split ? ["sts:AssumeRole"] : concat(["sts:AssumeRole"], local.sent)
      Condition = merge(local.pins, { for id in compact([var.external_id]) : "sts:ExternalId" => id })
    }],
    [for sid in local.split ? ["WhatTheHubRoleSends"] : [] : {
      Sid       = sid
      Action    = local.sent
      Condition = local.pins
    }],
  )
}

output "trust" {
  description = "The trust policy."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [for s in local.statements : { for element, value in {
      Sid       = s.Sid
      Effect    = "Allow"
      Principal = { AWS = var.hub_role }
      Action    = s.Action
      Condition = length(s.Condition) > 0 ? { StringEquals = s.Condition } : null
    } : element => value if value != null }]
  })
}
