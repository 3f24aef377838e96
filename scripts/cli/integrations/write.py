"""`integrations write`."""

from pathlib import Path

import click

from scripts.cli.options import pass_context
from scripts.cli.tokens.options import EXPIRES_IN
from scripts.clients.providers import PROVIDER
from scripts.context.context import Context
from scripts.integrations.catalog import FORMATS
from scripts.integrations.request import Request, parse_namespace_map
from scripts.integrations.write import write_integration
from scripts.tokens.passphrase import PASSPHRASE_FILE
from scripts.ui.terminal import note

LOCAL_NAMES = (
    "Most clients do not resolve names below localhost. Add the host names in the file to /etc/hosts with the address "
    "127.0.0.1."
)


@click.command(short_help="Write a client's configuration.")
@PROVIDER
@click.argument("instance")
@click.argument("tenant")
@click.argument("format_name", metavar="FORMAT", type=click.Choice([*FORMATS]))
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default=".", help="Folder for the files.  [default: .]"
)
@click.option("--id", "integration_id", help="ID of an integration to update in place. Default: a new one.")
@click.option(
    "--token-file",
    "token_files",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Token of the client; repeatable.",
)
@click.option(
    "--create-token",
    type=click.Path(path_type=Path),
    metavar="KEYPAIR_FILE",
    help="Make a token with the scopes that the client needs, signed with this key pair.",
)
@EXPIRES_IN
@PASSPHRASE_FILE
@click.option("--secret", help="For Kubernetes: name of the Secret that has the token files.")
@click.option(
    "--namespace-map", metavar="NS=TENANT,...", help="Tenants of Kubernetes namespaces. Default: TENANT for all."
)
@click.option("--namespace", help="Namespace of the collector's pods.  [default: opstrace-integration]")
@click.option("--client-folder", help="Folder of the files on the client's machine. Default: where they are now.")
@click.option("--ca-file", type=click.Path(path_type=Path), help="CA of the gateway's certificates, if it is your own.")
@click.option("--proxy", metavar="URL", help="Proxy between client and gateway, as http://HOST:PORT.")
@click.option("--scrape", multiple=True, metavar="[JOB=]HOST:PORT", help="Target to scrape; repeatable.")
@click.option("--log-file", "log_files", multiple=True, metavar="PATTERN", help="Log files to follow; repeatable.")
@click.option("--force", is_flag=True, help="Replace files that exist already. Do not ask.")
@pass_context
def write(
    context: Context,
    provider_name: str,
    instance: str,
    tenant: str,
    format_name: str,
    output: Path,
    integration_id: str | None,
    token_files: tuple[Path, ...],
    create_token: Path | None,
    seconds: int,
    passphrase_file: Path | None,
    secret: str | None,
    namespace_map: str | None,
    namespace: str | None,
    client_folder: str | None,
    ca_file: Path | None,
    proxy: str | None,
    scrape: tuple[str, ...],
    log_files: tuple[str, ...],
    force: bool,
) -> None:
    """Write a configuration with which a client sends data to TENANT of INSTANCE, and print the integration ID.

    `./opstrace integrations list` shows the formats. The file names a token file; it contains no token. Every series and
    every line gets the label integration_id. With --id, the command replaces the files of that integration.
    """
    written = write_integration(
        context,
        Request(
            provider=provider_name,
            instance=instance,
            tenant=tenant,
            format=FORMATS[format_name],
            output=output,
            id=integration_id,
            token_files=token_files,
            create_token=create_token,
            seconds=seconds,
            passphrase_file=passphrase_file,
            client_folder=client_folder,
            ca_file=ca_file,
            proxy=proxy,
            namespaces=() if namespace_map is None else parse_namespace_map(namespace_map),
            scrape=scrape,
            log_files=log_files,
            secret=secret,
            namespace=namespace,
            force=force,
        ),
    )
    note(f"Written: {', '.join(map(str, written.paths))}")
    for line in written.notes:
        note(line)
    if context.provider(provider_name).is_local:
        note(LOCAL_NAMES)
    click.echo(written.id)
