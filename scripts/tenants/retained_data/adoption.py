"""Adoption: retained buckets become a tenant's again, by the engine's `import` under the tenant's URNs.

The engine protects imported resources until the next update, so an update without the tenant's entry fails and deletes
nothing. The buckets are marked first: an adoption that was killed is recognized by the marks, and resumes.
"""

from __future__ import annotations

import base64
import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from ruamel.yaml.comments import CommentedMap

from components.core.errors import UserError
from components.core.names import BUCKET_KINDS, tenant_name_problem
from components.core.resource_names import (
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    ENCRYPTION_TYPE,
    LIFECYCLE_TYPE,
    PROVIDER_PREFIX,
    PUBLIC_ACCESS_BLOCK_TYPE,
    RANDOM_ID_TYPE,
    TENANT_TYPE,
    bucket_name,
    bucket_part_name,
    bucket_suffix_name,
    logical_name,
    tenant_name,
)
from components.core.tags import ADOPTING_TAG
from components.core.units import hours
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants import recorded_state
from scripts.tenants.apply import show_difference
from scripts.tenants.plan import announce, outcome
from scripts.tenants.retained_data import buckets
from scripts.tenants.retained_data.stores import Store, choose, tagged_stores
from scripts.tokens.of_tenant import live_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from components.config.platform.kms_keys import KmsKeys
    from components.config.stack import StackConfig
    from scripts.clients.aws import Clients
    from scripts.context.context import Context, Target
    from scripts.engine.pulumi import Engine
    from scripts.stackfile.file import StackFile

PARTS: dict[str, tuple[str, str]] = {
    "access": (PUBLIC_ACCESS_BLOCK_TYPE, "get_public_access_block"),
    "policy": (BUCKET_POLICY_TYPE, "get_bucket_policy"),
    "lifecycle": (LIFECYCLE_TYPE, "get_bucket_lifecycle_configuration"),
}
# S3 gives every bucket one, so it is imported only where the program declares it.
ENCRYPTION = {"encryption": (ENCRYPTION_TYPE, "get_bucket_encryption")}
KINDS_WITH_RETENTION = ("metrics", "logs")
HOURS_PER_DAY = 24


def adopt_retained(
    context: Context, provider_name: str, instance: str, tenant: str, identity: str | None
) -> dict[str, Any]:
    """Create a tenant with its retained data; return what was done, as `--json` has it.

    The tenant's entry is added to the stack file where there is none. Raises `UserError` where the tenant exists with
    other data, where data is missing or cannot be decrypted, or where the entry's retention would delete data.
    """
    problem = tenant_name_problem(tenant)
    if problem:
        raise UserError(problem)
    file = context.file_to_edit(instance)
    before = file.config()
    target = context.target(provider_name, instance, before)
    if tenant in own_stack_tenants(context.stacks, instance):
        raise UserError(
            f"the tenant {tenant} has a stack of its own; remove it, adopt the data into the instance's stack, then move it"
        )
    store, resumed = _store_to_adopt(tenant, identity, target)
    require_complete(store)
    keys = before.aws.keys
    require_readable(store, keys, target.aws)
    keep_retention(store, file, before, target.aws)
    tokens = live_tokens(provider_name, instance, tenant, before, context.terminal)
    tokens.tell_of_next()
    show_difference(file, context.terminal)
    plan = announce(file, before, adopted=tenant)(target)
    context.terminal.review()
    file.require_unchanged()  # the question may have waited for hours
    if resumed:
        file.write()  # before `settle` previews: without the entry, a preview would delete the imported buckets
        target.settle()
    else:
        store = choose(tenant, store.id, target)
        require_complete(store)
    if store.adopting or not resumed:  # otherwise the tenant owns the buckets, and they would keep the mark
        with context.terminal.step(f"taking the buckets of {tenant} ({store.id}) into the state"):
            import_store(store, target.engine, target.aws, keys)
    file.write()
    target.update()
    context.terminal.note(f"The tenant {tenant} exists again, with its data.")
    return outcome(tenant, file, plan=plan) | {"tokens": tokens.plain()}


def _store_to_adopt(tenant: str, identity: str | None, target: Target) -> tuple[Store, bool]:
    """Return the store to adopt, and whether an earlier adoption of it was interrupted.

    Raises `UserError` where the tenant exists with other data.
    """
    resources = target.engine.resources()
    begun = begun_adoption(tenant, resources, target.aws, target.engine.instance)
    if begun and identity not in (None, begun.id):
        raise UserError(
            f"an adoption of the data {begun.id} of {tenant} has begun, not of {identity}; run this without --id to complete it"
        )
    if begun:
        progress = "began earlier" if begun.adopting else "is nearly complete"
        target.context.terminal.note(f"The adoption of the data of {tenant} ({begun.id}) {progress}: it resumes.")
        return begun, True
    if tenant in recorded_state.tenants(resources):
        raise UserError(
            f"the tenant {tenant} exists, with data of its own; remove it first, then adopt the retained data. Where an "
            "update that creates the tenant failed, run `pulumi up`"
        )
    return choose(tenant, identity, target), False


def begun_adoption(tenant: str, resources: Iterable[dict[str, Any]], aws: Clients, instance: str) -> Store | None:
    """Return the store whose adoption by a tenant of the state, `resources`, has begun; None for none.

    The buckets are marked until an update gives them the tags that the program declares. After that update they belong to
    the tenant: where it is the only store of that name, the adoption was of this store.
    """
    deployed = recorded_state.tenants(resources).get(tenant)
    if deployed is None:
        return None
    owned = {*deployed.buckets.values()}
    stores = tagged_stores(aws, instance, tenant)
    candidates = [store for store in stores if store.adopting] or (stores if owned and len(stores) == 1 else [])
    return next((store for store in candidates if owned <= {*store.buckets.values()}), None)


def require_complete(store: Store) -> None:
    """Raise `UserError` where a bucket of the store is missing, or where its deletion has begun."""
    missing = {*BUCKET_KINDS} - {*store.buckets}
    if missing:
        raise UserError(
            f"the data of {store.tenant} ({store.id}) is incomplete: the bucket for {', '.join(sorted(missing))} is gone. "
            "Only complete data can be adopted"
        )
    if store.purging:
        raise UserError(
            f"the deletion of the data of {store.tenant} ({store.id}) has begun, and only complete data can be adopted; "
            "`./opstrace tenants data purge` deletes the rest"
        )


def require_readable(store: Store, keys: KmsKeys, aws: Clients) -> None:
    """Raise `UserError` where the store is encrypted by a key that the settings do not name: no role could read it."""
    used = {key for bucket in store.buckets.values() for key in buckets.keys_of(aws, bucket)} - {*keys.of_objects}
    if used:
        raise UserError(
            f"the data of {store.tenant} ({store.id}) is encrypted by {', '.join(sorted(used))}, which opstrace:aws.kmsKeys "
            "does not name, so the back ends could not read it; add it to opstrace:aws.kmsKeys.former first"
        )


def keep_retention(store: Store, file: StackFile, config: StackConfig, aws: Clients) -> None:
    """Give the tenant's entry the retention that is recorded with its data; add an entry where there is none.

    Raises `UserError` where the entry has a shorter retention, which would delete data at once.
    """
    day = buckets.expires_on(aws, store.buckets.values())
    if day and day <= datetime.datetime.now(datetime.UTC).date():
        raise UserError(f"the data of {store.tenant} ({store.id}) expires since {day}, so it is incomplete")
    recorded = {
        kind: days
        for kind in KINDS_WITH_RETENTION
        if (days := buckets.retention_days(aws, store.buckets.get(kind, ""))) is not None
    }
    if not any(entry.name == store.tenant for entry in config.tenants):
        if len(recorded) < len(KINDS_WITH_RETENTION):
            raise UserError(
                f"the data of {store.tenant} ({store.id}) has no record of its retention; write an entry of "
                f"the tenant with its retention into {file.path.name} first"
            )
        defaults = config.tenant_defaults.retention.model_dump()
        own = {kind: f"{days}d" for kind, days in recorded.items() if hours(defaults[kind]) != HOURS_PER_DAY * days}
        file.entry("tenants").append(CommentedMap({"name": store.tenant, **({"retention": own} if own else {})}))
        return
    configured = config.settings_of(store.tenant).retention.model_dump()
    for kind, days in recorded.items():
        if hours(configured[kind]) < HOURS_PER_DAY * (days - 1):  # whole days are recorded
            raise UserError(
                f"the {kind} of {store.tenant} ({store.id}) were kept for {days}d, but its entry says {configured[kind]}. "
                f"Older data would be deleted at once; set retention.{kind} in {file.path.name} first"
            )


def import_store(store: Store, engine: Engine, aws: Clients, keys: KmsKeys) -> None:
    """Import the store's buckets into the state as those of its tenant; resources in the state stay as they are."""
    for bucket in store.buckets.values():
        buckets.mark(aws, bucket, ADOPTING_TAG)
    providers = {package: urn for package, urn in _providers(engine).items() if package in ("aws", "random")}
    engine.adopt(import_file(store, providers, aws, keys))


def import_file(store: Store, providers: dict[str, str], aws: Clients, keys: KmsKeys) -> dict[str, Any]:
    """Return the content for `pulumi import --file`: the tenant's component, its random suffix and its buckets.

    `providers` maps `aws` and `random` to the URNs of the program's own providers, where it has such. `keys` are those of
    the settings.
    """
    name, parts = tenant_name(store.tenant), PARTS | (ENCRYPTION if keys.of_objects else {})
    suffix = base64.urlsafe_b64encode(bytes.fromhex(store.id)).decode().rstrip("=")
    resources: list[dict[str, Any]] = [
        {"type": TENANT_TYPE, "name": name, "component": True},
        _import_entry(RANDOM_ID_TYPE, bucket_suffix_name(name), suffix, name, providers),
    ]
    for kind, bucket in store.buckets.items():
        resources.append(_import_entry(BUCKET_TYPE, bucket_name(name, kind), bucket, name, providers))
        for part, (resource_type, read) in parts.items():
            if _exists(getattr(aws["s3"], read), bucket):
                resources.append(
                    _import_entry(resource_type, bucket_part_name(name, kind, part), bucket, name, providers)
                )
    return {"nameTable": providers, "resources": resources}


def _exists(read: Callable[..., Any], bucket: str) -> bool:
    try:
        read(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"].startswith("NoSuch"):
            return False
        raise
    return True


def _import_entry(
    resource_type: str, name: str, identity: str, parent: str, providers: dict[str, str]
) -> dict[str, Any]:
    entry = {"type": resource_type, "name": name, "id": identity, "parent": parent}
    package = resource_type.split(":", 1)[0]
    return entry | ({"provider": package} if package in providers else {})


def _providers(engine: Engine) -> dict[str, str]:
    """Return the URNs of the program's own providers in the state, by package."""
    return {
        entry["type"].rsplit(":", 1)[-1]: entry["urn"]
        for entry in engine.resources()
        if entry["type"].startswith(PROVIDER_PREFIX) and not logical_name(entry["urn"]).startswith("default")
    }
