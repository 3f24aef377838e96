"""Dashboards for Grafana that show the instance, its gateway and its tenants."""
