"""Giving retained buckets back to a tenant: taken into the state by the engine's own `import`, under its URNs.

Until the next update they are protected, as is everything that is imported: an update of
a stack file without the tenant is refused, and deletes nothing. The buckets are marked before: killed at any moment, an
adoption is known for what it is, and goes on.
"""

import base64
from collections.abc import Callable, Iterable
from typing import Any

from botocore.exceptions import ClientError

from components.errors import UserError
from components.names import BUCKET_KINDS
from scripts.applied import TENANT_TYPE, tenants
from scripts.aws import Clients
from scripts.engine import Engine
from scripts.stores import ADOPTING, Store, mark, stores

# The logical names are those that components/buckets.py gives.
PARTS: dict[str, tuple[str, str]] = {
    "access": ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock", "get_public_access_block"),
    "policy": ("aws:s3/bucketPolicy:BucketPolicy", "get_bucket_policy"),
    "lifecycle": (
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "get_bucket_lifecycle_configuration",
    ),
}


def _is_there(read: Callable[..., Any], bucket: str) -> bool:
    try:
        read(Bucket=bucket)
    except ClientError as error:
        if error.response["Error"]["Code"].startswith("NoSuch"):
            return False
        raise
    return True


def import_file(store: Store, providers: dict[str, str], aws: Clients) -> dict[str, Any]:
    """Return what `pulumi import --file` reads: the tenant's component, the random end and the buckets.

    `providers` maps `aws` and `random`, where the program has such a provider, to its URN.
    """
    name = f"tenant-{store.tenant}"
    ending = base64.urlsafe_b64encode(bytes.fromhex(store.id)).decode().rstrip("=")
    resources: list[dict[str, Any]] = [
        {"type": TENANT_TYPE, "name": name, "component": True},
        _part("random:index/randomId:RandomId", f"{name}-bucket-suffix", ending, name, providers),
    ]
    for kind, bucket in store.buckets.items():
        resources.append(_part("aws:s3/bucket:Bucket", f"{name}-{kind}-bucket", bucket, name, providers))
        for part, (resource_type, read) in PARTS.items():
            if _is_there(getattr(aws["s3"], read), bucket):
                resources.append(_part(resource_type, f"{name}-{kind}-{part}", bucket, name, providers))
    return {"nameTable": providers, "resources": resources}


def _part(resource_type: str, name: str, identity: str, parent: str, providers: dict[str, str]) -> dict[str, Any]:
    part = {"type": resource_type, "name": name, "id": identity, "parent": parent}
    package = resource_type.split(":", 1)[0]
    return part | ({"provider": package} if package in providers else {})


def _providers(engine: Engine) -> dict[str, str]:
    """Return the URNs of the program's own providers, as the state has them, by package."""
    return {
        entry["type"].rsplit(":", 1)[-1]: entry["urn"]
        for entry in engine.resources()
        if entry["type"].startswith("pulumi:providers:") and not entry["urn"].rsplit("::", 1)[-1].startswith("default")
    }


def begun(tenant: str, resources: Iterable[dict[str, Any]], aws: Clients, instance: str) -> Store | None:
    """Return the data with which a tenant of the state, `resources`, is being made, or was.

    Its buckets are marked until the update that makes the rest of the tenant gives them the tags that it declares. From
    then on it is the tenant's, and where no other data of that name is there, nothing else can be meant.
    """
    there = tenants(resources).get(tenant)
    if there is None:
        return None
    owned = {*there.buckets.values()}
    known = stores(aws, instance, tenant)
    meant = [store for store in known if store.adopting] or (known if owned and len(known) == 1 else [])
    return next((store for store in meant if owned <= {*store.buckets.values()}), None)


def require_whole(store: Store) -> None:
    """Raise `UserError` where a part of the data is gone, or about to go."""
    missing = {*BUCKET_KINDS} - {*store.buckets}
    if missing:
        raise UserError(
            f"of the data of {store.tenant} ({store.id}), the bucket for {', '.join(sorted(missing))} is gone: "
            "it is not whole, and is not adopted"
        )
    if store.purging:
        raise UserError(
            f"the deletion of the data of {store.tenant} ({store.id}) has begun: it is not whole any more, and is not "
            "adopted; `./opstrace tenants data purge` deletes the rest"
        )


def adopt(store: Store, engine: Engine, aws: Clients) -> None:
    """Take the store's buckets into the state as those of its tenant; what is there already stays as it is."""
    for bucket in store.buckets.values():
        mark(aws, bucket, ADOPTING)
    providers = {package: urn for package, urn in _providers(engine).items() if package in ("aws", "random")}
    engine.adopt(import_file(store, providers, aws))
