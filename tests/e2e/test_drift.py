"""Drift: `pulumi preview --refresh` shows changes by hand, and `up --refresh` heals them.

One run changes a resource of every type in the state, by tests/support/drift.py. A type that is missing from the state
fails the test.
"""

import json
from functools import partial

from components.core.resource_names import COMPONENT_PREFIX, logical_name, tenant_name
from tests.support.drift import KINDS, NOTHING_TO_CHANGE, TENANT, Resource
from tests.support.polling import eventually
from tests.support.user_session import INSTANCE, LABELS, UserSession, url


def _one_of_each(resources: list[Resource]) -> dict[str, Resource]:
    """Return a resource of every type that exists in the cloud, preferably one of the tenant or the gateway."""
    chosen: dict[str, Resource] = {}
    for resource in sorted(resources, key=lambda entry: entry["urn"]):  # the state has the order of the update
        kind = resource["type"]
        if kind in NOTHING_TO_CHANGE or kind.startswith(COMPONENT_PREFIX):
            continue
        is_preferred = logical_name(resource["urn"]).startswith((f"{tenant_name(TENANT)}-", "instance-gateway-"))
        if kind not in chosen or is_preferred:
            chosen[kind] = resource
    return chosen


def _is_served(walk: UserSession, address: str) -> bool:
    return walk.curl(address, token=walk.token(TENANT))[0] == 200


def _steps(walk: UserSession, *arguments: str) -> dict[str, set[str]]:
    """Return the steps of a preview by URN, without those that change nothing."""
    done = walk.in_project("pulumi", "--non-interactive", "preview", "--json", *arguments, "--stack", INSTANCE)
    steps: dict[str, set[str]] = {}
    for step in json.loads(done.stdout[done.stdout.index("{") :])["steps"]:
        if step["op"] not in ("same", "read", "refresh"):
            steps.setdefault(step["urn"], set()).add(step["op"])
    return steps


def test_changes_by_hand_of_every_resource_type_show_and_are_healed(walk: UserSession) -> None:
    chosen = _one_of_each(walk.resources())
    assert {*chosen} == {*KINDS}, "KINDS must have every type of resource in the state"
    before = {kind: KINDS[kind].look(walk, resource) for kind, resource in chosen.items()}
    for kind, resource in chosen.items():
        KINDS[kind].change(walk, resource)
    unchanged = [kind for kind, resource in chosen.items() if KINDS[kind].look(walk, resource) == before[kind]]
    assert unchanged == []

    shown = _steps(walk, "--refresh")
    assert [kind for kind, resource in chosen.items() if resource["urn"] not in shown] == []

    walk.pulumi("up", "--yes", "--skip-preview", "--refresh")
    after = {resource["urn"]: resource for resource in walk.resources()}
    seen = {kind: KINDS[kind].look(walk, after[resource["urn"]]) for kind, resource in chosen.items()}
    assert {kind: (before[kind], seen[kind]) for kind in chosen if seen[kind] != before[kind]} == {}
    assert _steps(walk, "--refresh") == {}
    for api, path in (("cortex", LABELS), ("loki", "/loki/api/v1/labels")):
        eventually(partial(_is_served, walk, url(api, TENANT, path)))
