# What goes into the trust policy is described, and checked, in policies/variables.tf.

variable "hub_role" {
  type = string
}

variable "subjects" {
  type    = list(string)
  default = []
}

variable "issuer" {
  type    = string
  default = "token.actions.githubusercontent.com"
}

variable "audience" {
  type    = string
  default = null
}

variable "session_tags" {
  type    = bool
  default = true
}

variable "source_identity" {
  type    = bool
  default = true
}

variable "external_id" {
  type    = string
  default = null
}

variable "name" {
  description = "Name of the spoke role."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,64}$", var.name))
    error_message = "A role's name has 1 to 64 characters of A-Z a-z 0-9 _ + = , . @ -."
  }
}

variable "max_session_duration" {
  description = "Seconds, 3600 to 43200. The hub's sessions get 3600 at most whatever this says; it is for other principals."
  type        = number
  default     = 3600
  validation {
    condition     = var.max_session_duration >= 3600 && var.max_session_duration <= 43200
    error_message = "IAM takes 3600 to 43200 seconds."
  }
}

variable "managed_policy_arns" {
  description = "ARNs of the managed policies that say what the role may do."
  type        = list(string)
  default     = []
}

variable "permissions_boundary" {
  description = "ARN of a managed policy that bounds the role; null for none."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of the role, beside hubspoke=spoke."
  type        = map(string)
  default     = {}
}
