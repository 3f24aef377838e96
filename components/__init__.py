"""What Pulumi declares: an instance, its tenants, their configuration."""
