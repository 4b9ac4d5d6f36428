resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:a schedule holds names alone, and AWS encrypts it with a key of its own
  name                = var.name
  description         = "One pass of rotator over what is due"
  schedule_expression = var.schedule
  state               = var.enabled ? "ENABLED" : "DISABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    input    = jsonencode({ rotator = "tick" })
    arn      = aws_lambda_function.this.arn
    role_arn = aws_iam_role.scheduler.arn

    # A pass that could not be started soon is made by the next one.
    retry_policy {
      maximum_retry_attempts       = 2
      maximum_event_age_in_seconds = 120
    }

    dead_letter_config {
      arn = aws_sqs_queue.lost.arn
    }
  }
}

resource "aws_iam_role" "scheduler" {
  name        = "${var.name}-scheduler"
  description = "EventBridge Scheduler: calls one function, and nothing else."
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "call"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Call"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = aws_lambda_function.this.arn
      },
      {
        Sid      = "TellWhatWasNotCalled"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.lost.arn
      },
    ]
  })
}
