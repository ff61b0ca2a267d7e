# What goes into the policies is described, and checked, in policies/variables.tf.

variable "issuer" {
  type    = string
  default = "token.actions.githubusercontent.com"
}

variable "audience" {
  type    = string
  default = null
}

variable "subjects" {
  type = list(string)
}

variable "spokes" {
  type    = list(string)
  default = []
}

variable "spoke_tags" {
  type    = map(string)
  default = { hubspoke = "spoke" }
}

variable "create_provider" {
  description = "Whether to create GitHub's OIDC provider, of which an account has one; false takes the one that is there."
  type        = bool
  default     = true
}

variable "name" {
  description = "Name of the hub role."
  type        = string
  default     = "github-actions-hub"
  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.name))
    error_message = "A role's name has 1 to 64 characters of A-Z a-z 0-9 _ + = , . @ -."
  }
}

variable "permissions_boundary" {
  description = "ARN of a managed policy that bounds the role; null for none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the role."
  type        = map(string)
  default     = {}
}
