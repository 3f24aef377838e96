"""The stand-in for the Kubernetes plugin."""
