output "function_arn" {
  description = "`rotation_lambda_arn` of secrets with native rotation."
  value       = aws_lambda_function.this.arn

  # Secrets Manager tries to call it as soon as it is named.
  depends_on = [aws_lambda_permission.secrets_manager]
}

output "run_now" {
  description = "The policy document of people who may rotate at once: they may call the function."
  value = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "RunNow"
      Effect   = "Allow"
      Action   = "lambda:InvokeFunction"
      Resource = aws_lambda_function.this.arn
    }]
  })
}

output "log_group_name" {
  description = "Where the log is."
  value       = aws_cloudwatch_log_group.this.name
}
