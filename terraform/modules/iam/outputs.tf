output "role_arn" {
  description = "The worker's role. It is ready once its policies are attached."
  value       = aws_iam_role.worker.arn
  depends_on  = [aws_iam_role_policy_attachment.worker]
}

output "role_name" {
  description = "The same, by name."
  value       = aws_iam_role.worker.name
  depends_on  = [aws_iam_role_policy_attachment.worker]
}

output "roles" {
  description = "For stores with a role_arn: what that role must be allowed in its own account, by its ARN."
  value       = module.rights.roles
}

output "consumers" {
  description = "By policy: the document for those who read the secret."
  value       = module.rights.consumers
}

output "secrets" {
  description = "By policy: the secret's ARN, or the pattern that stands for its name."
  value       = module.rights.secrets
}
