"""Creates whose result the engine does not know: the created resources become part of the state.

A killed engine leaves pending operations, with the inputs of a create but mostly without the id. A killed plugin
leaves nothing, because the engine notes a failed create. A preview still plans that create.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from components.core.resource_names import provider_reference
from scripts.clients.aws import Clients
from scripts.clients.kubernetes import Cluster
from scripts.engine.resource_lookup import FINISH, Resource, find

# The engine's placeholder for a value that only an update determines (`pulumi.runtime.rpc.UNKNOWN`, which loads the SDK).
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


class Settled(NamedTuple):
    """An exported state without pending operations, and the result of each create.

    `taken` and `dropped` are URNs. `orphans` has the ids of resources for which the state has no place, by URN.
    """

    state: dict[str, Any]
    taken: list[str]
    dropped: list[str]
    orphans: dict[str, str]


def settle_pending(state: dict[str, Any], aws: Clients, cluster: Cluster) -> Settled:
    """Settle the pending creates of an exported state.

    A resource that was created is added to the state without outputs. A refresh must follow, which reads them.
    """
    deployment = dict(state["deployment"])
    operations = deployment.pop("pending_operations", [])
    creates = [entry["resource"] for entry in operations if entry["type"] == "creating"]
    resources = deployment.get("resources") or []
    # A plain `pulumi destroy` keeps the pending operations but removes the parents of their resources.
    names = _names(resources)
    placeable = [create for create in creates if _references(create) <= names]
    settled, taken = _with_created({**state, "deployment": deployment}, placeable, aws, cluster)
    orphans = {
        create["urn"]: identity
        for create in creates
        # Retained resources are left alone anyway. They are found again by their tags.
        if create not in placeable and not create.get("retainOnDelete")
        if (identity := find(create, aws, cluster, _ids(resources, create["type"])))
    }
    named = {*taken, *orphans}
    dropped = [str(entry["resource"]["urn"]) for entry in operations if entry["resource"]["urn"] not in named]
    return Settled(settled, taken, dropped, orphans)


def adopt_planned(
    state: dict[str, Any], planned: Iterable[Resource], aws: Clients, cluster: Cluster
) -> tuple[dict[str, Any], list[str]]:
    """Return the exported state with those of `planned` that exist and are ours, and their URNs.

    `planned` are the resources that a preview would create. A resource whose parent or inputs an update has yet
    to create cannot exist.
    """
    names = _names(state["deployment"].get("resources") or [])

    def can_exist(resource: Resource) -> bool:
        return _references(resource) <= names and UNKNOWN not in str(resource.get("inputs"))

    return _with_created(state, filter(can_exist, planned), aws, cluster)


def _references(resource: Resource) -> set[str]:
    """Return the references of `resource` that a state must contain: URNs, and the provider's URN with its id."""
    references = {resource.get("parent"), resource.get("provider"), *resource.get("dependencies", [])}
    return {reference for reference in references if reference}


def _names(resources: Iterable[Resource]) -> set[str]:
    """Return the references that a state satisfies: each URN, alone and with its id."""
    return {name for entry in resources for name in (entry["urn"], provider_reference(entry["urn"], entry.get("id")))}


def _ids(resources: Iterable[Resource], kind: str) -> set[str]:
    return {str(entry.get("id")) for entry in resources if entry["type"] == kind}


def _with_created(
    state: dict[str, Any], creates: Iterable[Resource], aws: Clients, cluster: Cluster
) -> tuple[dict[str, Any], list[str]]:
    """Return the state with the resources that the creates made, and their URNs."""
    resources = [dict(entry) for entry in state["deployment"].get("resources") or []]
    taken = []
    for resource in creates:
        existing = _ids(resources, resource["type"])
        identity = find(resource, aws, cluster, existing)
        if identity is None or identity in existing:
            continue
        if finish := FINISH.get(str(resource["type"])):
            finish(aws, identity)
        for entry in resources:
            if entry["urn"] == resource["urn"]:  # the create was the first half of a replacement
                entry["delete"] = True
        resources.append({**resource, "id": identity, "outputs": resource.get("outputs") or resource["inputs"]})
        taken.append(str(resource["urn"]))
    return {**state, "deployment": {**state["deployment"], "resources": resources}}, taken
