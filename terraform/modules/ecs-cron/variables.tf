variable "name" {
  description = "Of the schedule, its role and its queue."
  type        = string
  default     = "rotator"
}

variable "cluster_arn" {
  description = "The ECS cluster."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a way out to the providers."
  type        = list(string)
}

variable "task" {
  description = "The module `ecs-task` that runs a tick."
  type = object({
    task_definition_arn    = string
    task_definition_family = string
    execution_role_arn     = string
    security_group_id      = string
  })
}

variable "role_arn" {
  description = "The worker's role: `role_arn` of the module `iam`."
  type        = string
}

variable "schedule" {
  description = "Short: a new key is verified within one pass, but grace, back-off and revocation go on only when a pass comes."
  type        = string
  default     = "rate(5 minutes)"
}

variable "enabled" {
  description = "false: no pass begins any more, see docs/deploy/ecs.md."
  type        = bool
  default     = true
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
