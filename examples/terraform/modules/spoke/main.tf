# A spoke: the role that the hub role assumes in this account.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

module "policies" {
  source = "./policies"

  hub_role        = var.hub_role
  subjects        = var.subjects
  issuer          = var.issuer
  audience        = var.audience
  session_tags    = var.session_tags
  source_identity = var.source_identity
  external_id     = var.external_id
}

resource "aws_iam_role" "spoke" {
  name                 = var.name
  description          = "Deployments by GitHub Actions, over the hub role"
  assume_role_policy   = module.policies.trust
  max_session_duration = var.max_session_duration
  permissions_boundary = var.permissions_boundary
  tags                 = merge({ hubspoke = "spoke" }, var.tags)
}

resource "aws_iam_role_policy_attachment" "spoke" {
  for_each = toset(var.managed_policy_arns)

  role       = aws_iam_role.spoke.name
  policy_arn = each.value
}
