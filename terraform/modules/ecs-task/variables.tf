variable "name" {
  description = "Of the task, its log group, its roles and its alarms."
  type        = string
}

variable "image" {
  description = "See `containers`: an image with the policy files in it, by its digest."
  type        = string
}

variable "repository_arn" {
  description = "The image's ECR repository; null for an image that needs no rights."
  type        = string
  default     = null
}

variable "runs" {
  description = "What the task is: `daemon`, or one `tick`."
  type        = string
}

variable "every" {
  description = "How often a daemon looks what is due."
  type        = string
  default     = "15s"
}

variable "role_arn" {
  description = "The worker's role: `role_arn` of the module `iam`."
  type        = string
}

variable "ledger_url" {
  description = "`ledger_url` of the module `state`."
  type        = string
}

variable "audit_key_secret_arn" {
  description = "The secret with the key of the audit trail; `audit_key` of the module `iam` names the same."
  type        = string
}

variable "sentry_dsn_secret_arn" {
  description = "The secret with SENTRY_DSN, or null."
  type        = string
  default     = null
}

variable "sentry_dsn_kms_key_arn" {
  description = "The customer managed key of that secret, or null."
  type        = string
  default     = null
}

variable "environment" {
  description = "Further variables of the worker, such as HTTPS_PROXY; never a secret."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "Where the task runs: private subnets of this VPC."
  type        = string
}

variable "database" {
  description = "`database` of the module `state`: its security group is opened for the task."
  type = object({
    security_group_id = string
    port              = number
  })
  default = null
}

variable "cpu" {
  description = "CPU units of the task."
  type        = number
  default     = 256
}

variable "memory" {
  description = "MiB of the task."
  type        = number
  default     = 512
}

variable "architecture" {
  description = "That of the image: ARM64 or X86_64."
  type        = string
  default     = "ARM64"
}

variable "log_retention_days" {
  description = "The log holds the anchors of the audit trail: keep it as long as you must be able to prove."
  type        = number
  default     = 400
}

variable "kms_key_arn" {
  description = "`kms_key_arn` of the module `state`: of the log group."
  type        = string
}

variable "tags" {
  description = "Of everything that is made here."
  type        = map(string)
  default     = {}
}
