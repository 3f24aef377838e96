"""`tenants remove`."""

import click

from components.config.tenant import OnDelete
from scripts.cli.options import NO_APPLY, pass_context
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.tenants.removal import RemovalOptions, remove_tenant
from scripts.tokens.of_tenant import Answer
from scripts.ui.terminal import JSON_OBJECT, stdout_json


@click.command(short_help="Remove a tenant.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.option("--purge", "policy", flag_value="purge", help="Delete its data too; this overrides onDelete.")
@click.option("--retain", "policy", flag_value="retain", help="Keep its data; this overrides onDelete.")
@click.option("--revoke-tokens", "answer", flag_value="revoke", help="Revoke its tokens that were issued here.")
@click.option(
    "--keep-tokens", "answer", flag_value="keep", help="Keep its tokens valid; they open a later tenant of this name."
)
@click.option("--yes", is_flag=True, help="Do not ask, even where data is deleted. Tokens are kept.")
@click.option("--force", is_flag=True, help="Remove it even if its pods may hold data that is not in a bucket yet.")
@NO_APPLY
@JSON_OBJECT
@pass_context
def remove(
    context: Context,
    provider_name: str,
    instance: str,
    tenant: str,
    policy: OnDelete | None,
    answer: Answer | None,
    yes: bool,
    force: bool,
    no_apply: bool,
    as_json: bool,
) -> None:
    """Remove TENANT from INSTANCE. Its onDelete setting, or an option, decides about its data.

    The command lists the tokens of TENANT that were issued on this machine and are still valid. Revoke them: otherwise
    they open the next tenant of this name. If the command fails or is killed, run it again. It resumes where it stopped.
    """
    options = RemovalOptions(policy=policy, tokens=answer, yes=yes, force=force, no_apply=no_apply)
    removed = remove_tenant(context, provider_name, instance, tenant, options)
    if as_json:
        stdout_json(removed)
