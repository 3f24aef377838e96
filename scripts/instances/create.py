"""Creating an instance with its tenants and their first tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.config.load import require_update_settings
from components.core.errors import UserError
from components.core.names import (
    SYSTEM,
    Api,
    api_host,
    api_url,
    duplicates,
    instance_domain,
    instance_name_problem,
    tenant_name_problem,
)
from components.core.public_keys import canonical_pem
from scripts.instances.delegation_note import told_of_delegation
from scripts.instances.first_answers import Waiting, await_answers
from scripts.instances.first_tokens import earlier_keys, write_first_tokens
from scripts.instances.missing import Parts, missing
from scripts.stackfile.file import StackFile, literal
from scripts.tenants import recorded_state
from scripts.tenants.safety import check_update_is_safe
from scripts.tokens.key_files import new_key
from scripts.tokens.signing import Signer
from scripts.ui.terminal import note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from components.config.stack import StackConfig
    from scripts.clients.aws import Clients
    from scripts.clients.kubernetes import Cluster
    from scripts.clients.providers import Provider, Start
    from scripts.context.context import Context
    from scripts.engine.pulumi import Engine

LABELS = "/api/v1/labels"
LICENCES = (
    "Each tenant has a Loki, which is under the AGPL-3.0 and runs unmodified as a server of its own; Cortex and Envoy are "
    "under Apache-2.0 (the file NOTICE lists all)."
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What `create` is asked for.

    Attributes:
        provider: The name of the provider.
        instance: The name of the instance.
        tenants: The tenants to add to those in the stack file.
        start: For `local`: how to start the embedded cloud.
        secrets_provider: The URL of the key that encrypts secrets of the state.
    """

    provider: str
    instance: str
    start: Start
    tenants: Sequence[str] = ()
    secrets_provider: str | None = None


@dataclass(frozen=True)
class Created:
    """A new instance: its configuration, the provider it runs on, and its tenants, `system` the last."""

    instance: str
    config: StackConfig
    provider: Provider
    tenants: Sequence[str]

    @property
    def domain(self) -> str:
        """The domain under which the tenants' APIs are."""
        return instance_domain(self.instance, self.config.domain)

    def url(self, api: Api, tenant: str) -> str:
        """Return the URL of a tenant's API."""
        return api_url(api, tenant, self.domain, self.config.load_balancer.port)


def create_instance(context: Context, order: Order) -> Created:
    """Create an instance with its tenants, and wait until each tenant answers.

    A `create` that failed resumes, with a new key and new tokens. After an update that succeeded, it only waits. Raises
    `UserError` before anything changes where a name is invalid, the instance exists, secrets cannot be encrypted, the
    preflight has an error, or a file would be lost.
    """
    instance, tenants = order.instance, order.tenants
    _check_names(context, instance, tenants)
    if order.provider == "local" and order.secrets_provider:  # first: the embedded cloud takes minutes to start
        raise UserError("--secrets-provider belongs to the provider `aws`; the embedded cloud has its own passphrase")
    note(LICENCES)
    provider = context.provider(order.provider, order.start)
    engine = context.engine(provider, instance)
    is_begun = instance in engine.stacks()
    if is_begun and engine.has_succeeded():
        return _finished(context, provider, engine, tenants)
    file = _prepared_file(context.stack_file(instance), tenants, provider)
    secrets_provider = _secrets_provider(file, engine, order, is_begun=is_begun)
    names = [*_tenant_names(file), SYSTEM]
    signer = _new_signer(file, names)
    config = file.config()
    require_update_settings(config, instance)
    aws, cluster = context.clients(provider, config)
    context.require_cluster(cluster, instance)
    context.require_preflight(provider, instance, config, live=True)
    check_update_is_safe(file, config, recorded_state.tenants(engine.state()), cluster)  # of an interrupted `create`
    write_first_tokens(signer, instance, names)
    file.write()
    engine.ensure_stack(secrets_provider=secrets_provider)
    created = Created(instance, config, provider, names)
    if order.provider == "aws":
        _note_unpinned_images(config)
        with told_of_delegation(config, created.domain, aws, context.first_answers.before):
            engine.up(aws, cluster)
    else:
        engine.up(aws, cluster)
    _await_answers(context, created, (aws, cluster), finished=False)
    return created


def _secrets_provider(file: StackFile, engine: Engine, order: Order, *, is_begun: bool) -> str | None:
    """Return the secrets provider of the stack, None for the default; what the file has of an earlier stack is removed.

    Raises `UserError` where secrets cannot be encrypted, or where the stack has another secrets provider.
    """
    recorded = file.secrets_provider
    provider = order.secrets_provider or recorded
    if is_begun and provider != recorded:
        raise UserError(
            f"--secrets-provider is {provider}, but the stack {file.instance} exists with "
            f"{recorded or 'the default of its backend'}; leave the option out, or run `pulumi stack "
            "change-secrets-provider` first"
        )
    if not is_begun:
        file.forget_stack(secrets_provider=bool(order.secrets_provider))
    if order.provider == "aws":  # the embedded cloud has its own passphrase
        engine.require_secrets_provider(file.secrets(), provider)
    return provider


def _finished(context: Context, provider: Provider, engine: Engine, tenants: Sequence[str]) -> Created:
    """Wait for an instance whose update succeeded, and change nothing.

    Raises `UserError` where it answers already, or where a tenant needs another update.
    """
    instance, file = engine.instance, context.stack_file(engine.instance)
    exists = UserError(
        f"the instance {instance} exists already; add tenants to stacks/Pulumi.{instance}.yaml and run "
        "`pulumi up`, or destroy it first"
    )
    names = [*_tenant_names(file), SYSTEM] if file.settings().get("tenants") else []
    if not names or {*tenants, *names} - {*recorded_state.tenants(engine.state())}:
        raise exists
    created = Created(instance, file.config(), provider, names)
    silent = _waiting(context, created, finished=True).silent()
    if not silent:
        raise exists
    note(
        f"The update of {instance} has succeeded, but {silent[0]} does not answer yet. This waits, and changes nothing."
    )
    clients = context.clients(provider, created.config)
    context.require_cluster(clients[1], instance)
    _await_answers(context, created, clients, finished=True)
    return created


def _check_names(context: Context, instance: str, tenants: Sequence[str]) -> None:
    """Raise `UserError` with every invalid name, and where no tenant is named."""
    problems = [instance_name_problem(instance), *(tenant_name_problem(tenant) for tenant in tenants)]
    twice = duplicates(tenants)
    problems += [f"tenant given more than once: {', '.join(twice)}"] if twice else []
    if any(problems):
        raise UserError("; ".join(problem for problem in problems if problem))
    if not tenants and not context.stack_file(instance).settings().get("tenants"):
        raise UserError("no tenant is named: give --tenant NAME at least once, or list tenants in the stack file")


def _prepared_file(file: StackFile, tenants: Sequence[str], provider: Provider) -> StackFile:
    """Add the provider's settings and the tenants to the stack file, which is not written yet."""
    file.require_editable()
    if "name" not in file.settings():
        file.set("name", file.instance)
    for name, value in provider.settings.items():
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


def _new_signer(file: StackFile, tenants: Sequence[str]) -> Signer:
    """Return a signer with a new key, which takes the place of an earlier `create`'s keys in the stack file."""
    key = new_key()
    signer = Signer(key)
    file.public_keys()[signer.kid] = literal(canonical_pem(key.public_key()) + "\n")
    for kid in earlier_keys(tenants, file):
        del file.public_keys()[kid]
    return signer


def _note_unpinned_images(config: StackConfig) -> None:
    if images := config.images.source.without_digest():
        note(
            f"Images that are not pinned by digest: {', '.join(images)}. The nodes run whatever their registry answers for "
            "the tag; `.venv/bin/python -P -m localcloud.toolchain.pin` pins them, or opstrace:images.digests."
        )


def _await_answers(context: Context, created: Created, clients: tuple[Clients, Cluster], *, finished: bool) -> None:
    """Wait until the gateway answers each tenant; raises `UserError` with what is missing."""
    waiting = _waiting(context, created, finished=finished)
    state: list[dict[str, Any]] = []

    def lines() -> list[str]:
        if not state:  # read once: nothing changes it while this waits
            state.extend(context.engine(created.provider, created.instance).state())
        host = api_host("cortex", created.tenants[0], created.domain)
        return missing(Parts(created.instance, created.domain, host, created.tenants, state), *clients)

    await_answers(waiting, lines)


def _waiting(context: Context, created: Created, *, finished: bool) -> Waiting:
    urls = {tenant: f"{created.url('cortex', tenant)}{LABELS}" for tenant in created.tenants}
    return Waiting(context, created.provider, urls, finished)
