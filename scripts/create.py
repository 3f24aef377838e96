"""`create`: an instance, its tenants and their first tokens."""

import time
from collections.abc import Iterable
from pathlib import Path

import click
import jwt
from rich.table import Table

from components.config import StackConfig
from components.errors import UserError
from components.keys import canonical_pem
from components.names import (
    APIS,
    SYSTEM,
    api_url,
    doubles,
    instance_domain,
    instance_name_problem,
    tenant_name_problem,
    token_audience,
)
from scripts import applied
from scripts.engine import Engine
from scripts.guards import require_harmless
from scripts.keyfiles import new_key, write_secret
from scripts.ledger import issued
from scripts.preflight import reached, require_cluster
from scripts.probe import status_of
from scripts.providers import PROVIDER, Provider, provider
from scripts.signing import Grant, Signer
from scripts.stackfile import StackFile, literal
from scripts.terminal import note, show_table, step

FIRST_ANSWER_SECONDS = 120


def token_file(tenant: str) -> Path:
    """Return the file that `create` writes a tenant's token to, in the current folder."""
    return Path(f"tenant-api-token-{tenant}")


def _check_names(instance: str, tenants: Iterable[str]) -> None:
    names = list(tenants)
    problems = [instance_name_problem(instance), *(tenant_name_problem(tenant) for tenant in names)]
    twice = doubles(names)
    problems += [f"tenant given more than once: {', '.join(twice)}"] if twice else []
    found = [problem for problem in problems if problem]
    if found:
        raise UserError("; ".join(found))
    if not names and not StackFile(instance).settings().get("tenants"):
        raise UserError("no tenant is named: give --tenant NAME at least once, or list them in the stack's file")


def _prepared_file(instance: str, tenants: tuple[str, ...], where: Provider) -> StackFile:
    """Return the stack's file with the provider's settings and the tenants, not written yet."""
    file = StackFile(instance)
    for name, value in where.settings.items():
        file.set(name, value)
    if not file.settings().get("tenants"):
        file.set("tenants", [])
    for tenant in tenants:
        if tenant not in _tenant_names(file):
            file.entry("tenants").append({"name": tenant})
    return file


def _tenant_names(file: StackFile) -> list[str]:
    entries = file.settings()["tenants"]
    return [str(entry["name"]) for entry in entries if isinstance(entry, dict) and "name" in entry]


@click.command(short_help="Create an instance and its tenants.")
@PROVIDER
@click.argument("instance")
@click.option("--tenant", "tenants", multiple=True, help="Name of a tenant; may be given several times.")
@click.option("--context", help="For `local`: a cluster of your own, by its context, as `local up --context` takes it.")
def create(provider_name: str, instance: str, tenants: tuple[str, ...], context: str | None) -> None:
    """Create INSTANCE with its tenants, and a token file for each of them.

    For `aws`, the stack's file names account, cluster and network (stacks/Pulumi.example-aws.yaml).
    A create that did not succeed is taken up again by the same command, with a new key and new tokens.
    """
    _check_names(instance, tenants)
    started = time.monotonic()
    where = provider(provider_name, start=True, context=context)
    engine = Engine(where.environment, instance)
    there = instance in engine.stacks()
    if there and engine.has_succeeded():
        raise UserError(
            f"the instance {instance} is there already; add tenants to stacks/Pulumi.{instance}.yaml and run "
            "`pulumi up`, or destroy it first"
        )
    file = _prepared_file(instance, tenants, where)
    if not there:
        file.forget_stack()
    names = [*_tenant_names(file), SYSTEM]
    key = new_key()
    signer = Signer(key)
    _trust(file, signer.kid, canonical_pem(key.public_key()), _earlier_keys(names, instance))
    config = file.config()
    aws, cluster = reached(where.environment, config)
    require_cluster(cluster, instance)
    require_harmless(file, config, applied.tenants(engine.state()), cluster)  # where an earlier create was interrupted
    made = issued(signer, [Grant(instance, tenant, name=f"create {instance}") for tenant in names])
    for tenant, token in zip(names, made, strict=True):
        token_file(tenant).unlink(missing_ok=True)  # of this instance, and of a key that is trusted no more
        write_secret(token_file(tenant), token.encode())
    file.write()
    engine.ensure_stack()
    engine.up(aws, cluster)
    _await_answers(config, instance, where)
    _show(config, instance, where, names, time.monotonic() - started)


def _earlier_keys(tenants: list[str], instance: str) -> set[str]:
    """Return the ids of the keys of an earlier create of this instance, by its token files in this folder.

    Raises `UserError` where a file is something else: it would be lost.
    """
    found = set()
    for path in filter(Path.exists, map(token_file, tenants)):
        try:
            token = path.read_text()
            claims = jwt.decode(token, options={"verify_signature": False})
            if claims["aud"] == token_audience(instance):
                found.add(str(jwt.get_unverified_header(token).get("kid")))
                continue
        except (jwt.PyJWTError, UnicodeDecodeError, KeyError):
            pass
        raise UserError(
            f"{path} is there already and is no token of {instance}: it would be overwritten; move it away, "
            "or run this in another folder"
        )
    return found


def _trust(file: StackFile, kid: str, pem: str, earlier: set[str]) -> None:
    """Let the stack's file trust one more key, and those of earlier creates no more; other keys stay."""
    keys = file.public_keys()
    for gone in earlier & {*keys}:
        del keys[gone]
    keys[kid] = literal(pem + "\n")


def _await_answers(config: StackConfig, instance: str, where: Provider) -> None:
    domain, port = instance_domain(instance, config.domain), config.load_balancer.port
    deadline = time.monotonic() + FIRST_ANSWER_SECONDS
    with step("waiting for the tenants' first answers", 5):
        for tenant in config.tenants:
            url = f"{api_url('cortex', tenant.name, domain, port)}/api/v1/labels"
            token = token_file(tenant.name).read_text()
            while (status := status_of(url, where.ca_file, token)) != 200:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"{url} did not answer 200 in {FIRST_ANSWER_SECONDS} s, but {status or 'not at all'}; "
                        f"`kubectl get pods -A` may say why, or the name servers of {config.domain}: does it "
                        f"delegate {domain} to those that `pulumi stack output nameServers` shows?"
                    )
                time.sleep(0.2)


def _show(config: StackConfig, instance: str, where: Provider, tenants: list[str], seconds: float) -> None:
    domain, port = instance_domain(instance, config.domain), config.load_balancer.port
    table = Table(title=f"{instance}, ready after {seconds:.0f} s", title_justify="left")
    for column in ("tenant", "metrics", "logs", "token file"):
        table.add_column(column, no_wrap=True)
    for tenant in tenants:
        urls = [api_url(api, tenant, domain, port) for api in APIS]
        table.add_row(tenant, *urls, str(token_file(tenant)))
    show_table(table)
    first = tenants[0]
    ca = f"--cacert {where.ca_file} " if where.ca_file else ""
    if where.ca_file:
        note(f"Clients must trust {where.ca_file}.")
    note("Try it:")
    note(
        f'  curl {ca}-H "Authorization: Bearer $(cat {token_file(first)})" '
        f"{api_url('cortex', first, domain, port)}/api/v1/labels"
    )
