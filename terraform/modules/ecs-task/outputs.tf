output "task_definition_arn" {
  description = "This revision of the task."
  value       = aws_ecs_task_definition.this.arn
}

output "task_definition_family" {
  description = "Its ARN without the revision."
  value       = aws_ecs_task_definition.this.arn_without_revision
}

output "execution_role_arn" {
  description = "The role of ECS itself."
  value       = aws_iam_role.execution.arn
}

output "security_group_id" {
  description = "Of the task."
  value       = aws_security_group.this.id
}

output "log_group_name" {
  description = "Where the worker's log is."
  value       = aws_cloudwatch_log_group.this.name
}
