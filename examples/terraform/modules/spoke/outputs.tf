output "role_arn" {
  description = "The input role-to-assume, and one of the hub's spokes."
  value       = aws_iam_role.spoke.arn
}
