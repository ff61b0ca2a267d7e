variable "hub_role" {
  description = "ARN of the hub role, which must exist when the policy is saved. IAM keeps the role's unique id in its place."
  type        = string
  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", var.hub_role))
    error_message = "The hub is the full ARN of an IAM role, without a wildcard."
  }
}

variable "subjects" {
  description = "Subjects of the tokens that the hub's session must have been made with; empty for all that the hub lets in."
  type        = list(string)
  default     = []
  validation {
    condition = alltrue([
      for s in var.subjects : can(regex("^repo:[A-Za-z0-9][A-Za-z0-9_-]*(@[1-9][0-9]*)?/[A-Za-z0-9._-]+(@[1-9][0-9]*)?:[^*?$]+$", s))
    ])
    error_message = "A subject is repo:OWNER@OWNER-ID/REPO@REPO-ID:... or repo:OWNER/REPO:..., without a wildcard."
  }
}

variable "issuer" {
  description = "With subjects: GitHub's issuer without https://."
  type        = string
  default     = "token.actions.githubusercontent.com"
  validation {
    condition     = can(regex("^[a-z0-9.-]+(/[A-Za-z0-9_-]+)*$", var.issuer))
    error_message = "An issuer is HOST or HOST/PATH, without https:// and without a port."
  }
}

variable "audience" {
  description = "With subjects: audience of the tokens; null for the action's default in the partition."
  type        = string
  default     = null
  validation {
    condition     = var.audience == null || can(regex("^[!-)+->@-~]{1,255}$", var.audience)) # any printable character but * and ?
    error_message = "An audience has 1 to 255 printable characters, without a space, * or ?."
  }
}

variable "session_tags" {
  description = "Whether sessions may have tags; if not, the workflow sets role-skip-session-tagging."
  type        = bool
  default     = true
}

variable "source_identity" {
  description = "Whether sessions may have a source identity."
  type        = bool
  default     = true
}

variable "external_id" {
  description = "What the workflow must send as role-external-id; null for none."
  type        = string
  default     = null
  validation {
    condition     = var.external_id == null || can(regex("^[A-Za-z0-9_+=,.@:/-]{2,}$", var.external_id)) && try(length(var.external_id), 0) <= 1224
    error_message = "An external id has 2 to 1224 characters of A-Z a-z 0-9 _ + = , . @ : / -."
  }
}
