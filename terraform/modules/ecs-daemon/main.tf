# The daemon as a service. Workers share the ledger, which says who does what: several may run at once, also
# while a deployment replaces one by another.
resource "aws_ecs_service" "this" {
  name             = var.name
  cluster          = var.cluster_arn
  task_definition  = var.task.task_definition_arn
  desired_count    = var.workers
  launch_type      = "FARGATE"
  platform_version = "LATEST"
  propagate_tags   = "SERVICE"
  tags             = var.tags

  # Nobody opens a shell beside admin credentials.
  enable_execute_command = false

  # A task that does not become healthy is taken back: that one's policies were refused, or its ledger.
  wait_for_steady_state              = true
  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.task.security_group_id]
    assign_public_ip = false
  }

  # A service that was rolled back is steady too: only its revision tells.
  lifecycle {
    postcondition {
      condition     = self.task_definition == var.task.task_definition_arn
      error_message = "ECS took the deployment back: the log of the stopped task says why."
    }
  }
}
