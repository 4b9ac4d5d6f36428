# Where rotator remembers: a DynamoDB table, or a database that is there already. And the key for what it writes.
data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  region    = data.aws_region.this.region
}

resource "aws_kms_key" "this" {
  description             = "What ${var.name} writes: its ledger and its logs. No credential is ever in them."
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Administer"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        # As in the key aws/dynamodb: who may use the table may use its key, through DynamoDB alone.
        Sid       = "UseThroughDynamoDB"
        Effect    = "Allow"
        Principal = { AWS = "*" }
        Action = [
          "kms:CreateGrant",
          "kms:Decrypt",
          "kms:DescribeKey",
          "kms:Encrypt",
          "kms:GenerateDataKey*",
          "kms:ReEncrypt*",
        ]
        Resource = "*"
        Condition = {
          StringEquals = {
            "kms:CallerAccount" = local.account
            "kms:ViaService"    = "dynamodb.${local.region}.${data.aws_partition.this.dns_suffix}"
          }
        }
      },
      {
        Sid       = "EncryptLogs"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.${data.aws_partition.this.dns_suffix}" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:*${var.name}*"
          }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

# Keys and indexes are those of rotator/ledger/dynamodb/__init__.py; a test compares them.
resource "aws_dynamodb_table" "ledger" {
  count = var.postgres == null ? 1 : 0

  name                        = var.name
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "pk"
  range_key                   = "sk"
  deletion_protection_enabled = true
  tags                        = var.tags

  attribute {
    name = "pk"
    type = "S"
  }
  attribute {
    name = "sk"
    type = "S"
  }
  attribute {
    name = "queue"
    type = "S"
  }
  attribute {
    name = "next_at"
    type = "N"
  }
  attribute {
    name = "log"
    type = "S"
  }
  attribute {
    name = "seq"
    type = "N"
  }

  global_secondary_index {
    name               = "due"
    hash_key           = "queue"
    range_key          = "next_at"
    projection_type    = "INCLUDE"
    non_key_attributes = ["claimed_until"]
  }
  global_secondary_index {
    name               = "events"
    hash_key           = "log"
    range_key          = "seq"
    projection_type    = "INCLUDE"
    non_key_attributes = ["at", "event"]
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = aws_kms_key.this.arn
  }

  # A ledger that is lost cannot be made again: its keys would be foreign to the next one.
  lifecycle {
    prevent_destroy = true
  }
}
