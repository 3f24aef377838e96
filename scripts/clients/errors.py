"""The errors that a user can repair. Any other is a fault of the command."""

from botocore.exceptions import BotoCoreError, ClientError

from components.core.errors import UserError

REPAIRABLE = (UserError, OSError, BotoCoreError, ClientError)
"""Of settings, files and connections, of AWS's clients, and of AWS's answers."""
