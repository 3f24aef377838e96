"""The data of tenants in S3 as stores: all of them, the retained ones, and the one that a command chooses.

A tenant's three buckets form a store. Their names end in the same random hex digits, the id of the store. A store that no
tenant of the state owns is retained data.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from components.core.errors import UserError
from components.core.names import BUCKET_KINDS, HASH_LENGTH, RANDOM_BYTES, bucket_prefix, namespace
from components.core.tags import ADOPTING_TAG, INSTANCE_LABEL, INSTANCE_TAG, KIND_TAG, PURGING_TAG, TENANT_TAG
from scripts.tenants.locate import deployed_tenants
from scripts.tenants.retained_data import buckets

if TYPE_CHECKING:
    from scripts.clients.aws import Clients
    from scripts.context.context import Target

ID_LENGTH = 2 * RANDOM_BYTES
LONGEST_EXPIRY = 3650  # days
NAME = re.compile(rf".*-({'|'.join(BUCKET_KINDS)})-[0-9a-f]{{{HASH_LENGTH}}}-[0-9a-f]{{{ID_LENGTH}}}")


@dataclass
class Store:
    """The buckets of one tenant.

    Attributes:
        tenant: The tenant's name.
        id: The random hex digits at the end of the buckets' names.
        created: When the oldest bucket was made.
        buckets: The buckets' names by kind of data.
        purging: Whether their deletion has begun, so that data is missing.
        adopting: Whether an adoption has begun that no update has completed yet.
    """

    tenant: str
    id: str
    created: datetime.datetime
    buckets: dict[str, str] = field(default_factory=dict)
    purging: bool = False
    adopting: bool = False


def tagged_stores(aws: Clients, instance: str, tenant: str | None = None) -> list[Store]:
    """Return the stores of an instance's tenants, or of one tenant, by the buckets' tags; deleted tenants too."""
    prefixes = (
        [bucket_prefix(instance, tenant, kind, ID_LENGTH) for kind in BUCKET_KINDS] if tenant else [f"{instance}-"]
    )
    stores: dict[tuple[str, str], Store] = {}
    for prefix in prefixes:
        _add_stores(aws, instance, prefix, stores)
    return sorted(stores.values(), key=lambda store: (store.tenant, store.created))


def _add_stores(aws: Clients, instance: str, prefix: str, stores: dict[tuple[str, str], Store]) -> None:
    """Add the buckets whose names begin with `prefix` to `stores`, by tenant and id."""
    for page in aws["s3"].get_paginator("list_buckets").paginate(Prefix=prefix):
        for bucket in page["Buckets"]:
            name, created = bucket["Name"], bucket["CreationDate"]
            tags = buckets.tags_of(aws, name) if NAME.fullmatch(name) and name.startswith(f"{instance}-") else {}
            tenant, kind, identity = tags.get(TENANT_TAG, ""), tags.get(KIND_TAG), name[-ID_LENGTH:]
            # Somebody may copy the tags, to a backup for example. Only a bucket whose name fits its tags is ours.
            if tags.get(INSTANCE_TAG) != instance or kind not in BUCKET_KINDS:
                continue
            if name != bucket_prefix(instance, tenant, kind, ID_LENGTH) + identity:
                continue
            store = stores.setdefault((tenant, identity), Store(tenant, identity, created))
            store.created = min(store.created, created)
            store.buckets[kind] = name
            store.purging = store.purging or PURGING_TAG in tags
            store.adopting = store.adopting or ADOPTING_TAG in tags


def retained(target: Target, tenant: str | None = None) -> list[Store]:
    """Return the stores of the instance, or of one tenant, that no tenant of the state owns."""
    instance = target.engine.instance
    deployed = deployed_tenants(target.context, target.provider, instance, tenant)
    stores = tagged_stores(target.aws, instance, tenant)
    _require_not_in_use({store.tenant for store in stores} - {*deployed}, target)
    owned = {bucket for one in deployed.values() for bucket in one.buckets.values()}
    return [store for store in stores if not owned & {*store.buckets.values()}]


def _require_not_in_use(unknown: set[str], target: Target) -> None:
    """Raise `UserError` where a tenant runs that this backend does not know: its data is in use, not retained."""
    for tenant in sorted(unknown):
        labels = target.cluster.labels("v1", "Namespace", namespace(tenant)) or {}
        if labels.get(INSTANCE_LABEL) == target.engine.instance:
            raise UserError(
                f"the tenant {tenant} runs in the cluster, but the backend that pulumi is logged in to does not know it. Its "
                "data is in use. Run `pulumi login` to the backend of its stack, or `pulumi up` if an update was interrupted"
            )


def choose(tenant: str, identity: str | None, target: Target) -> Store:
    """Return the retained store of a tenant, or the one with that id; raises `UserError` for none and for several."""
    if target.engine.state():
        target.settle()  # data of a running or killed update is not retained
    matches = [store for store in retained(target, tenant) if identity in (None, store.id)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(f"{store.id} (of {store.created:%Y-%m-%d})" for store in matches)
        raise UserError(f"there is more than one store of {tenant}: {ids}; name one with --id")
    existing = ", ".join(f"{store.tenant} ({store.id})" for store in retained(target)) or "none"
    raise UserError(
        f"no data of {tenant}{f' with the id {identity}' if identity else ''} is retained; there is: {existing}"
    )


def facts(store: Store, target: Target, contents: buckets.Contents | None = None) -> dict[str, Any]:
    """Return what `data list --json` has of a store; its contents are counted unless they are passed."""
    contents = contents or buckets.contents(target.aws, store.buckets.values())
    day = buckets.expires_on(target.aws, store.buckets.values())
    return {
        "tenant": store.tenant,
        "id": store.id,
        "created": store.created.isoformat(),
        "lastWritten": contents.newest.isoformat() if contents.newest else None,
        **contents.plain(),
        "expiresOn": day.isoformat() if day else None,
        "buckets": store.buckets,
    }


def list_retained(target: Target) -> list[dict[str, Any]]:
    """Return the facts of all retained stores of the instance."""
    return [facts(store, target) for store in retained(target)]


def expire_store(
    tenant: str, identity: str | None, days: int, target: Target, *, with_facts: bool
) -> dict[str, Any] | None:
    """Let S3 empty the buckets of a retained store after some days.

    `with_facts`, return the store's facts. They are optional because they take a request for every thousand objects.
    """
    store = choose(tenant, identity, target)
    day = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=days)
    for bucket in store.buckets.values():
        buckets.expire(target.aws, bucket, day)
    target.context.terminal.note(
        f"S3 empties the {len(store.buckets)} buckets of {tenant} ({store.id}) on {day} (UTC)."
    )
    return facts(store, target) if with_facts else None
