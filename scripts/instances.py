"""`create`, `destroy`, `list` and `status`: the life of an instance."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

import click
from rich.table import Table

from components.errors import UserError
from components.keys import canonical_pem, key_id
from components.names import SYSTEM, api_url, instance_domain, instance_name_problem, tenant_name_problem
from scripts.engine import Engine
from scripts.keyfiles import new_key, write_secret
from scripts.probe import status_of
from scripts.providers import PROVIDERS, Provider, provider
from scripts.stackfile import StackFile, require
from scripts.terminal import note, stderr, step
from scripts.tokens import sign

FIRST_ANSWER_SECONDS = 120
TENANT_TYPE = "opstrace:tenant:Tenant"


def token_file(tenant: str) -> Path:
    """Return the file that `create` writes a tenant's token to, in the current folder."""
    return Path(f"tenant-api-token-{tenant}")


def _check_names(instance: str, tenants: Iterable[str]) -> None:
    problems = [instance_name_problem(instance), *(tenant_name_problem(tenant) for tenant in tenants)]
    found = [problem for problem in problems if problem]
    if found:
        raise UserError("; ".join(found))


def _is_finished(engine: Engine) -> bool:
    """Tell whether an update of the stack ever succeeded: only then has it outputs."""
    return bool(engine.outputs())


def _prepared_file(instance: str, tenants: tuple[str, ...], where: Provider) -> StackFile:
    """Return the stack's file with the provider's settings and the tenants, not written yet."""
    file = StackFile(instance)
    given = file.settings()
    for name, value in where.settings.items():
        file.set(name, value)
    if tenants:
        file.set("tenants", [{"name": tenant} for tenant in tenants])
    elif not given.get("tenants"):
        raise UserError("no tenant is named: give --tenant NAME at least once, or list them in the stack's file")
    return file


@click.command()
@click.argument("provider_name", metavar="PROVIDER", type=click.Choice(PROVIDERS))
@click.argument("instance")
@click.option("--tenant", "tenants", multiple=True, help="Name of a tenant; may be given several times.")
def create(provider_name: str, instance: str, tenants: tuple[str, ...]) -> None:
    """Create INSTANCE with its tenants, and a token file for each of them.

    For `aws`, the stack's file names account, cluster and network (stacks/Pulumi.example-aws.yaml).
    """
    _check_names(instance, tenants)
    twice = sorted({tenant for tenant in tenants if tenants.count(tenant) > 1})
    if twice:
        raise UserError(f"tenant given more than once: {', '.join(twice)}")
    if not tenants and not StackFile(instance).settings().get("tenants"):
        raise UserError("no tenant is named: give --tenant NAME at least once, or list them in the stack's file")
    started = time.monotonic()
    where = provider(provider_name, start=True)
    engine = Engine(where.environment, instance)
    others = [stack for stack in engine.stacks() if stack != instance] if provider_name == "local" else []
    if others:
        raise UserError(
            f"this cluster holds the instance {others[0]} already, and it can hold one; destroy that one first"
        )
    engine.ensure_stack()
    if _is_finished(engine):
        raise UserError(
            f"the instance {instance} is there already; add tenants to stacks/Pulumi.{instance}.yaml and run "
            "`pulumi up`, or destroy it first"
        )
    file = _prepared_file(instance, tenants, where)
    files = _write_tokens(file, instance)
    engine.up()
    _await_answers(file, instance, where)
    _show(file, instance, where, files, time.monotonic() - started)


def _write_tokens(file: StackFile, instance: str) -> dict[str, Path]:
    """Write a token file for each tenant, then the public key into the stack's file; forget the private key."""
    key = new_key()
    names = [tenant["name"] for tenant in file.settings()["tenants"]]
    public_keys = {key_id(key.public_key()): canonical_pem(key.public_key()) + "\n"}
    data_api = file.settings().get("dataApi", {}) | {"publicKeys": public_keys}
    file.set("dataApi", data_api)
    file.config()  # refused before anything is written
    written = {}
    for tenant in [*names, SYSTEM]:
        path = token_file(tenant)
        path.unlink(missing_ok=True)  # of a create that did not succeed, or of an instance that is gone
        write_secret(path, sign(key, instance, tenant).encode())
        written[tenant] = path
    file.write()
    return written


def _await_answers(file: StackFile, instance: str, where: Provider) -> None:
    config = file.config()
    domain, port = instance_domain(instance, config.domain), config.load_balancer.port
    deadline = time.monotonic() + FIRST_ANSWER_SECONDS
    with step("waiting for the tenants' first answers", 5):
        for tenant in config.tenants:
            url = f"{api_url('cortex', tenant.name, domain, port)}/api/v1/labels"
            token = token_file(tenant.name).read_text()
            while status_of(url, where.ca_file, token) != 200:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"{url} did not answer 200 in {FIRST_ANSWER_SECONDS} s; `kubectl get pods -A` may say why"
                    )
                time.sleep(0.5)


def _show(file: StackFile, instance: str, where: Provider, files: dict[str, Path], seconds: float) -> None:
    config = file.config()
    domain, port = instance_domain(instance, config.domain), config.load_balancer.port
    table = Table(title=f"{instance}, ready after {seconds:.0f} s", title_justify="left")
    for column in ("tenant", "metrics", "logs", "token file"):
        table.add_column(column, overflow="fold")
    for tenant, path in files.items():
        table.add_row(tenant, api_url("cortex", tenant, domain, port), api_url("loki", tenant, domain, port), str(path))
    stderr.print(table)
    first = config.tenants[0].name
    ca = f"--cacert {where.ca_file} " if where.ca_file else ""
    if where.ca_file:
        note(f"Clients must trust {where.ca_file}.")
    note("Try it:")
    note(
        f'  curl {ca}-H "Authorization: Bearer $(cat {files[first]})" '
        f"{api_url('cortex', first, domain, port)}/api/v1/labels"
    )


@click.command()
@click.argument("provider_name", metavar="PROVIDER", type=click.Choice(PROVIDERS))
@click.argument("instance")
@click.option("--yes", is_flag=True, help="Do not ask.")
def destroy(provider_name: str, instance: str, yes: bool) -> None:
    """Remove INSTANCE with everything in it, the data of all tenants too."""
    where = provider(provider_name)
    engine = Engine(where.environment, instance)
    if instance not in engine.stacks():
        raise UserError(f"there is no instance {instance}; `./opstrace list {provider_name}` shows those that are")
    if not yes:
        click.confirm(f"Remove the instance {instance} and all data of all its tenants?", abort=True, err=True)
    engine.destroy()
    StackFile(instance).path.unlink(missing_ok=True)


@click.command("list")
@click.argument("provider_name", metavar="PROVIDER", type=click.Choice(PROVIDERS))
def list_(provider_name: str) -> None:
    """Print the name of each instance."""
    for name in Engine(provider(provider_name).environment, "").stacks():
        click.echo(name)


@click.command()
@click.argument("provider_name", metavar="PROVIDER", type=click.Choice(PROVIDERS))
@click.argument("instance")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(provider_name: str, instance: str, as_json: bool) -> None:
    """Show the tenants of INSTANCE and whether the gateway answers for them."""
    where = provider(provider_name)
    file = require(instance)
    outputs = Engine(where.environment, instance).outputs()
    if not outputs:
        raise UserError(f"no update of {instance} has succeeded yet; run `./opstrace create` or `pulumi up`")
    tenants = {
        name: facts | {"gateway": status_of(f"{facts['cortex']}/api/v1/labels", where.ca_file) in (200, 401)}
        for name, facts in outputs["tenants"].items()
    }
    found = outputs | {"tenants": tenants, "configured": [tenant.name for tenant in file.config().tenants]}
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"instance:      {instance}\ndomain:        {outputs['domain']}")
    click.echo(f"trusted keys:  {', '.join(outputs['trustedKeyIds'])}")
    for name, facts in tenants.items():
        click.echo(
            f"tenant {name}: {facts['cortex']} {facts['loki']} gateway {'answers' if facts['gateway'] else 'DOES NOT ANSWER'}"
        )
    for name in sorted({*found["configured"]} - {*tenants}):
        click.echo(f"tenant {name}: configured, but not applied; run `pulumi up`")
