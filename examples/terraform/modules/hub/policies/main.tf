# The hub's two policies as JSON. No provider is needed here, so that they can be looked at, and tested, without an
# account: terraform apply only writes them to the state.

locals {
  audience = coalesce(var.audience, var.partition == "aws-cn" ? "sts.amazonaws.com.cn" : "sts.amazonaws.com")
  by_tag   = length(var.spokes) == 0
}

output "audience" {
  description = "What the OIDC provider must list as a client id."
  value       = local.audience
}

output "trust" {
  description = "The trust policy."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "DeployJobsOfOneRepository"
      Effect    = "Allow"
      Principal = { Federated = "arn:${var.partition}:iam::${var.account_id}:oidc-provider/${var.issuer}" }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${var.issuer}:aud" = local.audience
          "${var.issuer}:sub" = var.subjects
        }
      }
    }]
  })
}

output "permissions" {
  description = "The permission policy."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{ for element, value in {
      Sid      = local.by_tag ? "HopToTaggedSpokes" : "HopToTheSpokes"
      Effect   = "Allow"
      Action   = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
      Resource = local.by_tag ? ["arn:${var.partition}:iam::*:role/*"] : var.spokes
      Condition = local.by_tag ? {
        StringEquals = { for key, value in var.spoke_tags : "iam:ResourceTag/${key}" => value }
      } : null
    } : element => value if value != null }]
  })
}
