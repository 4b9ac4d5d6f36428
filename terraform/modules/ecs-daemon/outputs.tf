output "service_arn" {
  description = "The service."
  value       = aws_ecs_service.this.id
}
