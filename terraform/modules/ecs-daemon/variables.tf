variable "name" {
  description = "Of the service."
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
  description = "The module `ecs-task` that runs a daemon."
  type = object({
    task_definition_arn = string
    security_group_id   = string
  })
}

variable "workers" {
  description = "Two go on while a zone is away; more than two are not faster than providers allow. 0 stops the worker, see docs/deploy/ecs.md."
  type        = number
  default     = 2

  validation {
    condition     = contains([0, 1, 2], var.workers)
    error_message = "0, 1 or 2."
  }
}

variable "tags" {
  description = "Of the service and its tasks."
  type        = map(string)
  default     = {}
}
