"""The notices of previews: tenants that change, lost data, and hosts in the place of AWS."""

from typing import Any

import pulumi
import pytest

from components.config.load import from_settings
from components.config.tenant import TenantSettings, exported
from components.core.resource_names import (
    BUCKET_TYPE,
    INSTANCE_TYPE,
    READ_STACK_OUTPUTS,
    READ_STACK_RESOURCE_OUTPUTS,
    TENANT_TYPE,
    bucket_name,
    build_urn,
    child_type,
    tenant_name,
)
from components.instance.providers import providers
from components.tenant import preview_notices
from components.tenant.change_summary import headline
from tests.support import factories
from tests.support.pulumi_mocks import record
from tests.support.recorded_state import answer_with

KEPT, PURGED = TenantSettings(), TenantSettings.model_validate({"onDelete": "purge"})
BUCKET = child_type(TENANT_TYPE, BUCKET_TYPE)


@pytest.mark.parametrize(
    ("tenants", "line"),
    [
        ({"add": [], "delete": []}, ""),
        ({"add": ["b", "a"], "change": [], "delete": []}, "2 tenants to add (a, b)"),
        ({"add": ["a"], "change": ["b"], "delete": ["c"]}, "1 tenant to add (a), 1 to change (b), 1 to delete (c)"),
    ],
)
def test_one_line_says_what_becomes_of_tenants(tenants: dict[str, list[str]], line: str) -> None:
    assert headline(**tenants) == line


def state_of(purges: tuple[bool, ...] | None = None, **tenants: TenantSettings | None) -> dict[str, Any]:
    """Return the state of a stack with these tenants; `purges` overrides the buckets' policies."""
    resources: dict[tuple[str, str], Any] = {(child_type(INSTANCE_TYPE, TENANT_TYPE), "system"): {}}
    for name, settings in tenants.items():
        resources[TENANT_TYPE, tenant_name(name)] = {} if settings is None else {"settings": exported(settings)}
        own = purges or (settings is not None and settings.on_delete == "purge",) * 3
        for kind, purge in zip(("metrics", "config", "logs"), own, strict=True):
            resources[BUCKET, bucket_name(tenant_name(name), kind)] = {"forceDestroy": purge}
    return {
        build_urn("stack", kind, name): {"type": kind, "outputs": outputs}
        for (kind, name), outputs in resources.items()
    }


def notices(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Any] | Exception, now: dict[str, TenantSettings]
) -> list[tuple[str, str]]:
    messages: list[tuple[str, str]] = []
    stack = "organization/project/stack"

    def invoke(token: str, arguments: dict[str, Any]) -> Any:
        if isinstance(state, Exception):
            raise state
        if token == READ_STACK_OUTPUTS:
            assert arguments == {"name": stack}
            outputs = {"instance": "stack"} if state else {}
        else:
            assert (token, arguments) == (READ_STACK_RESOURCE_OUTPUTS, {"stackName": stack})
            assert state, "the engine does not bear that"
            outputs = state
        return outputs

    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    answer_with(monkeypatch, invoke)
    for what in ("organization", "project", "stack"):
        monkeypatch.setattr(pulumi, f"get_{what}", lambda what=what: what)
    for level in ("info", "warn"):
        monkeypatch.setattr(pulumi.log, level, lambda text, level=level: messages.append((level, text)))
    preview_notices.tenants_that_change(now)
    return messages


def test_a_first_preview_names_the_tenants(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notices(monkeypatch, {}, {"a": KEPT}) == [("info", "1 tenant to add (a)")]


def test_nothing_is_said_where_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notices(monkeypatch, state_of(a=KEPT), {"a": KEPT}) == []


def test_the_fate_of_data_is_what_the_state_has_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "1 tenant to change (a), 2 to delete (b, c)\n  b: its data will be kept: 3 buckets\n"
    text += "  c: its data will be purged: 3 buckets"
    assert notices(monkeypatch, state_of(a=KEPT, b=KEPT, c=PURGED), {"a": PURGED}) == [("warn", text)]


@pytest.mark.parametrize(
    ("purges", "level", "words"),
    [
        ((True, True, True), "warn", "purged"),
        ((True, False, False), "warn", "purged in part"),
        ((False, False, False), "info", "kept"),
    ],
)
def test_what_the_buckets_have_counts_and_not_what_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, purges: tuple[bool, ...], level: str, words: str
) -> None:
    """The state is of a killed update, or of a version that recorded no settings."""
    for settings in (KEPT, PURGED, None):
        result = notices(monkeypatch, state_of(purges, a=settings), {})
        assert result == [(level, f"1 tenant to delete (a): its data will be {words}: 3 buckets")]


def test_a_tenant_that_no_update_has_made_all_of_is_to_be_added(monkeypatch: pytest.MonkeyPatch) -> None:
    assert notices(monkeypatch, state_of(a=None), {"a": PURGED}) == [("info", "1 tenant to add (a)")]


@pytest.mark.parametrize(
    "state",
    [
        RuntimeError("unknown stack"),
        {"no URN": {"type": TENANT_TYPE, "outputs": {}}},
    ],
)
def test_a_notice_that_cannot_be_made_is_a_warning_and_the_update_goes_on(
    monkeypatch: pytest.MonkeyPatch, state: dict[str, Any] | Exception
) -> None:
    ((level, text),) = notices(monkeypatch, state, {"a": KEPT})
    reason = "RuntimeError: unknown stack" if isinstance(state, Exception) else "IndexError"
    assert level == "warn" and reason in text
    assert "cannot tell which tenants the update deletes" in text and "check the list of resources" in text


def warned(monkeypatch: pytest.MonkeyPatch, endpoints: dict[str, str], aliases: dict[str, list[str]]) -> list[str]:
    """Return the warnings of the providers of a stack with these settings."""
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", warnings.append)
    named = [{"ip": ip, "hostnames": names} for ip, names in aliases.items()]
    cluster = factories.CLUSTER | {"hostAliases": named, "context": "any"}
    settings = factories.settings(aws={"region": "us-west-2", "endpoints": endpoints}, cluster=cluster)
    config = from_settings(settings, "showdown")

    def declare() -> pulumi.Output[Any]:
        return pulumi.Output.all(*(one.urn for one in providers(config.aws, config.cluster)))

    record(declare)
    return warnings


STS = "sts.us-west-2.amazonaws.com"


def test_each_host_that_takes_the_place_of_aws_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints = {"s3": "https://s3.example.com", "sts": "https://S3.example.com:8443/x", "ec2": "http://192.0.2.7"}
    messages = warned(monkeypatch, endpoints, {"192.0.2.1": [STS]})
    assert [text.partition(": ")[0] for text in messages] == [
        "aws.endpoints sends calls of ec2 to 192.0.2.7 in place of AWS",
        "aws.endpoints sends calls of s3, sts to s3.example.com in place of AWS",
        f"cluster.hostAliases lets the back ends' pods find {STS} at 192.0.2.1",
    ]
    assert all("the data of every tenant" in text for text in messages)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "localhost", "[::1]"])
def test_this_machine_is_nobody_else(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert warned(monkeypatch, {"s3": f"https://{host}:4566"}, {}) == []


@pytest.mark.parametrize("host", ["aws.opstrace.localhost", "localhost.example.com", "xlocalhost"])
def test_a_name_that_a_resolver_may_lead_elsewhere_is_warned_of(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    assert [host in text for text in warned(monkeypatch, {"s3": f"https://{host}:4566"}, {})] == [True]
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://{host}:4566")
    assert warned(monkeypatch, {"s3": f"https://{host}:4566"}, {}) == []


@pytest.mark.parametrize(
    ("variable", "is_known"),
    [
        ("AWS_ENDPOINT_URL", True),
        ("AWS_ENDPOINT_URL_S3", True),
        ("AWS_ENDPOINT_URL_STS", True),
        ("AWS_ENDPOINT_URL_ROUTE_53", False),
        ("AWS_ENDPOINT_URL_X", False),
        ("AWS_ENDPOINT_URLS", False),
    ],
)
def test_few_variables_name_a_host_as_aws(monkeypatch: pytest.MonkeyPatch, variable: str, is_known: bool) -> None:
    monkeypatch.setenv(variable, "https://192.0.2.7")
    assert bool(warned(monkeypatch, {"s3": "https://192.0.2.7"}, {})) != is_known


def test_the_embedded_cloud_is_known_by_the_shell_that_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoints, aliases = {"s3": "https://10.243.0.10", "sts": "http://10.243.0.10:5000"}, {"10.243.0.10": [STS]}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://10.243.0.10:5000")
    assert warned(monkeypatch, endpoints, aliases) == []
    assert len(warned(monkeypatch, endpoints | {"iam": "http://10.243.0.11"}, aliases)) == 1
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    assert len(warned(monkeypatch, endpoints, aliases)) == 2


def test_aws_itself_needs_no_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warned(monkeypatch, {}, {}) == []
