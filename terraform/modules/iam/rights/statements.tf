# Of what may be unknown while Terraform plans (a key or a table that is made in the same run) only values are
# used here, never to count by.
locals {
  suffix = var.partition == "aws-cn" ? "amazonaws.com.cn" : "amazonaws.com"

  # IAM allows 6,144 characters in a managed policy: 20 secrets in each.
  entries = {
    for holder in local.everybody : holder => concat(
      [for arn in local.rotated_arns[holder] : { sid = "Rotate", action = local.rotating, arn = arn }],
      [for arn in local.read_arns[holder] : { sid = "Read", action = local.reading, arn = arn }],
      [for arn in local.replica_arns[holder] : { sid = "ReadReplicas", action = local.reading_replica, arn = arn }],
    )
  }
  on_secrets = {
    for holder, entries in local.entries : holder => [
      for page in chunklist(entries, 20) : [
        for sid in distinct(page[*].sid) : {
          Sid      = sid
          Effect   = "Allow"
          Action   = [for each in page : each.action if each.sid == sid][0]
          Resource = [for each in page : each.arn if each.sid == sid]
        }
      ]
    ]
  }

  # A key is used through Secrets Manager of its own region, and through nothing else. One key may serve secrets
  # that are rotated and others that are only read.
  on_keys = {
    for holder in local.everybody : holder => [
      for each in [
        {
          Sid      = "UseAuditKeysKey"
          Action   = local.key_of_read
          Resource = flatten([for each in var.audit_key[*] : each.kms_key_arns if holder == "worker"])
        },
        {
          Sid      = "UseKeys"
          Action   = local.key_of_rotated
          Resource = flatten([for name, store in var.stores : store.kms_key_arns if local.holders[name] == holder])
        },
        {
          Sid      = "UseReplicaKeys"
          Action   = local.key_of_read
          Resource = flatten([for name, store in var.stores : store.replica_kms_key_arns if local.holders[name] == holder])
        },
        ] : merge(each, {
          Effect = "Allow"
          Condition = { StringEquals = { "kms:ViaService" = distinct([
            for arn in each.Resource : "secretsmanager.${split(":", arn)[3]}.${local.suffix}"
          ]) } }
      }) if length(each.Resource) > 0
    ]
  }

  roles = sort([for holder in local.everybody : holder if holder != "worker"])
  of_the_worker = [
    for each in [
      { Sid = "AssumeRoles", Action = local.assuming, Resource = local.roles },
      { Sid = "ReadAuditKey", Action = local.reading_audit_key, Resource = var.audit_key[*].secret_arn },
      { Sid = "KeepLedger", Action = local.keeping, Resource = var.ledger.table_arns },
      {
        Sid      = "AskLedger"
        Action   = local.asking_index
        Resource = flatten([for arn in var.ledger.table_arns : [for name in local.indexes : "${arn}/index/${name}"]])
      },
      { Sid = "LogIntoLedger", Action = local.logging_in, Resource = var.ledger.database_user_arns },
    ] : merge(each, { Effect = "Allow" }) if length(each.Resource) > 0
  ]

  documents = {
    for holder in local.everybody : holder => [
      for statements in concat(
        local.on_secrets[holder],
        [
          for others in [concat(
            local.on_keys[holder], local.on_consumers[holder], holder == "worker" ? local.of_the_worker : [],
          )] : others if length(others) > 0
        ],
      ) : jsonencode({ Version = "2012-10-17", Statement = statements })
    ]
  }
}
