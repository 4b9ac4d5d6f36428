variable "name" {
  description = "Of the table, the key's alias and the log groups that may be encrypted with the key."
  type        = string
  default     = "rotator"
}

variable "tags" {
  description = "Of everything that is made here."
  type        = map(string)
  default     = {}
}

variable "postgres" {
  description = <<-EOT
    A database that exists already, in place of a table: an RDS or Aurora PostgreSQL with IAM authentication,
    its resource id (DbiResourceId, or the cluster's), and the security group that guards it. `user` must be
    granted `rds_iam`. `authority` is the path of Amazon's certificate bundle in the worker's image.
  EOT
  type = object({
    host              = string
    port              = optional(number, 5432)
    database          = optional(string, "rotator")
    user              = optional(string, "rotator")
    resource_id       = string
    security_group_id = string
    authority         = optional(string, "/etc/rotator/rds.pem")
  })
  default = null
}
