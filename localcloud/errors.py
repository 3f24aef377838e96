"""Errors of the embedded cloud that the user can correct."""

from components.core.errors import UserError


class ToolError(UserError):
    """A tool could not be found, fetched or built."""


class LocalCloudError(UserError):
    """The embedded cloud cannot start, stop or answer."""
