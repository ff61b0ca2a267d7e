# The hub: GitHub's OIDC provider, and the role that jobs assume with their token.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81" # takes an OIDC provider without thumbprints
    }
  }
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

module "policies" {
  source = "./policies"

  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  issuer     = var.issuer
  audience   = var.audience
  subjects   = var.subjects
  spokes     = var.spokes
  spoke_tags = var.spoke_tags
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.create_provider ? 1 : 0

  url            = "https://${var.issuer}"
  client_id_list = [module.policies.audience]
}

resource "aws_iam_role" "hub" {
  name                 = var.name
  description          = "Jobs of GitHub Actions, on their way to the spoke roles"
  assume_role_policy   = module.policies.trust
  max_session_duration = 3600
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  depends_on = [aws_iam_openid_connect_provider.github]
}

resource "aws_iam_role_policy" "hop" {
  name   = "hop-to-spokes"
  role   = aws_iam_role.hub.id
  policy = module.policies.permissions
}
