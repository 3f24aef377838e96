"""The context of a command: its stack files, and the clients of its provider."""
