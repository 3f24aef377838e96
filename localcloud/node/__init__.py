"""A one-node Kubernetes cluster, and AWS beside it, in namespaces of their own."""
