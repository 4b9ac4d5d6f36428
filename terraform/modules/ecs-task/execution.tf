# What ECS itself does for the task, before the worker begins: pull, fetch SENTRY_DSN if there is one, write the log.
resource "aws_iam_role" "execution" {
  name        = "${var.name}-execution"
  description = "ECS, on behalf of ${var.name}: its image, its log. No secret that is rotated."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "execution" {
  name = "start"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "WriteLog"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = "${aws_cloudwatch_log_group.this.arn}:*"
        },
      ],
      [
        for arn in var.sentry_dsn_secret_arn[*] : {
          Sid      = "FetchSentryDsn"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = arn
        }
      ],
      [
        for arn in var.sentry_dsn_kms_key_arn[*] : {
          Sid      = "DecryptSentryDsn"
          Effect   = "Allow"
          Action   = "kms:Decrypt"
          Resource = arn
          Condition = {
            StringEquals = {
              "kms:ViaService" = "secretsmanager.${data.aws_region.this.region}.${data.aws_partition.this.dns_suffix}"
            }
          }
        }
      ],
      flatten([
        for arn in var.repository_arn[*] : [
          {
            Sid      = "PullImage"
            Effect   = "Allow"
            Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
            Resource = arn
          },
          {
            Sid      = "LogIntoRegistry" # has no resource: it is the account's
            Effect   = "Allow"
            Action   = "ecr:GetAuthorizationToken"
            Resource = "*"
          },
        ]
      ]),
    )
  })
}
