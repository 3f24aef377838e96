"""The commands for keys and tokens: `opstrace ta-…`."""
