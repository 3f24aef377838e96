"""The collectors: they send the logs and metrics of the cluster to the system tenant."""
