# Between reading the state and writing it back, apply has nothing to do for so long that its credentials expire: the
# process has to renew them. Endpoints and credentials come from the environment, and no provider is needed.
terraform {
  required_version = ">= 1.11"

  backend "s3" {
    bucket                  = "state"
    key                     = "terraform.tfstate"
    region                  = "us-east-1"
    use_lockfile            = true
    use_path_style          = true
    skip_metadata_api_check = true
  }
}

variable "seconds" {
  type = number
}

resource "terraform_data" "work" {
  triggers_replace = [var.seconds]

  provisioner "local-exec" {
    command = "sleep ${var.seconds}"
  }
}

output "seconds" {
  value = terraform_data.work.triggers_replace[0]
}
