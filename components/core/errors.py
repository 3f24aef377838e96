"""The errors that a user can correct, and the engine's that a second try corrects.

The command prints each of a user's as one line `error: …` without a traceback. Any other exception is a bug and keeps
its traceback.
"""

import re

# How the engine reports a state file that is being written. A file backend does not replace a stack's files at once
# (gocloud's fileblob), so a reader may find one that is empty or half written.
HALF_WRITTEN = re.compile(r"\bEOF\b|unexpected end of JSON")
HALF_WRITTEN_SECONDS = 5  # how long such a file is read again


class UserError(Exception):
    """An error that the user can correct. The text has the value, the reason and the remedy."""


class ConfigError(UserError):
    """The stack's configuration is invalid. The text lists every problem on a line of its own."""


class KeyFileError(UserError):
    """A key file is missing or unreadable, or contains no usable key."""


class TokenError(UserError):
    """A text is not a tenant API token. The error never quotes any of the text."""
