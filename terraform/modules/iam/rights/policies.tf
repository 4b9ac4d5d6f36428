# What the policy file says: which secrets in which store are rotated, and which are only read.
locals {
  alone = can(file(var.policies))
  files = local.alone ? [var.policies] : concat(
    ["${var.policies}/rotator.yaml"],
    [
      for name in sort(fileset(var.policies, "*.yaml")) : "${var.policies}/${name}"
      if !startswith(name, ".") && name != "rotator.yaml"
    ],
  )
  parsed   = [for name in local.files : yamldecode(file(name))]
  main     = local.parsed[0]
  policies = flatten([for each in local.parsed : try(each.policies, [])])

  # Vault's rights are Vault's own: only secrets of Secrets Manager matter here.
  stores = { for name, store in try(local.main.stores, {}) : name => store if store.type == "aws-secrets-manager" }

  # Who has the rights on a store: the worker itself, or the role that it assumes.
  holders = { for name, store in local.stores : name => try(store.role_arn, "worker") }
  everybody = distinct(concat(
    ["worker"],
    values(local.holders),
    [for consumer in concat(local.buses, local.services) : try(consumer.role_arn, "worker")],
  ))

  rotated = [
    for policy in local.policies : {
      policy = policy.name
      store  = try(policy.store, local.main.defaults.store)
      secret = policy.secret
    } if contains(keys(local.stores), try(policy.store, local.main.defaults.store, ""))
  ]
  owed = flatten([
    for name, store in var.stores : [for secret in store.still_owed : { store = name, secret = secret }]
  ])
  admins  = [for provider in try(local.main.providers, {}) : provider.admin if can(provider.admin.store)]
  parents = [for policy in local.policies : policy["from"] if can(policy["from"].store)]
  told    = [for channel in try(local.main.notify.channels, {}) : channel.secret if can(channel.secret.store)]
  signers = [for consumer in values(local.consumers) : consumer.signing if can(consumer.signing.store)]
  read = [
    for each in concat(local.admins, local.parents, local.signers, local.told) : each
    if contains(keys(local.stores), each.store)
  ]

  # Who is told of new keys by way of AWS.
  consumers = try(local.main.consumers, {})
  buses     = [for consumer in values(local.consumers) : consumer if consumer.type == "eventbridge"]
  services  = [for consumer in values(local.consumers) : consumer if consumer.type == "ecs"]
}
