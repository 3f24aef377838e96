"""The resources that the program declares, with mocks in place of the engine."""

import json
import runpy
from typing import Any

import pulumi
import pytest

from components.core.resource_names import (
    AWS_PREFIX,
    BUCKET_POLICY_TYPE,
    BUCKET_TYPE,
    CERTIFICATE_TYPE,
    COMPONENT_PREFIX,
    CONFIG_MAP_TYPE,
    DISRUPTION_BUDGET_TYPE,
    INGRESS_RULE_TYPE,
    KUBERNETES_PREFIX,
    LISTENER_TYPE,
    NAMESPACE_TYPE,
    PUBLIC_ACCESS_BLOCK_TYPE,
    RECORD_TYPE,
    ROLE_POLICY_TYPE,
    ROLE_TYPE,
    WORKLOAD_PREFIX,
)
from components.core.tags import OWNER_ANNOTATION, OWNER_TAG, RETENTION_TAG
from components.gateway.envoy import bootstrap
from components.gateway.lua_filters import UPSTREAM_HEADER
from components.gateway.settings import GatewaySettings
from components.tenant.back_ends.store import StoreArgs
from tests.support import drift
from tests.support.factories import CLUSTER, kms_key, settings
from tests.support.pulumi_mocks import declared, run_to_end, unchanged_sdk
from tests.support.shell import ROOT

ALIASES = [{"ip": "192.0.2.1", "hostnames": ["sts.us-west-2.amazonaws.com"]}]


@pytest.fixture(scope="module")
def recorded() -> list[pulumi.runtime.MockResourceArgs]:
    aws = {"region": "us-west-2", "parentZoneId": "ZPARENT"}
    return declared(settings(cluster=CLUSTER | {"hostAliases": ALIASES}, aws=aws))


def of_default(recorded: list[pulumi.runtime.MockResourceArgs]) -> list[pulumi.runtime.MockResourceArgs]:
    return [entry for entry in recorded if entry.name.startswith("tenant-default")]


def test_the_recording_sees_resources(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    assert len(recorded) > 50


def test_neither_the_load_balancer_nor_the_gateway_offers_http_2(
    recorded: list[pulumi.runtime.MockResourceArgs],
) -> None:
    (listener,) = (entry for entry in recorded if entry.typ == LISTENER_TYPE)
    # Without a policy AWS offers no protocol (ELB, 'TLS listeners for your Network Load Balancer', 'ALPN policies').
    assert listener.inputs["protocol"] == "TLS" and listener.inputs.get("alpnPolicy", "None") == "None"
    (config,) = (
        json.loads(entry.inputs["data"]["envoy.json"])
        for entry in recorded
        if entry.typ == CONFIG_MAP_TYPE and "envoy.json" in entry.inputs["data"]
    )
    for listener in config["static_resources"]["listeners"]:
        (chain,) = listener["filter_chains"]
        assert chain["filters"][-1]["typed_config"]["codec_type"] == "HTTP1"


def test_drift_is_tried_of_every_type_that_any_setting_makes(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    """tests/e2e/test_drift.py tests the types of one instance; this test covers the types of any instance."""
    tenants = [{"name": "default", "alertmanager": {"enabled": True}, "size": "large"}]
    cluster = CLUSTER | {"enforcesNetworkPolicies": True}
    account = {"region": "us-west-2", "kmsKeys": {"buckets": kms_key(1), "secrets": kms_key(1)}}
    more = declared(settings(tenants=tenants, cluster=cluster, aws=account))
    types = {entry.typ for entry in (*recorded, *more) if not entry.typ.startswith(COMPONENT_PREFIX)}
    assert len(types) > 25 and types <= {*drift.KINDS, *drift.NOTHING_TO_CHANGE, *drift.ELSEWHERE}


def test_a_tenant_has_30_resources_at_most(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    """Components are not counted: they exist in the state only, and are free."""
    resources = [entry for entry in of_default(recorded) if not entry.typ.startswith("opstrace:")]
    assert 20 < len(resources) <= 30


def test_each_bucket_has_a_net_below_its_own_retention_which_its_tag_tells() -> None:
    resources = of_default(
        declared(settings(tenants=[{"name": "default", "retention": {"metrics": "36h", "logs": "1y"}}]))
    )
    result = {}
    for kind in ("metrics", "logs", "config"):
        inputs = {entry.name.rsplit("-", 1)[-1]: entry.inputs for entry in resources if f"-{kind}-" in entry.name}
        rules = [rule["expiration"]["days"] for rule in inputs["lifecycle"]["rules"] if "expiration" in rule]
        result[kind] = (inputs["bucket"]["tags"].get(RETENTION_TAG), rules)
    assert result == {"metrics": ("2", [32]), "logs": ("365", [395, 395]), "config": (None, [])}


def test_a_tenant_has_three_buckets_all_shut(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    kinds = [entry.typ for entry in of_default(recorded)]
    assert kinds.count(BUCKET_TYPE) == 3
    assert kinds.count(PUBLIC_ACCESS_BLOCK_TYPE) == 3
    policies = [entry for entry in of_default(recorded) if entry.typ == BUCKET_POLICY_TYPE]
    assert len(policies) == 3
    shut = dict.fromkeys(("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets"), True)
    for entry in of_default(recorded):
        if entry.typ == PUBLIC_ACCESS_BLOCK_TYPE:
            assert {name: entry.inputs[name] for name in shut} == shut
    for entry in policies:
        statement = json.loads(entry.inputs["policy"])["Statement"][0]
        assert statement["Effect"] == "Deny" and statement["Condition"]["Bool"]["aws:SecureTransport"] == "false"


def test_no_role_reaches_a_bucket_of_another_account() -> None:
    """Any account may take the name of a deleted bucket."""
    provider = "arn:aws:iam::210987654321:oidc-provider/issuer"
    cluster = CLUSTER | {"oidcProviderArn": provider, "enforcesNetworkPolicies": True}
    resources = declared(settings(tenants=[{"name": "default", "alertmanager": {"enabled": True}}], cluster=cluster))
    policies = [json.loads(entry.inputs["policy"]) for entry in resources if entry.typ == ROLE_POLICY_TYPE]
    statements = [statement for policy in policies for statement in policy["Statement"]]
    assert len(policies) == 3 and len(statements) == 7  # of two tenants, and of an Alertmanager
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert statement["Condition"] == {"StringEquals": {"aws:ResourceAccount": "210987654321"}}


def test_no_manifest_holds_a_static_key(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    manifests = json.dumps([entry.inputs for entry in recorded if entry.typ.startswith(KUBERNETES_PREFIX)], default=str)
    assert "AWS_ROLE_ARN" in manifests
    for forbidden in ("access_key", "AWS_SECRET", "PRIVATE KEY"):
        assert forbidden not in manifests


def test_the_back_ends_trust_the_authorities_of_the_ca_bundle() -> None:
    resources = of_default(declared(settings(aws={"region": "us-west-2", "caBundle": "certificates"})))
    files = {entry.inputs["metadata"]["name"]: entry.inputs["data"] for entry in resources if "ConfigMap" in entry.typ}
    pods = {entry.name: entry.inputs["spec"]["template"]["spec"] for entry in resources if "StatefulSet" in entry.typ}
    assert len(pods) == 2
    for spec in pods.values():
        (container,) = spec["containers"]
        (bundle,) = (variable["value"] for variable in container["env"] if variable["name"] == "SSL_CERT_FILE")
        (mount,) = (mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "config")
        assert files[container["name"]][bundle.removeprefix(f"{mount}/")] == "certificates"


def test_every_pod_is_restricted(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    """Those of the collectors have a test of their own."""
    workloads = [entry for entry in recorded if entry.typ.startswith(WORKLOAD_PREFIX) and "collector" not in entry.name]
    assert len(workloads) == 5
    for entry in workloads:
        spec = entry.inputs["spec"]["template"]["spec"]
        assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
        for container in spec["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"]
            assert container["resources"]["limits"]["memory"]
            assert {*container["resources"]["requests"]} == {"cpu", "memory"}
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= {*container}
        assert not [volume for volume in spec["volumes"] if "emptyDir" in volume]


def test_host_aliases_reach_the_pods_of_the_back_ends_alone(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    pods = {entry.name: entry.inputs["spec"]["template"]["spec"] for entry in recorded if WORKLOAD_PREFIX in entry.typ}
    with_aliases = {name for name, spec in pods.items() if spec.get("hostAliases") == ALIASES}
    backends = [f"{tenant}-{api}-stateful-set" for tenant in ("system", "tenant-default") for api in ("cortex", "loki")]
    assert with_aliases == {*backends}
    assert not [name for name, spec in pods.items() if "hostAliases" in spec and name not in with_aliases]


def test_workloads_have_the_recommended_labels_and_their_namespaces_the_restricted_standard(
    recorded: list[pulumi.runtime.MockResourceArgs],
) -> None:
    for entry in recorded:
        if entry.typ.startswith(WORKLOAD_PREFIX):
            marks = entry.inputs["spec"]["template"]["metadata"]["labels"]
            names = ("name", "component", "instance", "part-of", "managed-by")
            assert {f"app.kubernetes.io/{name}" for name in names} <= {*marks}
    namespaces = [entry for entry in recorded if entry.typ == NAMESPACE_TYPE]
    levels = {
        entry.inputs["metadata"]["name"]: entry.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
        for entry in namespaces
    }
    restricted = dict.fromkeys(("opstrace", "system-tenant", "default-tenant"), "restricted")
    assert levels == restricted | {"opstrace-collectors": "privileged"}


def test_three_pods_are_spread_over_zones_and_one_may_be_taken_at_a_time() -> None:
    resources = of_default(declared(settings(tenants=[{"name": "default", "size": {"replicas": 3}}])))
    pods = [entry.inputs["spec"]["template"]["spec"] for entry in resources if "StatefulSet" in entry.typ]
    assert len(pods) == 2
    for spec in pods:
        rules = spec["topologySpreadConstraints"]
        assert [rule["topologyKey"] for rule in rules] == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
        assert all(rule["maxSkew"] == 1 and rule["labelSelector"]["matchLabels"] for rule in rules)
    budgets = [entry.inputs["spec"] for entry in resources if entry.typ == DISRUPTION_BUDGET_TYPE]
    assert [budget["maxUnavailable"] for budget in budgets] == [1, 1]


def test_labels_tags_and_owner_are_on_what_is_the_tenant_s() -> None:
    tenant = {"name": "default", "labels": {"team": "a"}, "tags": {"cost": "1"}, "owner": "team-a"}
    resources = of_default(declared(settings(tenants=[tenant, {"name": "other"}], tags={"stage": "test"})))
    (namespace,) = [entry.inputs["metadata"] for entry in resources if entry.typ == NAMESPACE_TYPE]
    assert namespace["labels"]["team"] == "a" and namespace["annotations"][OWNER_ANNOTATION] == "team-a"
    tagged = [entry for entry in resources if entry.typ in TAGGED]
    assert {entry.typ for entry in tagged} == TAGGED
    for entry in tagged:
        expected = {"cost": "1", "stage": "test", OWNER_TAG: "team-a"}
        assert expected.items() <= entry.inputs["tags"].items(), entry.name


TAGGED = {BUCKET_TYPE, ROLE_TYPE, CERTIFICATE_TYPE}


def test_who_reaches_the_load_balancer_is_what_is_allowed() -> None:
    ranges = ["198.51.100.0/24", "203.0.113.0/24"]
    resources = declared(settings(dataApi=settings()["dataApi"] | {"allowedCidrs": ranges}))
    rules = [entry.inputs for entry in resources if entry.typ == INGRESS_RULE_TYPE]
    assert sorted(rule["cidrIpv4"] for rule in rules if "cidrIpv4" in rule) == ranges


def test_a_tenant_s_names_lead_to_the_load_balancer_for_30_seconds(
    recorded: list[pulumi.runtime.MockResourceArgs],
) -> None:
    records = [entry.inputs for entry in of_default(recorded) if entry.name.endswith(("cortex-record", "loki-record"))]
    names = [f"{api}.default.showdown.example.com" for api in ("cortex", "loki")]
    assert sorted(entry["name"] for entry in records) == names
    assert {(entry["type"], entry["ttl"], *entry["records"]) for entry in records} == {("CNAME", 30, "lb.example")}


def test_back_ends_that_are_shared_leave_a_tenant_s_other_parts_as_they_are(
    recorded: list[pulumi.runtime.MockResourceArgs],
) -> None:
    class Shared(pulumi.ComponentResource):
        """Stands for a back end that several tenants share."""

        def __init__(self, name: str, args: StoreArgs, opts: pulumi.ResourceOptions) -> None:
            super().__init__("test:Shared", name, None, opts)
            self.running = pulumi.Output.from_input("always")

    def names(resources: list[pulumi.runtime.MockResourceArgs]) -> set[tuple[str, str]]:
        return {
            (entry.typ, entry.name)
            for entry in of_default(resources)
            if entry.typ.startswith((AWS_PREFIX, KUBERNETES_PREFIX))
        }

    own, shared = names(recorded), names(declared(settings(), metrics=Shared, logs=Shared))
    gone = {name for _, name in own - shared}
    assert (
        shared < own
        and gone
        and all(name.startswith(("tenant-default-cortex", "tenant-default-loki")) for name in gone)
    )


def test_the_gateway_names_no_tenant(recorded: list[pulumi.runtime.MockResourceArgs]) -> None:
    parts = [entry for entry in recorded if entry.name.startswith("instance-gateway")]
    assert parts
    text = json.dumps([entry.inputs.get("data") for entry in parts])
    for name in ("default_source_code", "default_value", "no_default_search_domain"):  # Envoy's own
        text = text.replace(name, "")
    assert "default" not in text


def test_one_more_tenant_changes_nothing_that_is_not_its_own() -> None:
    def shared(resources: list[pulumi.runtime.MockResourceArgs]) -> dict[str, object]:
        return {entry.name: entry.inputs for entry in resources if not entry.name.startswith("tenant-other")}

    one, two = declared(settings()), declared(settings(tenants=[{"name": "default"}, {"name": "other"}]))
    assert shared(one) == shared(two) and len(two) > len(one)


def gateway_file(name: str, **data_api: object) -> str:
    """Return a file from the gateway's ConfigMaps, for an instance with these settings of `dataApi`."""
    resources = declared(settings(dataApi=settings()["dataApi"] | data_api))
    maps = [entry.inputs["data"] for entry in resources if entry.typ == CONFIG_MAP_TYPE]
    return next(str(data[name]) for data in maps if name in data)


def test_what_the_stack_says_of_authentication_and_of_old_errors_is_what_the_gateway_does() -> None:
    usual, token_step = gateway_file("envoy.json"), '"name": "token"'
    assert token_step in usual and "legacy_errors = false" in usual
    changed = gateway_file("envoy.json", authentication=False, legacyPushErrors=True)
    assert token_step not in changed and "legacy_errors = true" in changed


def test_each_pod_of_the_gateway_lets_its_share_of_a_rate_through() -> None:
    file = gateway_file("rates.json", rates={"requestsPerSecond": 9, "requestBurst": 30})
    (bucket,) = json.loads(file)["resources"][0]["typed_config"]["descriptors"]
    assert bucket["token_bucket"] == {"max_tokens": 30, "tokens_per_fill": 5, "fill_interval": "1s"}


def test_the_gateway_looks_up_the_tenant_s_service_and_never_the_name_that_the_client_used() -> None:
    settings = GatewaySettings(
        instance="showdown", domain="showdown.example.com", authentication=True, legacy_push_errors=False
    )
    listener = json.loads(bootstrap(settings))["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    routes = [route for host in manager["route_config"]["virtual_hosts"] for route in host["routes"]]
    assert len(routes) >= 5
    for route in routes:
        assert route["typed_per_filter_config"]["forward"]["host_rewrite_header"] == UPSTREAM_HEADER
        assert not [name for name in route.get("route", {}) if "host_rewrite" in name]
        assert ("route" in route) != (route.get("direct_response") == {"status": 400})


def test_the_zone_is_delegated_in_its_parent_and_resolvers_forget_both_records_soon(
    recorded: list[pulumi.runtime.MockResourceArgs],
) -> None:
    records = [entry.inputs for entry in recorded if entry.typ == RECORD_TYPE and entry.inputs["type"] == "NS"]
    (own, parent) = sorted(records, key=lambda entry: str(entry["zoneId"]))
    assert (own["zoneId"], own["allowOverwrite"], parent["zoneId"]) == ("Z1", True, "ZPARENT")
    assert own["records"] == parent["records"] == ["ns-1.example"]
    assert {(entry["name"], entry["ttl"]) for entry in records} == {("showdown.example.com", 30)}


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


@pytest.mark.parametrize("values", [{"opstrace:tenents": "[]"}, {"opstrace:tenantOf": "other"}])
def test_a_problem_of_the_configuration_ends_the_program_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, str]
) -> None:
    mains: list[Any] = []
    monkeypatch.setattr(pulumi, "run", mains.append)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "showdown")
    monkeypatch.setattr("pulumi.runtime.config.get_config_env", lambda: values)
    monkeypatch.setattr("components.shared.startup.disable_garbage_collector", lambda: None)
    unchanged_sdk(monkeypatch)
    runpy.run_path(str(ROOT / "__main__.py"), run_name="__main__")
    (main,) = mains
    # The SDK shows the text of a RunError alone, and a traceback of everything else.
    with pytest.raises(pulumi.RunError, match="in the configuration of stack showdown"):
        run_to_end(main())
