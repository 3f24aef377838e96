"""What can go wrong in the embedded cloud that the user can mend."""

from components.errors import UserError


class ToolError(UserError):
    """A tool could not be found, fetched or built."""


class LocalCloudError(UserError):
    """The embedded cloud cannot start, stop or answer."""
