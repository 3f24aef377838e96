"""Running the Pulumi engine, and repairing its state after a crash."""
