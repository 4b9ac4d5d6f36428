# One function for passes by schedule, runs by people, and Secrets Manager's own rotation; a ledger in DynamoDB.
module "state" {
  source = "../../modules/state"
}

module "iam" {
  source = "../../modules/iam"

  service  = "lambda.amazonaws.com"
  policies = "${path.module}/policies"
  ledger   = module.state.rights

  audit_key = { secret_arn = var.audit_key_secret_arn }
}

module "function" {
  source = "../../modules/lambda"

  package              = { file = var.package }
  role                 = module.iam
  ledger_url           = module.state.ledger_url
  audit_key_secret_arn = var.audit_key_secret_arn
  native_rotation      = length(var.native) > 0
  kms_key_arn          = module.state.kms_key_arn
  alarm_topic_arns     = [var.alarm_topic_arn]
}

resource "aws_secretsmanager_secret_rotation" "native" {
  #checkov:skip=CKV_AWS_304:how often is each policy's own affair
  for_each = var.native

  secret_id           = each.value.secret_id
  rotation_lambda_arn = module.function.function_arn
  rotate_immediately  = false

  rotation_rules {
    automatically_after_days = each.value.days
  }
}

output "run_now" {
  description = "For people who may rotate at once."
  value       = module.function.run_now
}
