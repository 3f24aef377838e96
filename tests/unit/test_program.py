"""The program, declared against mocks: the shape of what it makes."""

import json

import pulumi
import pytest

from components.gateway_config import GatewaySettings, bootstrap
from components.gateway_lua import UPSTREAM_HEADER
from tests.unit.given import CLUSTER, settings
from tests.unit.program import declared

ALIASES = [{"ip": "192.0.2.1", "hostnames": ["sts.us-west-2.amazonaws.com"]}]


@pytest.fixture(scope="module")
def recorded() -> list[pulumi.runtime.MockResourceArgs]:
    aws = {"region": "us-west-2", "parentZoneId": "ZPARENT"}
    return declared(settings(cluster=CLUSTER | {"hostAliases": ALIASES}, aws=aws))


def of_default(recorded: list[pulumi.runtime.MockResourceArgs]) -> list[pulumi.runtime.MockResourceArgs]:
    return [entry for entry in recorded if entry.name.startswith("tenant-default")]


def test_the_recording_sees_resources(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    assert len(recorded) > 50


def test_a_tenant_has_30_resources_at_most(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    """Components exist in the state alone; what a tenant costs is what the providers make."""
    made = [entry for entry in of_default(recorded) if not entry.typ.startswith("opstrace:")]
    assert 20 < len(made) <= 30


def test_a_tenant_has_three_buckets_all_shut(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    kinds = [entry.typ for entry in of_default(recorded)]
    assert kinds.count("aws:s3/bucket:Bucket") == 3
    assert kinds.count("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock") == 3
    policies = [entry for entry in of_default(recorded) if entry.typ == "aws:s3/bucketPolicy:BucketPolicy"]
    assert len(policies) == 3
    for entry in policies:
        statement = json.loads(entry.inputs["policy"])["Statement"][0]
        assert statement["Effect"] == "Deny" and statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"


def test_no_manifest_holds_a_static_key(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    manifests = json.dumps([entry.inputs for entry in recorded if entry.typ.startswith("kubernetes:")], default=str)
    assert "AWS_ROLE_ARN" in manifests
    for forbidden in ("access_key", "AWS_SECRET", "PRIVATE KEY"):
        assert forbidden not in manifests


def test_every_pod_is_restricted(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    workloads = [entry for entry in recorded if entry.typ.startswith("kubernetes:apps/v1:")]
    assert len(workloads) == 5
    for entry in workloads:
        spec = entry.inputs["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["resources"]["limits"]["memory"]
        assert not [volume for volume in spec["volumes"] if "emptyDir" in volume]


def test_host_aliases_reach_the_pods_of_the_back_ends_alone(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    pods = {
        entry.name: entry.inputs["spec"]["template"]["spec"] for entry in recorded if "kubernetes:apps/v1:" in entry.typ
    }
    with_aliases = {name for name, spec in pods.items() if spec.get("hostAliases") == ALIASES}
    backends = [f"{tenant}-{api}-stateful-set" for tenant in ("system", "tenant-default") for api in ("cortex", "loki")]
    assert with_aliases == {*backends}
    assert not [name for name, spec in pods.items() if "hostAliases" in spec and name not in with_aliases]


def test_the_gateway_names_no_tenant(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    parts = [entry for entry in recorded if entry.name.startswith("instance-gateway")]
    assert parts
    text = json.dumps([entry.inputs.get("data") for entry in parts])
    for name in ("default_source_code", "default_value"):  # Envoy's own
        text = text.replace(name, "")
    assert "default" not in text


def test_the_gateway_looks_up_the_tenant_s_service_and_never_the_name_that_the_client_used() -> None:
    settings = GatewaySettings("showdown", "showdown.example.com", authentication=True, legacy_push_errors=False)
    listener = json.loads(bootstrap(settings))["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    routes = [route for host in manager["route_config"]["virtual_hosts"] for route in host["routes"]]
    assert len(routes) >= 5
    for route in routes:
        assert route["typed_per_filter_config"]["forward"]["host_rewrite_header"] == UPSTREAM_HEADER
        assert not [name for name in route["route"] if "host_rewrite" in name]


def test_the_zone_is_delegated_in_its_parent(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    found = [
        entry.inputs for entry in recorded if entry.typ == "aws:route53/record:Record" and entry.inputs["type"] == "NS"
    ]
    assert [(entry["zoneId"], entry["name"]) for entry in found] == [("ZPARENT", "showdown.example.com")]


@pytest.mark.parametrize("authentication", [True, False])
def test_a_preview_warns_of_an_instance_that_asks_for_no_token(
    monkeypatch: pytest.MonkeyPatch, authentication: bool
) -> None:
    warned: list[str] = []
    monkeypatch.setattr("pulumi.log.warn", warned.append)
    declared(settings(dataApi=settings()["dataApi"] | {"authentication": authentication}))
    assert [("showdown.example.com" in text, "every tenant" in text) for text in warned] == [(True, True)] * (
        not authentication
    )
