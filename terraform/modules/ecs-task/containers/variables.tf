variable "image" {
  description = <<-EOT
    An image made from rotator's with the policy files in it (docs/deploy/ecs.md), by its digest: what runs
    is what was reviewed, and a roll-back brings the policies of then.
  EOT
  type        = string

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest: repository@sha256:…; a tag may be moved."
  }
}

variable "runs" {
  description = "What the task is: `daemon`, or one `tick`."
  type        = string

  validation {
    condition     = contains(["daemon", "tick"], var.runs)
    error_message = "daemon or tick."
  }
}

variable "every" {
  description = "How often a daemon looks what is due."
  type        = string
  default     = "15s"
}

variable "ledger_url" {
  description = "`ledger_url` of the module `state`."
  type        = string

  validation {
    condition     = can(regex("^(dynamodb|postgres|postgresql)://", var.ledger_url))
    error_message = "A task's disk does not last: the ledger is a DynamoDB table or a PostgreSQL database."
  }
}

variable "audit_key_secret_arn" {
  description = "The secret with the key of the audit trail (64 hexadecimal digits), which the worker reads as it starts."
  type        = string
}

variable "sentry_dsn_secret_arn" {
  description = "The secret with SENTRY_DSN, or null."
  type        = string
  default     = null
}

variable "environment" {
  description = "Further variables of the worker, such as HTTPS_PROXY. Never a secret: whoever may describe the task reads them."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.environment), ["SENTRY_DSN", "VAULT_TOKEN"])) == 0
    error_message = "SENTRY_DSN has a variable of its own; VAULT_TOKEN is for people (a task logs in by its role)."
  }
}

variable "log_group" {
  description = "Where the log goes."
  type        = string
}

variable "region" {
  description = "Of the log group."
  type        = string
}
