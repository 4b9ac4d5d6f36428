variable "name" {
  description = "Of the function, its log group, its schedule and its queue."
  type        = string
  default     = "rotator"
}

variable "package" {
  description = <<-EOT
    The zip file with rotator, its packages and the folder `policies` (docs/deploy/lambda.md), here or in S3. A
    file in S3 is named by its version.
  EOT
  type = object({
    file       = optional(string)
    s3_bucket  = optional(string)
    s3_key     = optional(string)
    s3_version = optional(string)
  })

  validation {
    condition     = (var.package.file != null) != alltrue([var.package.s3_bucket != null, var.package.s3_key != null, var.package.s3_version != null])
    error_message = "Give a file, or all of s3_bucket, s3_key and s3_version."
  }
}

variable "architecture" {
  description = "That of the packages in the file: arm64 or x86_64."
  type        = string
  default     = "arm64"
}

variable "role" {
  description = "The module `iam`, made for lambda.amazonaws.com."
  type = object({
    role_arn  = string
    role_name = string
  })
}

variable "ledger_url" {
  description = "`ledger_url` of the module `state`."
  type        = string

  validation {
    condition     = can(regex("^(dynamodb|postgres|postgresql)://", var.ledger_url))
    error_message = "A function has no disk that lasts: the ledger is a DynamoDB table or a PostgreSQL database."
  }
}

variable "environment" {
  description = "Further variables of the function; never a secret: whoever may read its configuration reads them."
  type        = map(string)
  default     = {}
}

variable "timeout" {
  description = "Seconds. No effect begins that could not end before: an effect takes 25 at most, a pass should have several."
  type        = number
  default     = 300

  validation {
    condition     = var.timeout >= 60 && var.timeout <= 900
    error_message = "60 to 900 seconds."
  }
}

variable "memory" {
  description = "MiB. More memory is more CPU: a shorter cold start."
  type        = number
  default     = 512
}

variable "concurrency" {
  description = "How many may run at once: passes, rotations that Secrets Manager asks for, and people's."
  type        = number
  default     = 5

  validation {
    condition     = var.concurrency >= 2
    error_message = "At least 2: a person's run must not wait for a pass."
  }
}

variable "schedule" {
  description = "How often a pass begins. It finishes what was begun before it, by whatever event."
  type        = string
  default     = "rate(5 minutes)"
}

variable "enabled" {
  description = "false: no scheduled pass begins any more, see docs/deploy/lambda.md."
  type        = bool
  default     = true
}

variable "native_rotation" {
  description = "Whether Secrets Manager may call the function for secrets of this account, whose policies say `trigger: secrets-manager`."
  type        = bool
  default     = false
}

variable "network" {
  description = "Private subnets with a way out, and security groups: for a database, or providers that know your address. null: AWS's own network."
  type = object({
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  default = null
}

variable "log_retention_days" {
  description = "The log holds the anchors of the audit trail: keep it as long as you must be able to prove."
  type        = number
  default     = 400
}

variable "kms_key_arn" {
  description = "`kms_key_arn` of the module `state`: of the log group and the variables."
  type        = string
}

variable "alarm_topic_arns" {
  description = "SNS topics that people hear of alarms by."
  type        = list(string)
}

variable "tags" {
  description = "Of everything that is made here."
  type        = map(string)
  default     = {}
}

variable "audit_key_secret_arn" {
  description = "The secret with the key of the audit trail; `audit_key` of the module `iam` names the same."
  type        = string
}
