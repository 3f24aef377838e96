"""`destroy`, `list`, `status` and `recover`: an instance after it was created."""

from typing import Any

import click

from components.config import StackConfig
from components.errors import UserError
from components.names import APIS, api_url, instance_domain, namespace
from scripts import applied, stores
from scripts.apply import target
from scripts.at_once import for_each
from scripts.cluster import Cluster
from scripts.engine import Engine
from scripts.gateway_state import PodState, gateway_pods
from scripts.placing import all_settings, applied_anywhere
from scripts.preflight import reached
from scripts.probe import status_of
from scripts.providers import PROVIDER, Provider, provider
from scripts.readiness import require_ready
from scripts.stackfile import require
from scripts.tenant_data import purge_store
from scripts.tenant_removal import read_back
from scripts.terminal import JSON_OBJECT, note, stdout_json


def _require_stack(engine: Engine, provider_name: str, instance: str) -> list[str]:
    """Return all stacks; raises `UserError` where the instance's is not among them."""
    there = engine.stacks()
    if instance not in there:
        known = f"there are {', '.join(there)}" if there else "there is none"
        raise UserError(f"there is no instance {instance} on {provider_name}; {known}")
    return there


@click.command(short_help="Remove an instance.")
@PROVIDER
@click.argument("instance")
@click.option("--purge", is_flag=True, help="Delete the data of all tenants too, also what was retained before.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--force", is_flag=True, help="Go on even if pods are not ready to write what they hold.")
@click.option("--preserve-config", is_flag=True, help="Keep the stack's file.")
def destroy(provider_name: str, instance: str, purge: bool, yes: bool, force: bool, preserve_config: bool) -> None:
    """Remove INSTANCE with everything in it. The data of its tenants stays or goes as their onDelete says.

    As `pulumi stack rm` does, it removes the stack's file, unless it is told to keep it, or data is retained:
    the file says where.
    """
    engine = Engine(provider(provider_name).environment, instance)
    there = _require_stack(engine, provider_name, instance)
    file = require(instance)
    alone = [stack.split(".")[1] for stack in there if stack.startswith(f"{instance}.")]
    if alone:
        raise UserError(
            f"tenants of {instance} have stacks of their own, which need it: {', '.join(alone)}; remove them first "
            f"(`./opstrace tenants remove {provider_name} {instance} TENANT`)"
        )
    found = target(instance, file.config(), provider_name)
    tenants = applied.tenants(engine.resources())
    if not (purge or force):
        for name, tenant in tenants.items():
            if tenant.on_delete != "purge" and tenant.has_workloads:
                require_ready(found.cluster, name, APIS, "destroy it with --force")
    if not yes:
        fate = "all data of all its tenants" if purge else _fate(tenants)
        click.confirm(f"Remove the instance {instance}, {fate}?", abort=True, err=True)
    doomed = {name: tenant.buckets for name, tenant in tenants.items() if tenant.on_delete == "purge"}
    held = {name: stores.contents(found.aws, buckets.values()) for name, buckets in doomed.items()}
    engine.destroy(found.aws, found.cluster)
    left = stores.stores(found.aws, instance)
    if purge:
        for store in left:
            purge_store(store, stores.contents(found.aws, store.buckets.values()), found)
        left = []
    for name, buckets in doomed.items():
        read_back(name, "purge", buckets, held[name], found)
    if preserve_config or left:
        file.forget_stack()
        file.write()
    else:
        file.remove()
    note(f"The instance {instance} is gone; its tokens open nothing any more.")
    if left:
        kept = stores.contents(found.aws, [bucket for store in left for bucket in store.buckets.values()])
        note(
            f"Retained of {', '.join(sorted({store.tenant for store in left}))}: {kept}. `./opstrace tenants data list "
            f"{provider_name} {instance}` shows it, for which stacks/{file.path.name} is kept."
        )
    engine.require_nothing_left_alone()


def _fate(tenants: dict[str, applied.Applied]) -> str:
    """Say whose data goes and whose stays."""
    what = {"purge": "delete the data of", "mixed": "delete a part of the data of", "retain": "keep the data of"}
    named = {policy: sorted(name for name, tenant in tenants.items() if tenant.on_delete == policy) for policy in what}
    return " and ".join(f"{what[policy]} {', '.join(names)}" for policy, names in named.items() if names)


@click.command("list")
@PROVIDER
def list_(provider_name: str) -> None:
    """Print the name of each instance."""
    for name in Engine(provider(provider_name).environment, "").stacks():
        if "." not in name:  # else a tenant's own
            click.echo(name)


@click.command(short_help="Settle what a killed update left.")
@PROVIDER
@click.argument("stack", metavar="INSTANCE[.TENANT]")
def recover(provider_name: str, stack: str) -> None:
    """Settle what a killed `pulumi up` of INSTANCE, or a killed plugin, left: a lock, and creates of unknown outcome.

    INSTANCE.TENANT is the stack of a tenant of its own.
    """
    where = provider(provider_name)
    engine = Engine(where.environment, stack)
    _require_stack(engine, provider_name, stack)
    aws, cluster = reached(where.environment, require(require(stack).owner).config())
    engine.settle(aws, cluster, thorough=True)  # a dead lock alone is cleared on the way
    engine.require_nothing_left_alone()


@click.command(short_help="Show an instance's tenants.")
@PROVIDER
@click.argument("instance")
@JSON_OBJECT
def status(provider_name: str, instance: str, as_json: bool) -> None:
    """Show the tenants of INSTANCE and whether the gateway answers for them."""
    where = provider(provider_name)
    config = require(instance).config()
    engine = Engine(where.environment, instance)
    _require_stack(engine, provider_name, instance)
    tenants, pods = _tenants(config, instance, where), _gateway_pods(config, instance, where)
    found: dict[str, Any] = {
        "instance": instance,
        "domain": instance_domain(instance, config.domain),
        "trustedKeyIds": sorted(config.data_api.public_keys),
        "gatewayPods": {pod: state and state.facts() for pod, state in pods.items()},
        "tenants": tenants,
    }
    if as_json:
        stdout_json(found)
        return
    click.echo(f"instance:      {instance}\ndomain:        {found['domain']}")
    click.echo(f"trusted keys:  {', '.join(found['trustedKeyIds'])}")
    for pod, state in pods.items():
        click.echo(f"{pod}: {state.in_words() if state else 'does not tell which keys it has'}")
    for name, facts in tenants.items():
        click.echo(f"tenant {name}: {_in_words(facts)}")


def _gateway_pods(config: StackConfig, instance: str, where: Provider) -> dict[str, PodState | None]:
    """Return what the gateway's pods have loaded; nothing, and a word why, where the cluster does not tell."""
    if not config.data_api.authentication:
        return {}
    try:
        return gateway_pods(Cluster(where.environment, config), instance)
    except UserError as error:
        note(f"which keys the gateway has is not known: {error}")
        return {}


def _tenants(config: StackConfig, instance: str, where: Provider) -> dict[str, dict[str, Any]]:
    """Return what is known of each tenant that is configured or applied, by its name."""
    made = applied_anywhere(where.environment, instance)
    configured = all_settings(instance, config)
    domain, port = instance_domain(instance, config.domain), config.load_balancer.port

    def facts_of(name: str) -> dict[str, Any]:
        urls: dict[str, Any] = {api: api_url(api, name, domain, port) for api in APIS}
        return urls | {
            "namespace": namespace(name),
            "buckets": made[name].buckets if name in made else {},
            "configured": name in configured,
            "applied": name in made,
            "protected": name in made and made[name].protect,
            # Without a token the right answer is 401, where authentication is on.
            "gateway": status_of(f"{urls['cortex']}/api/v1/labels", where.ca_file) in (200, 401),
        }

    names = sorted({*configured, *made})
    return dict(zip(names, for_each(facts_of, names), strict=True))


def _in_words(facts: dict[str, Any]) -> str:
    if not facts["applied"]:
        return "configured, but not applied; run `pulumi up`"
    fate = "but protected" if facts["protected"] else "the next `pulumi up` removes it"
    gone = "" if facts["configured"] else f", no longer configured: {fate}"
    answers = "answers" if facts["gateway"] else "DOES NOT ANSWER"
    return f"{facts['cortex']} {facts['loki']}, gateway {answers}{gone}"
