variable "name" {
  description = "Of the role and its policies."
  type        = string
  default     = "rotator"
}

variable "service" {
  description = "Who runs the worker: ecs-tasks.amazonaws.com or lambda.amazonaws.com."
  type        = string

  validation {
    condition     = contains(["ecs-tasks.amazonaws.com", "lambda.amazonaws.com"], var.service)
    error_message = "ecs-tasks.amazonaws.com or lambda.amazonaws.com."
  }
}

variable "policies" {
  description = "The policy file, or the folder, that the worker is given. It is read here: its secrets are the only ones allowed."
  type        = string
}

variable "stores" {
  description = "See `rights`: keys, replicas and owed secrets of a store, by its name in the policy file."
  type = map(object({
    kms_key_arns         = optional(list(string), [])
    replica_regions      = optional(list(string), [])
    replica_kms_key_arns = optional(list(string), [])
    still_owed           = optional(list(string), [])
  }))
  default = {}
}

variable "ledger" {
  description = "The output `rights` of the module `state`."
  type = object({
    table_arns         = optional(list(string), [])
    database_user_arns = optional(list(string), [])
  })
  default = {}
}

variable "permissions_boundary" {
  description = "An account's own limit of roles, if it has one."
  type        = string
  default     = null
}

variable "tags" {
  description = "Of everything that is made here."
  type        = map(string)
  default     = {}
}

variable "audit_key" {
  description = "The secret with the key of the audit trail, and its customer managed keys. null: the key is in a file."
  type = object({
    secret_arn   = string
    kms_key_arns = optional(list(string), [])
  })
  default = null
}
