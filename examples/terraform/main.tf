# One hub and two spokes, in three accounts. Each provider has credentials of its account: here by profiles of the
# AWS CLI's configuration.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

provider "aws" {
  alias   = "hub"
  region  = "us-east-1"
  profile = "hub"
}

provider "aws" {
  alias   = "staging"
  region  = "us-east-1"
  profile = "staging"
}

provider "aws" {
  alias   = "production"
  region  = "us-east-1"
  profile = "production"
}

locals {
  # The repository as its tokens name it. One created, renamed or transferred since 2026-07-15 has the immutable form;
  # gh api repos/OWNER/REPO --jq '.owner.id, .id' prints the ids.
  repository = "octo-org@1234567/octo-repo@89012345"
  subjects   = { for name in ["staging", "production"] : name => "repo:${local.repository}:environment:${name}" }
}

module "hub" {
  source    = "./modules/hub"
  providers = { aws = aws.hub }

  subjects = values(local.subjects)
  # Written out, not taken from the spokes' outputs: a spoke's trust policy can be saved only when the hub role exists.
  spokes = [
    "arn:aws:iam::222222222222:role/deploy-staging",
    "arn:aws:iam::333333333333:role/deploy-production",
  ]
}

module "staging" {
  source    = "./modules/spoke"
  providers = { aws = aws.staging }

  name                = "deploy-staging"
  hub_role            = module.hub.role_arn
  managed_policy_arns = ["arn:aws:iam::aws:policy/PowerUserAccess"]
}

module "production" {
  source    = "./modules/spoke"
  providers = { aws = aws.production }

  name                = "deploy-production"
  hub_role            = module.hub.role_arn
  subjects            = [local.subjects["production"]]
  managed_policy_arns = ["arn:aws:iam::aws:policy/PowerUserAccess"]
}

output "hub_role" {
  value = module.hub.role_arn
}

output "spoke_roles" {
  value = [module.staging.role_arn, module.production.role_arn]
}
