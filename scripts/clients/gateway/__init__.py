"""Clients of the gateway: whether a client reaches it, what it answers, and what its pods have loaded."""
