# Two workers as a service, with a ledger in DynamoDB.
module "state" {
  source = "../../modules/state"
}

module "iam" {
  source = "../../modules/iam"

  service  = "ecs-tasks.amazonaws.com"
  policies = "${path.module}/policies"
  ledger   = module.state.rights

  audit_key = { secret_arn = var.audit_key_secret_arn }
}

module "task" {
  source = "../../modules/ecs-task"

  name                 = "rotator"
  runs                 = "daemon"
  image                = var.image
  repository_arn       = var.repository_arn
  role_arn             = module.iam.role_arn
  ledger_url           = module.state.ledger_url
  database             = module.state.database
  audit_key_secret_arn = var.audit_key_secret_arn
  vpc_id               = var.vpc_id
  kms_key_arn          = module.state.kms_key_arn
}

module "service" {
  source = "../../modules/ecs-daemon"

  cluster_arn = var.cluster_arn
  subnet_ids  = var.subnet_ids
  task        = module.task
}

module "alarms" {
  source = "../../modules/alarms"

  name           = "rotator"
  log_group_name = module.task.log_group_name
  topic_arns     = [var.alarm_topic_arn]
}
