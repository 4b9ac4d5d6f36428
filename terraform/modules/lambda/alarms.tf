module "alarms" {
  source = "../alarms"

  name           = var.name
  log_group_name = aws_cloudwatch_log_group.this.name
  topic_arns     = var.alarm_topic_arns
  tags           = var.tags
}

locals {
  watched = {
    errors    = { namespace = "AWS/Lambda", metric = "Errors", statistic = "Sum", of = { FunctionName = var.name }, means = "A run of the function failed or was killed" }
    throttles = { namespace = "AWS/Lambda", metric = "Throttles", statistic = "Sum", of = { FunctionName = var.name }, means = "More runs were asked for than may run at once" }
    lost = {
      namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", statistic = "Maximum", of = { QueueName = "${var.name}-lost" }
      means     = "An event was not worked on; the message says which"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.watched

  alarm_name          = "${var.name}-function-${each.key}"
  alarm_description   = "rotator: ${each.value.means}. The next pass goes on from the ledger."
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.of
  statistic           = each.value.statistic
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topic_arns
  ok_actions          = var.alarm_topic_arns
  tags                = var.tags
}
