variable "policies" {
  description = "The policy file, or the folder with rotator.yaml and further files, that the worker is given."
  type        = string

  validation {
    condition     = can(file(var.policies)) || can(file("${var.policies}/rotator.yaml"))
    error_message = "There is no policy file there: name a file, or a folder with a rotator.yaml."
  }
}

variable "account_id" {
  description = "The worker's own account."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account is twelve digits."
  }
}

variable "partition" {
  description = "aws, aws-cn or aws-us-gov."
  type        = string
  default     = "aws"
}

variable "stores" {
  description = <<-EOT
    What the policy file does not say, by the name of a store: the customer managed keys of its secrets, where
    replicas of its secrets are and with which keys, and the secrets whose policies were taken out while keys
    of theirs had still to die.
  EOT
  type = map(object({
    kms_key_arns         = optional(list(string), [])
    replica_regions      = optional(list(string), [])
    replica_kms_key_arns = optional(list(string), [])
    still_owed           = optional(list(string), [])
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.stores), keys(local.stores))) == 0
    error_message = "A name is not that of a store of type aws-secrets-manager in the policy file."
  }
}

variable "ledger" {
  description = <<-EOT
    What the ledger needs: its DynamoDB table, or its database user
    (arn:aws:rds-db:REGION:ACCOUNT:dbuser:RESOURCE/USER). Left out: a ledger that needs no right of AWS. The
    output `rights` of the module `state` is one. Lists, since Terraform counts what it does not know yet.
  EOT
  type = object({
    table_arns         = optional(list(string), [])
    database_user_arns = optional(list(string), [])
  })
  default = {}
}

variable "audit_key" {
  description = "The secret with the key of the audit trail, and its customer managed keys. null: the key is in a file."
  type = object({
    secret_arn   = string
    kms_key_arns = optional(list(string), [])
  })
  default = null
}
