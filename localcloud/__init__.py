"""The embedded cloud: AWS and Kubernetes on this machine, and the tools that they need."""
