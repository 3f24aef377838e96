"""The one tree of errors that are the user's to mend.

Everything raised from here is shown as one line `error: …` without a traceback;
any other exception is a fault of ours and keeps its traceback.
"""


class UserError(Exception):
    """Something the user can put right. The text names the value, the reason and the remedy."""


class ConfigError(UserError):
    """The stack's configuration is refused. The text lists every problem found, one a line."""


class KeyFileError(UserError):
    """A key file is missing, unreadable, or does not hold a key that can be used."""


class TokenError(UserError):
    """What should be a tenant API token is none. The text never holds any of it."""
