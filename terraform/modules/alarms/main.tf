# What a log tells, for those who have no Sentry: an alarm of rotator's, and that nothing was heard for a day.
locals {
  metrics = "Rotator/${var.name}"
}

resource "aws_cloudwatch_log_metric_filter" "errors" {
  name           = "${var.name}-errors"
  log_group_name = var.log_group_name
  pattern        = "{ $.level = \"error\" || $.level = \"critical\" }"

  metric_transformation {
    namespace = local.metrics
    name      = "Errors"
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  alarm_name          = "${var.name}-errors"
  alarm_description   = "rotator told an alarm: see `rotator status`, and ${var.log_group_name}."
  namespace           = local.metrics
  metric_name         = "Errors"
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.topic_arns
  ok_actions          = var.topic_arns
  tags                = var.tags
}

# Once a day one worker compares providers, stores and the ledger, and says so. It is the one line that must
# come even where nothing is due: after 30 hours without it nobody watches the keys.
resource "aws_cloudwatch_log_metric_filter" "heartbeat" {
  name           = "${var.name}-heartbeat"
  log_group_name = var.log_group_name
  pattern        = "{ $.event = \"reconciled: *\" }"

  metric_transformation {
    namespace = local.metrics
    name      = "Heartbeat"
    value     = "1"
    unit      = "Count"
  }
}

resource "aws_cloudwatch_metric_alarm" "heartbeat" {
  alarm_name          = "${var.name}-heartbeat"
  alarm_description   = "No worker of rotator compared anything for 30 hours: none runs, or it cannot reach its ledger."
  namespace           = local.metrics
  metric_name         = "Heartbeat"
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 30
  datapoints_to_alarm = 30
  threshold           = 1
  comparison_operator = "LessThanThreshold"
  treat_missing_data  = "breaching"
  alarm_actions       = var.topic_arns
  ok_actions          = var.topic_arns
  tags                = var.tags
}
