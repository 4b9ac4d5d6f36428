# The buses and services of consumers, as IAM names them: a name is one of the account that the worker, or the
# role of the consumer, belongs to.
locals {
  bus_arns = {
    for holder in local.everybody : holder => distinct([
      for each in local.buses : startswith(each.bus, "arn:") ? each.bus : format(
        "arn:%s:events:%s:%s:event-bus/%s",
        try(split(":", each.role_arn)[1], var.partition),
        each.region,
        try(split(":", each.role_arn)[4], var.account_id),
        each.bus,
      ) if try(each.role_arn, "worker") == holder
    ])
  }
  service_arns = {
    for holder in local.everybody : holder => distinct([
      for each in local.services : startswith(each.service, "arn:") ? each.service : format(
        "arn:%s:ecs:%s:%s:service/%s/%s",
        try(split(":", each.role_arn)[1], var.partition),
        each.region,
        try(split(":", each.role_arn)[4], var.account_id),
        reverse(split("/", each.cluster))[0],
        each.service,
      ) if try(each.role_arn, "worker") == holder
    ])
  }
  on_consumers = {
    for holder in local.everybody : holder => [
      for each in [
        { Sid = "TellBuses", Action = local.telling_bus, Resource = local.bus_arns[holder] },
        { Sid = "TellServices", Action = local.telling_service, Resource = local.service_arns[holder] },
      ] : merge(each, { Effect = "Allow" }) if length(each.Resource) > 0
    ]
  }
}
