# The actions that rotator's adapters declare in code (RIGHTS, READING and the like); a test of the project
# compares them with the policies that come out of this module, both ways.
locals {
  rotating = [
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
  ]
  reading           = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
  reading_replica   = ["secretsmanager:GetSecretValue"]
  reading_audit_key = ["secretsmanager:GetSecretValue"]
  key_of_rotated    = ["kms:Decrypt", "kms:GenerateDataKey"]
  key_of_read       = ["kms:Decrypt"]
  assuming          = ["sts:AssumeRole"]
  logging_in        = ["rds-db:connect"]
  keeping = [
    "dynamodb:BatchGetItem",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
  ]
  telling_bus     = ["events:PutEvents"]
  telling_service = ["ecs:UpdateService"]
  asking_index    = ["dynamodb:Query"]
  indexes         = ["due", "events"]
}
