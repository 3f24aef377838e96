"""The images of all pods: their registries, digests and pull secrets, of an instance and of a tenant's own stack."""

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from components.config.load import from_settings
from components.core import images as versions
from components.core.errors import ConfigError
from components.core.images import COLLECTOR_IMAGE, CORTEX_IMAGE, ENVOY_IMAGE, LOKI_IMAGE, PUBLIC, tag_of
from components.tenant.base import TenantBase
from scripts.checks.policy_probe import manifests
from tests.support.factories import settings
from tests.support.pulumi_mocks import declared, tenant_base
from tests.support.user_session import blocks

PINNED, OWN = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"
TENANTS = [{"name": "default", "alertmanager": {"enabled": True}}]
ECR = "111122223333.dkr.ecr.us-west-2.amazonaws.com"


def pods(**changes: Any) -> list[dict[str, Any]]:
    """Return the specs of all pods of an instance with these settings."""
    specs = [resource.inputs.get("spec") for resource in declared(settings(tenants=TENANTS, **changes))]
    return [spec["template"]["spec"] for spec in specs if isinstance(spec, dict) and "template" in spec]


def images(wanted: dict[str, Any], **changes: Any) -> set[str]:
    found = pods(images=wanted, **changes)
    assert len(found) == 8  # the gateway, two back ends of each of two tenants, one Alertmanager, two collectors
    return {container["image"] for pod in found for container in pod["containers"]}


@pytest.fixture(autouse=True)
def pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "DIGESTS", dict.fromkeys(versions.IMAGES, PINNED))


def test_a_pull_through_cache_takes_the_place_of_each_registry() -> None:
    wanted = {"registries": {"quay.io": f"{ECR}/quay", "docker.io": f"{ECR}/docker-hub"}}
    assert images(wanted) == {
        f"{ECR}/quay/cortexproject/cortex:{tag_of(CORTEX_IMAGE)}@{PINNED}",
        f"{ECR}/docker-hub/grafana/loki:{tag_of(LOKI_IMAGE)}@{PINNED}",
        f"{ECR}/docker-hub/envoyproxy/envoy:{tag_of(ENVOY_IMAGE)}@{PINNED}",
        f"{ECR}/docker-hub/otel/opentelemetry-collector-k8s:{tag_of(COLLECTOR_IMAGE)}@{PINNED}",
    }


def test_one_prefix_takes_the_place_of_all_registries_that_have_none_of_their_own() -> None:
    wanted = {"registry": "mirror.example.com:5000/all", "registries": {"quay.io": f"{ECR}/quay"}}
    assert images(wanted) == {
        f"{ECR}/quay/cortexproject/cortex:{tag_of(CORTEX_IMAGE)}@{PINNED}",
        f"mirror.example.com:5000/all/grafana/loki:{tag_of(LOKI_IMAGE)}@{PINNED}",
        f"mirror.example.com:5000/all/envoyproxy/envoy:{tag_of(ENVOY_IMAGE)}@{PINNED}",
        f"mirror.example.com:5000/all/otel/opentelemetry-collector-k8s:{tag_of(COLLECTOR_IMAGE)}@{PINNED}",
    }


def test_a_digest_precedes_the_pinned_one_also_on_this_machine() -> None:
    wanted = {"digests": {"loki": f"{tag_of(LOKI_IMAGE)}@{OWN}"}}
    others = (CORTEX_IMAGE, ENVOY_IMAGE, COLLECTOR_IMAGE)
    assert images(wanted) == {f"{LOKI_IMAGE}@{OWN}", *(f"{image}@{PINNED}" for image in others)}
    assert images(wanted, domain="opstrace.localhost") == {f"{LOKI_IMAGE}@{OWN}", *others}


def test_an_image_with_a_digest_of_the_stack_file_counts_as_pinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "DIGESTS", {})
    wanted = {"digests": {"loki": f"{tag_of(LOKI_IMAGE)}@{OWN}"}}
    config = from_settings(settings(images=wanted), "showdown")
    assert config.images.source.without_digest() == [CORTEX_IMAGE, ENVOY_IMAGE, COLLECTOR_IMAGE]


def test_every_pod_names_the_pull_secrets_the_probe_of_network_policies_too() -> None:
    wanted = {"pullSecrets": ["mirror", "other.example"]}
    named = [{"name": "mirror"}, {"name": "other.example"}]
    assert [pod["imagePullSecrets"] for pod in pods(images=wanted)] == [named] * 8
    config = from_settings(settings(images=wanted), "showdown")
    _, *probe = manifests("x", "image", config.platform.pod_settings)
    assert [pod["spec"]["imagePullSecrets"] for pod in probe] == [named] * 2
    assert not any("imagePullSecrets" in pod for pod in pods())


def test_the_settings_that_the_page_shows_are_valid() -> None:
    shown = [YAML(typ="safe").load(block)["config"] for block in blocks("how-to/platform.md", "", "yaml")]
    changes = {name.removeprefix("opstrace:"): value for block in shown for name, value in block.items()}
    config = from_settings(settings(**changes), "showdown")
    assert config.platform.pod_settings.images.registries.keys() == {"quay.io", "docker.io"}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"registry": "https://mirror.example.com"}, "images.registry: must be a registry, with a path or without"),
        ({"registry": "mirror.example.com/"}, "images.registry: must be a registry"),
        ({"registry": "mirror.example.com/all:v1"}, "images.registry: must be a registry"),
        ({"registry": "mirror"}, "images.registry: must be a registry"),
        ({"registry": "mirror.example.com/All"}, "images.registry: must be a registry"),
        ({"registries": {"ghcr.io": ECR}}, "no image is from 'ghcr.io'; choose from docker.io, quay.io"),
        ({"registries": {"quay.io": "quay"}}, "images.registries.quay.io: must be a registry"),
        ({"digests": {"loki": OWN}}, "images.digests.loki: must be a tag and its digest"),
        (
            {"digests": {"loki": f"3.0.0@{OWN}"}},
            f"is a digest of 3.0.0, but this version of Opstrace runs {LOKI_IMAGE}",
        ),
        ({"digests": {"lok": OWN}}, "images.digests.lok: there is no such setting; did you mean 'loki'?"),
        ({"pullSecrets": ["Mirror"]}, "images.pullSecrets.0: must be the name of a Kubernetes object"),
        ({"pullSecrets": ["a", "a"]}, "images.pullSecrets: given more than once: a"),
    ],
)
def test_what_no_image_can_come_from_is_refused(wanted: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match="1 problem") as refused:
        from_settings(settings(images=wanted), "showdown")
    assert told in str(refused.value)


def test_a_tenant_in_its_own_stack_gets_the_images_of_its_instance() -> None:
    wanted = {"registry": "mirror.example.com", "pullSecrets": ["mirror"]}
    config = from_settings(settings(images=wanted), "showdown")
    exported = json.loads(json.dumps(tenant_base(config).exported()))
    assert TenantBase.imported(exported).platform.pod_settings == config.platform.pod_settings
    assert "platform" not in tenant_base(from_settings(settings(), "showdown")).exported()
    del exported["platform"]  # as an instance of an older version exports
    assert TenantBase.imported(exported).platform.pod_settings.images == PUBLIC
