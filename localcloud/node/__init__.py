"""A Kubernetes cluster of one node in its own Linux namespaces, with the embedded AWS beside it."""
