variable "region" {
  description = "Where the worker runs."
  type        = string
  default     = "eu-west-1"
}

variable "package" {
  description = "The zip file, with the folder `policies` in it."
  type        = string
}

variable "native" {
  description = "By policy: the secret's id, and the days between rotations, of policies that say `trigger: secrets-manager`."
  type = map(object({
    secret_id = string
    days      = number
  }))
  default = {}
}

variable "alarm_topic_arn" {
  description = "An SNS topic that people read, which CloudWatch may publish to."
  type        = string
}

variable "audit_key_secret_arn" {
  description = "A secret with 64 hexadecimal digits, made by a person."
  type        = string
}
