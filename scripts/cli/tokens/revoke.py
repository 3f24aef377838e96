"""`ta-revoke-token`."""

import click

from scripts.cli.options import NO_APPLY, pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tenants.apply import InstanceEdit
from scripts.trust.revocation import revoke_tokens
from scripts.ui.durations import Moment


@click.command(short_help="Revoke single tokens.")
@PROVIDER
@click.argument("instance")
@click.argument("tokens", metavar="JTI|FILE...", nargs=-1, required=True)
@click.option(
    "--expires",
    type=Moment(),
    help="End of tokens whose end is unknown: an instant (RFC 3339), or 90d from now. A year has 365.25 days.",
)
@NO_APPLY
@pass_context
def ta_revoke_token(
    context: Context, provider_name: str, instance: str, tokens: tuple[str, ...], expires: int | None, no_apply: bool
) -> None:
    """Let INSTANCE refuse tokens. Name each by its id (JTI), or by a FILE that holds it; `-` is standard input.

    The entry of a token stays until the token ends. Its end is the latest that its file, the ledger of issued tokens,
    or --expires gives. The end in a file counts if a key without limits that INSTANCE accepts has signed the token. An argument in the form of an id of `ta-create-token` is always an id: write `./NAME` for a file of that
    name. The command removes entries of tokens that have ended.
    """
    revoke_tokens(
        InstanceEdit(context=context, provider_name=provider_name, instance=instance, no_apply=no_apply),
        tokens,
        expires,
    )
