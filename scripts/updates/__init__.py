"""Updates of several stacks of one instance side by side."""
