# The worker as a function: one artefact for passes by schedule, runs by people, and Secrets Manager's rotation.
data "aws_caller_identity" "this" {}

resource "aws_lambda_function" "this" {
  #checkov:skip=CKV_AWS_50:a trace would tell other people's systems when which provider is called; the log says it
  #checkov:skip=CKV_AWS_117:providers are on the internet; `network` is for those who need a network of their own
  #checkov:skip=CKV_AWS_272:a signing profile is an account's own; the package is named by its hash or its version
  function_name = var.name
  description   = "rotator: replaces API keys on a schedule, and at once"
  role          = var.role.role_arn
  handler       = "jobs.lambda_handler.handler"
  runtime       = "python3.13"
  architectures = [var.architecture]
  timeout       = var.timeout
  memory_size   = var.memory
  kms_key_arn   = var.kms_key_arn
  tags          = var.tags

  filename          = var.package.file
  source_code_hash  = one([for file in [var.package.file] : filebase64sha256(file) if file != null])
  s3_bucket         = var.package.s3_bucket
  s3_key            = var.package.s3_key
  s3_object_version = var.package.s3_version

  # Two passes at once do no harm; a flood of them would only wait for each other.
  reserved_concurrent_executions = var.concurrency

  environment {
    variables = merge(var.environment, {
      ROTATOR_LEDGER           = var.ledger_url
      ROTATOR_AUDIT_KEY_SECRET = var.audit_key_secret_arn
      ROTATOR_POLICIES         = "/var/task/policies"
    })
  }

  # rotator's log lines are JSON already.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.lost.arn
  }

  dynamic "vpc_config" {
    for_each = var.network[*]

    content {
      subnet_ids         = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  depends_on = [aws_iam_role_policy.function]
}

# An event that failed is not sent again: the next pass goes on from the ledger.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_retry_attempts       = 0
  maximum_event_age_in_seconds = 300
}

resource "aws_lambda_permission" "secrets_manager" {
  count = var.native_rotation ? 1 : 0

  statement_id   = "secrets-manager"
  action         = "lambda:InvokeFunction"
  function_name  = aws_lambda_function.this.function_name
  principal      = "secretsmanager.amazonaws.com"
  source_account = data.aws_caller_identity.this.account_id
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sqs_queue" "lost" {
  name                      = "${var.name}-lost"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
  tags                      = var.tags
}

# What a function needs to be one; what the worker may do is in the module `iam`.
resource "aws_iam_role_policy" "function" {
  name = "function"
  role = var.role.role_name

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
        {
          Sid      = "TellWhatWasLost"
          Effect   = "Allow"
          Action   = "sqs:SendMessage"
          Resource = aws_sqs_queue.lost.arn
        },
      ],
      [
        for network in var.network[*] : {
          Sid    = "JoinNetwork" # these have no resource when Lambda itself calls them
          Effect = "Allow"
          Action = [
            "ec2:AssignPrivateIpAddresses",
            "ec2:CreateNetworkInterface",
            "ec2:DeleteNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:UnassignPrivateIpAddresses",
          ]
          Resource = "*"
        }
      ],
    )
  })
}
