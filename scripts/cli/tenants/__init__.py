"""The commands of `opstrace tenants`."""
