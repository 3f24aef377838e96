"""Stand-ins for the engine's official plugins, for a machine that cannot download them.

They implement the engine's plugin protocol under the official names and versions, so that the program and its state are the
same with both kinds.
"""
