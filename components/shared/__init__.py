"""Resource options, pods and certificates that the instance, its tenants and the gateway share."""
