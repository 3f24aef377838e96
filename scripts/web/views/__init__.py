"""The views of the tenants page: each answers requests by the services of the commands."""
