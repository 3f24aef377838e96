"""The programs that hold a tenant's data: Cortex, Loki and the Alertmanager."""
