"""Deleting retained data for good."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from components.core.errors import UserError
from scripts.tenants.retained_data import buckets
from scripts.tenants.retained_data.stores import Store, choose, facts

if TYPE_CHECKING:
    from scripts.context.context import Target


def purge_retained(tenant: str, identity: str | None, target: Target, *, yes: bool) -> dict[str, Any]:
    """Delete a retained store, after a question unless `yes`; return its facts as `--json` has them."""
    store = choose(tenant, identity, target)
    contents = buckets.contents(target.aws, store.buckets.values())
    if not yes:
        loss = f"The retained data of {tenant} ({store.id}) will be deleted for good: {contents}."
        target.context.terminal.confirm_by_name(tenant, loss)
        store = choose(tenant, store.id, target)  # another command may have adopted it during the question
    deleted = facts(store, target, contents)
    purge_store(store, contents, target)
    return deleted


def purge_store(store: Store, contents: buckets.Contents, target: Target) -> None:
    """Delete a store with progress, and check that it is gone; raises `UserError` with the buckets that are left.

    `contents` is what the store held before.
    """
    total = contents.objects + contents.versions
    with target.context.terminal.counted(f"deleting the data of {store.tenant}", total) as done:
        for bucket in store.buckets.values():
            buckets.purge(target.aws, bucket, done)
    seconds = target.context.bucket_gone_seconds
    left = [bucket for bucket in store.buckets.values() if not buckets.is_gone(target.aws, bucket, seconds)]
    if left:
        raise UserError(
            f"{', '.join(left)} of {store.tenant} still exists, with {buckets.contents(target.aws, left)}; run this again"
        )
    target.context.terminal.note(
        f"Nothing is left of the retained data of {store.tenant} ({store.id}): {len(store.buckets)} buckets, {contents}, "
        f"{contents.versions:,} old versions and {contents.uploads:,} unfinished uploads are gone."
    )
