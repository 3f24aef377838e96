"""The embedded default: tool chain, AWS and Kubernetes on this machine."""
