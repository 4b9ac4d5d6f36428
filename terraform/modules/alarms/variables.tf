variable "name" {
  description = "Of the worker whose log is watched."
  type        = string
}

variable "log_group_name" {
  description = "Where its log is."
  type        = string
}

variable "topic_arns" {
  description = "SNS topics that people hear of alarms by."
  type        = list(string)

  validation {
    condition     = length(var.topic_arns) > 0
    error_message = "Name a topic: an alarm that nobody hears is none."
  }
}

variable "tags" {
  description = "Of everything that is made here."
  type        = map(string)
  default     = {}
}
