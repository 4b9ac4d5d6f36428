# The task itself, shared by `ecs-daemon` and `ecs-cron`.
data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

module "containers" {
  source = "./containers"

  image                 = var.image
  runs                  = var.runs
  every                 = var.every
  ledger_url            = var.ledger_url
  audit_key_secret_arn  = var.audit_key_secret_arn
  sentry_dsn_secret_arn = var.sentry_dsn_secret_arn
  environment           = var.environment
  log_group             = aws_cloudwatch_log_group.this.name
  region                = data.aws_region.this.region
}

resource "aws_ecs_task_definition" "this" {
  family                   = var.name
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.cpu
  memory                   = var.memory
  task_role_arn            = var.role_arn
  execution_role_arn       = aws_iam_role.execution.arn
  container_definitions    = module.containers.json
  tags                     = var.tags

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.architecture
  }

  volume {
    name = module.containers.volume
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/ecs/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}
