output "ledger_url" {
  description = "ROTATOR_LEDGER of every worker. It holds no password."
  value = (
    var.postgres == null
    ? "dynamodb://${one(aws_dynamodb_table.ledger[*].name)}?region=${local.region}"
    : format(
      "postgresql://%s@%s:%d/%s?aws_iam=%s&sslrootcert=%s",
      var.postgres.user, var.postgres.host, var.postgres.port, var.postgres.database, local.region,
      var.postgres.authority,
    )
  )
}

output "rights" {
  description = "What a worker must be allowed for the ledger's sake: `ledger` of the module `iam`."
  value = {
    table_arns = aws_dynamodb_table.ledger[*].arn
    database_user_arns = [
      for each in var.postgres[*] : format(
        "arn:%s:rds-db:%s:%s:dbuser:%s/%s", local.partition, local.region, local.account, each.resource_id, each.user,
      )
    ]
  }
}

output "database" {
  description = "The database's security group and port, or null: `database` of the modules that run workers."
  value = (
    var.postgres == null ? null
    : { security_group_id = var.postgres.security_group_id, port = var.postgres.port }
  )
}

output "kms_key_arn" {
  description = "The key for log groups."
  value       = aws_kms_key.this.arn
}
