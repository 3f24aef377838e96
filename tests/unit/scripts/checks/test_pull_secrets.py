"""Pull secrets that are missing in a namespace are named; namespaces that an update creates are not there yet."""

from types import SimpleNamespace
from typing import Any

import pytest

from components.config.load import from_settings
from scripts.checks.cluster import find_pull_secrets
from scripts.checks.subject import Subject
from tests.support.contexts import EmptyCluster
from tests.support.factories import settings

NAMESPACES = ("opstrace", "system-tenant", "default-tenant")


class Holding(EmptyCluster):
    """A cluster with these namespaces, and Secrets by namespace and name."""

    def __init__(self, namespaces: tuple[str, ...], *secrets: tuple[str, str]) -> None:
        self._namespaces, self._secrets = namespaces, secrets

    def has_object(self, plural: str, name: str, namespace: str | None = None) -> bool:
        return name in self._namespaces if plural == "namespaces" else (namespace, name) in self._secrets


ALL = [(namespace, "one") for namespace in NAMESPACES]


@pytest.mark.parametrize(
    ("secrets", "cluster", "level", "text"),
    [
        ([], Holding(NAMESPACES), "ok", "none in use"),
        (
            ["one"],
            Holding(()),
            "warning",
            "creates the namespaces opstrace, opstrace-collectors, system-tenant, default-tenant, and each needs one",
        ),
        (["one"], Holding(NAMESPACES, *ALL), "ok", "in the 3 namespaces that exist"),
        (["one"], Holding(NAMESPACES[:2], *ALL[:2]), "ok", "in the 2 namespaces that exist"),
        (["one"], Holding(NAMESPACES, *ALL[:1]), "warning", "system-tenant, default-tenant have no Secret one"),
        (["one", "two"], Holding(NAMESPACES[:1], *ALL), "warning", "opstrace have no Secret two"),
    ],
)
def test_pull_secrets_are_looked_for_where_pods_need_them(
    secrets: list[str], cluster: Any, level: str, text: str
) -> None:
    config = from_settings(settings(images={"pullSecrets": secrets}), "showdown")
    account: Any = SimpleNamespace()
    (found,) = find_pull_secrets(Subject("showdown", config, account, cluster))
    assert found.level == level and text in found.message and bool(found.remedy) == (level != "ok")
