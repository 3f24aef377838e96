"""`destroy`, `list`, `status` and `recover`: an instance after it was created."""

import json
from typing import Any

import click

from components.config import StackConfig
from components.errors import UserError
from components.names import APIS, SYSTEM, api_url, instance_domain, namespace
from scripts.engine import Engine
from scripts.preflight import reached
from scripts.probe import status_of
from scripts.providers import PROVIDER, Provider, provider
from scripts.stackfile import require
from scripts.terminal import note

TENANT_TYPE = "opstrace:tenant:Tenant"


def _require_stack(engine: Engine, provider_name: str, instance: str) -> None:
    there = engine.stacks()
    if instance not in there:
        known = f"there are {', '.join(there)}" if there else "there is none"
        raise UserError(f"there is no instance {instance} on {provider_name}; {known}")


@click.command(short_help="Remove an instance and all its data.")
@PROVIDER
@click.argument("instance")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--preserve-config", is_flag=True, help="Keep the stack's file.")
def destroy(provider_name: str, instance: str, yes: bool, preserve_config: bool) -> None:
    """Remove INSTANCE with everything in it, the data of all tenants too.

    As `pulumi stack rm` does, it removes the stack's file, unless it is told to keep it.
    """
    where = provider(provider_name)
    engine = Engine(where.environment, instance)
    _require_stack(engine, provider_name, instance)
    file = require(instance)
    aws, cluster = reached(where.environment, file.config())
    if not yes:
        too = "" if preserve_config else f", and stacks/{file.path.name}"
        click.confirm(f"Remove the instance {instance}, all data of all its tenants{too}?", abort=True, err=True)
    engine.destroy(aws, cluster)
    if preserve_config:
        file.forget_stack()
        file.write()
    else:
        file.remove()
    note(f"The instance {instance} is gone; its tokens open nothing any more.")


@click.command("list")
@PROVIDER
def list_(provider_name: str) -> None:
    """Print the name of each instance."""
    for name in Engine(provider(provider_name).environment, "").stacks():
        click.echo(name)


@click.command(short_help="Settle what a killed update left.")
@PROVIDER
@click.argument("instance")
def recover(provider_name: str, instance: str) -> None:
    """Settle what a killed `pulumi up` of INSTANCE left: its lock, and creates of unknown outcome."""
    where = provider(provider_name)
    engine = Engine(where.environment, instance)
    _require_stack(engine, provider_name, instance)
    aws, cluster = reached(where.environment, require(instance).config())
    if not engine.settle(aws, cluster):
        engine.run("refresh", "--yes", "--skip-preview")  # a dead lock alone is cleared on the way


@click.command(short_help="Show an instance's tenants.")
@PROVIDER
@click.argument("instance")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status(provider_name: str, instance: str, as_json: bool) -> None:
    """Show the tenants of INSTANCE and whether the gateway answers for them."""
    where = provider(provider_name)
    config = require(instance).config()
    engine = Engine(where.environment, instance)
    _require_stack(engine, provider_name, instance)
    tenants = _tenants(engine, config, instance, where)
    found: dict[str, Any] = {
        "instance": instance,
        "domain": instance_domain(instance, config.domain),
        "trustedKeyIds": sorted(config.data_api.public_keys),
        "tenants": tenants,
    }
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    click.echo(f"instance:      {instance}\ndomain:        {found['domain']}")
    click.echo(f"trusted keys:  {', '.join(found['trustedKeyIds'])}")
    for name, facts in tenants.items():
        click.echo(f"tenant {name}: {_in_words(facts)}")


def _tenants(engine: Engine, config: StackConfig, instance: str, where: Provider) -> dict[str, dict[str, Any]]:
    """Return what is known of each tenant that is configured or applied, by its name."""
    made = {
        entry["urn"].rsplit("::", 1)[-1].removeprefix("tenant-")
        for entry in engine.resources()
        if entry["type"] == TENANT_TYPE
    }
    configured = {SYSTEM, *(tenant.name for tenant in config.tenants)}
    outputs = engine.outputs().get("tenants", {})
    domain, port = instance_domain(instance, config.domain), config.load_balancer.port
    found = {}
    for name in sorted(configured | made):
        urls: dict[str, Any] = {api: api_url(api, name, domain, port) for api in APIS}
        found[name] = {
            **urls,
            "namespace": namespace(name),
            "buckets": outputs.get(name, {}).get("buckets", {}),
            "configured": name in configured,
            "applied": name in made,
            # Without a token the right answer is 401, where authentication is on.
            "gateway": status_of(f"{urls['cortex']}/api/v1/labels", where.ca_file) in (200, 401),
        }
    return found


def _in_words(facts: dict[str, Any]) -> str:
    if not facts["applied"]:
        return "configured, but not applied; run `pulumi up`"
    gone = "" if facts["configured"] else ", no longer configured: the next `pulumi up` removes it"
    answers = "answers" if facts["gateway"] else "DOES NOT ANSWER"
    return f"{facts['cortex']} {facts['loki']}, gateway {answers}{gone}"
