# The worker's own role. What it may do is drawn from the policy file by the module in `rights`.
data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

module "rights" {
  source = "./rights"

  policies   = var.policies
  account_id = data.aws_caller_identity.this.account_id
  partition  = data.aws_partition.this.partition
  stores     = var.stores
  ledger     = var.ledger
  audit_key  = var.audit_key
}

resource "aws_iam_role" "worker" {
  name                 = var.name
  description          = "The worker of rotator: rotates the secrets of its policy file, and no others."
  permissions_boundary = var.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [merge(
      { Effect = "Allow", Principal = { Service = var.service }, Action = "sts:AssumeRole" },
      # Lambda says for no account that it asks; only who may pass the role can give it to a function.
      [
        for account in [data.aws_caller_identity.this.account_id] :
        { Condition = { StringEquals = { "aws:SourceAccount" = account } } } if var.service == "ecs-tasks.amazonaws.com"
      ]...
    )]
  })
}

resource "aws_iam_policy" "worker" {
  count = length(module.rights.worker)

  name        = "${var.name}-${count.index}"
  description = "Drawn from rotator's policy file."
  policy      = module.rights.worker[count.index]
  tags        = var.tags
}

resource "aws_iam_role_policy_attachment" "worker" {
  count = length(module.rights.worker)

  role       = aws_iam_role.worker.name
  policy_arn = aws_iam_policy.worker[count.index].arn
}
