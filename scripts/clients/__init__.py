"""Clients of AWS, Kubernetes and the gateway, and the checks that use them."""
