output "json" {
  description = "Container definitions, as a task definition takes them."
  value       = jsonencode([local.worker])
}

output "volume" {
  description = "The task's own disk, which ends with it."
  value       = local.volume
}
