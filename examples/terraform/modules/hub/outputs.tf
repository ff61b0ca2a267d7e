output "role_arn" {
  description = "The input hub-role-to-assume, and hub_role of the spokes."
  value       = aws_iam_role.hub.arn
}
