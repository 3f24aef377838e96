"""The way of log tails through the gateway."""
