"""The gateway: Envoy, its configuration, its filters and the files it watches."""
