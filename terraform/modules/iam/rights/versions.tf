# No provider: what rights follow from a policy file can be evaluated anywhere, offline.
terraform {
  required_version = ">= 1.9, < 2.0"
}
