"""The stand-in for the AWS plugin: one module of resource types for each AWS service."""
