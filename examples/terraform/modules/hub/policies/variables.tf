variable "account_id" {
  description = "The hub's account, 12 digits."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has 12 digits."
  }
}

variable "partition" {
  description = "The hub's partition: aws, aws-cn, aws-us-gov, ..."
  type        = string
  default     = "aws"
  validation {
    condition     = can(regex("^aws(-[a-z]+)*$", var.partition))
    error_message = "A partition is aws, aws-cn, aws-us-gov or another of AWS's."
  }
}

variable "issuer" {
  description = "GitHub's issuer without https://. An enterprise may have one of its own: token.actions.githubusercontent.com/SLUG."
  type        = string
  default     = "token.actions.githubusercontent.com"
  validation {
    condition     = can(regex("^[a-z0-9.-]+(/[A-Za-z0-9_-]+)*$", var.issuer))
    error_message = "An issuer is HOST or HOST/PATH, without https:// and without a port."
  }
}

variable "audience" {
  description = "Audience of the tokens; null for the action's default in the partition."
  type        = string
  default     = null
  validation {
    condition     = var.audience == null || can(regex("^[!-)+->@-~]{1,255}$", var.audience)) # any printable character but * and ?
    error_message = "An audience has 1 to 255 printable characters, without a space, * or ?."
  }
}

variable "subjects" {
  description = "Subjects of the tokens that may assume the hub role, whole, without wildcards."
  type        = list(string)
  validation {
    condition = length(var.subjects) > 0 && alltrue([
      for s in var.subjects : can(regex("^repo:[A-Za-z0-9][A-Za-z0-9_-]*(@[1-9][0-9]*)?/[A-Za-z0-9._-]+(@[1-9][0-9]*)?:[^*?$]+$", s))
    ])
    error_message = "Give at least one subject, repo:OWNER@OWNER-ID/REPO@REPO-ID:... or repo:OWNER/REPO:..., without a wildcard."
  }
}

variable "spokes" {
  description = "ARNs of the spoke roles; empty for the roles, of any account, that have all of spoke_tags."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for arn in var.spokes : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$", arn))])
    error_message = "Spokes are full ARNs of IAM roles, without a wildcard."
  }
}

variable "spoke_tags" {
  description = "Tags by which spoke roles are known when spokes is empty. A role must trust the hub as well."
  type        = map(string)
  default     = { hubspoke = "spoke" }
  validation {
    condition = length(var.spoke_tags) > 0 && alltrue([
      for key, value in var.spoke_tags : can(regex("^[A-Za-z0-9_.:/=+@-]{1,128}$", key)) && can(regex("^[A-Za-z0-9_.:/=+@-]{1,256}$", value))
    ])
    error_message = "Give at least one tag; keys and values are of letters, digits and _.:/=+@-."
  }
}
