"""The resources of an instance, except those of its tenants."""
