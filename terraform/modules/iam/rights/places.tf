# Where each secret is, as IAM names it. A secret's ARN ends with six characters that AWS drew: a name stands
# for `NAME-??????`, six characters and no more, so that it never matches another secret's longer name.
locals {
  accounts = {
    for name, store in local.stores : name => {
      partition = try(split(":", store.role_arn)[1], var.partition)
      account   = try(split(":", store.role_arn)[4], var.account_id)
    }
  }

  # By "STORE SECRET", in the file's own spelling.
  named = merge([
    for each in concat(local.rotated, local.owed, local.read) : { "${each.store} ${each.secret}" = each }
  ]...)
  arns = {
    for key, each in local.named : key => (
      can(regex("^arn:.*-[A-Za-z0-9]{6}$", each.secret)) ? each.secret :
      startswith(each.secret, "arn:") ? "${each.secret}-??????" :
      format(
        "arn:%s:secretsmanager:%s:%s:secret:%s-??????",
        local.accounts[each.store].partition,
        local.stores[each.store].region,
        local.accounts[each.store].account,
        each.secret,
      )
    )
  }

  rotated_arns = {
    for holder in local.everybody : holder => sort(distinct([
      for each in concat(local.rotated, local.owed) : local.arns["${each.store} ${each.secret}"]
      if local.holders[each.store] == holder
    ]))
  }
  read_arns = {
    for holder in local.everybody : holder => sort(setsubtract([
      for each in local.read : local.arns["${each.store} ${each.secret}"] if local.holders[each.store] == holder
    ], local.rotated_arns[holder]))
  }

  # A replica has its primary's ARN but for the region. Only what was promoted is looked for there.
  replica_arns = {
    for holder in local.everybody : holder => sort(distinct(flatten([
      for each in concat(local.rotated, local.owed) : [
        for region in try(var.stores[each.store].replica_regions, []) :
        join(":", concat(
          slice(split(":", local.arns["${each.store} ${each.secret}"]), 0, 3),
          [region],
          slice(split(":", local.arns["${each.store} ${each.secret}"]), 4, 7),
        ))
      ] if local.holders[each.store] == holder
    ])))
  }
}
