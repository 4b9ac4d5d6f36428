output "worker" {
  description = "Policy documents of the worker's own role: least rights, on exactly the secrets of the policy file."
  value       = local.documents["worker"]

  precondition {
    condition     = alltrue([for document in flatten(values(local.documents)) : length(document) <= 6144])
    error_message = "A policy document has more than IAM's 6,144 characters: secrets' names are too long."
  }
  precondition {
    condition     = alltrue([for each in concat(values(local.stores), local.buses, local.services) : !can(each.profile)])
    error_message = "A store or consumer names a profile: there is none in a task or a function. Give it a role_arn instead."
  }
}

output "roles" {
  description = "Policy documents by the ARN of each role that a store names (role_arn): the rights of that role, in its own account."
  value       = { for holder in local.roles : holder => local.documents[holder] }
}

output "consumers" {
  description = "By policy: a document for those who read the secret. AWSCURRENT and nothing else, so never a key that is not verified."
  value = {
    for each in local.rotated : each.policy => jsonencode({
      Version = "2012-10-17"
      Statement = concat(
        [{
          Sid       = "ReadCurrent"
          Effect    = "Allow"
          Action    = ["secretsmanager:GetSecretValue"]
          Resource  = [local.arns["${each.store} ${each.secret}"]]
          Condition = { "ForAnyValue:StringEquals" = { "secretsmanager:VersionStage" = ["AWSCURRENT"] } }
        }],
        [
          for keys in [try(var.stores[each.store].kms_key_arns, [])] : {
            Sid      = "UseKeys"
            Effect   = "Allow"
            Action   = local.key_of_read
            Resource = keys
            Condition = { StringEquals = { "kms:ViaService" = distinct([
              for arn in keys : "secretsmanager.${split(":", arn)[3]}.${local.suffix}"
            ]) } }
          } if length(keys) > 0
        ],
      )
    })
  }
}

output "secrets" {
  description = "By policy: the secret's ARN, or the pattern that stands for its name."
  value       = { for each in local.rotated : each.policy => local.arns["${each.store} ${each.secret}"] }
}
