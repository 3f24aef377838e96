"""Stand-ins for the engine's official plugins, for a machine that cannot download these.

They speak the engine's own protocol and are found under the official plugins' names
and versions, so that the program and its state are the same with either kind.
"""
