"""The `opstrace` command."""
