variable "region" {
  description = "Where the worker runs."
  type        = string
  default     = "eu-west-1"
}

variable "image" {
  description = "The image that the Dockerfile beside makes, by its digest."
  type        = string
}

variable "repository_arn" {
  description = "Its ECR repository."
  type        = string
}

variable "audit_key_secret_arn" {
  description = "A secret with 64 hexadecimal digits, made by a person."
  type        = string
}

variable "cluster_arn" {
  description = "An ECS cluster."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of the subnets."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a NAT gateway, in two zones."
  type        = list(string)
}

variable "alarm_topic_arn" {
  description = "An SNS topic that people read, which CloudWatch and EventBridge may publish to."
  type        = string
}
