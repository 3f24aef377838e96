"""The typed configuration: checks, error texts, and the committed schema."""

import copy
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from components.config import engine_values
from components.config.backend_limits import MetricsLimits
from components.config.engine_values import shown_path
from components.config.load import TenantStack, from_engine, from_settings, tenant_stack
from components.config.platform.kms_keys import KEY_PATTERN
from components.config.problems import FORMS
from components.config.recorded_name import require_recorded_name
from components.config.schema import json_schema
from components.config.tenant import TenantSettings
from components.core.errors import ConfigError
from components.core.names import DOMAIN_PATTERN, TENANT_PATTERN
from components.core.public_keys import canonical_pem, key_id
from components.tenant.back_ends.cortex import OWN_DEFAULTS
from tests.support.factories import CLUSTER, JSON, KEY, PAIR, settings

ROOT = Path(__file__).parent.parent.parent.parent.parent
PRIVATE = canonical_pem(KEY) + "\n" + PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


PLACES: dict[str, Any] = {
    "dataApi": {
        "allowedCidrs": ["203.0.113.0/24"],
        "publicKeys": {
            key_id(KEY): {
                "pem": canonical_pem(KEY),
                "tenants": ["a"],
                "scopes": ["logs:read"],
                "notAfter": "2099-01-01T00:00:00Z",
            }
        },
        "revokedTokens": {"0f8fad5b-d9cb": "2099-01-01T00:00:00Z"},
        "rates": {"requestsPerSecond": 9, "bytesPerSecond": "1Mi", "byteBurst": "2Mi"},
        "ratesPerAddress": {"connectionsPerSecond": 9},
        "tenants": {"a": {"rates": {"requestsPerSecond": 9}, "allowedCidrs": ["203.0.113.0/24"]}},
    },
    "cluster": CLUSTER
    | {"context": "x", "enforcesNetworkPolicies": True, "hostAliases": [{"ip": "::1", "hostnames": ["a.b"]}]},
    "tenantDefaults": {
        "retention": {"logs": "7d"},
        "limits": {"metrics": {"ingestion_rate": 1, "max_query_length": "1h"}, "logs": {"max_line_size": "1KB"}},
        "alertmanager": {"privateReceivers": ["10.0.0.0/8"]},
        "labels": {"a": "b"},
        "tags": {"a": "b"},
        "owner": "a",
    },
    "aws": {"region": "us-west-2", "endpoints": {"s3": "https://192.0.2.1"}},
}


def aliases(*entries: tuple[str, list[str]]) -> dict[str, Any]:
    return {"cluster": CLUSTER | {"hostAliases": [{"ip": ip, "hostnames": names} for ip, names in entries]}}


def refusal(load: Callable[[], object]) -> str | None:
    """Return the text with which a configuration is refused, None if it is accepted."""
    try:
        load()
    except ConfigError as error:
        return str(error)
    return None


def test_a_good_configuration_passes() -> None:
    config = from_settings(settings(), "showdown")
    assert config.tenants[0].name == "default"
    assert config.load_balancer.port == 443


def test_the_engine_s_texts_are_read() -> None:
    texts = {f"opstrace:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in settings().items()}
    assert from_engine(texts | {"aws:region": "x"}, "showdown") == from_settings(settings(), "showdown")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"tenants": []}, "at least 1"),
        ({"tenants": [{"name": "a"}, {"name": "a"}]}, "given more than once: a"),
        ({"tenants": [{"name": "system"}]}, "instance's own tenant"),
        ({"tenants": [{"nmae": "a"}]}, "did you mean 'name'"),
        ({"tenents": []}, "did you mean 'tenants'"),
        ({"dataApi": {}}, "publicKeys is not set"),
        pytest.param({"dataApi": {"publicKeys": {"0": canonical_pem(KEY)}}}, key_id(KEY), id="another key's id"),
        ({"dataApi": {"publicKeys": {"0": "x"}}}, "not a public key in PEM form"),
        ({"dataApi": {"authentication": False, "allowedCidrs": ["10.0.0.1/8"]}}, "10.0.0.1/8"),
        ({"dataApi": {"authentication": False, "allowedCidrs": ["203.0.113.5"]}}, "'203.0.113.5/32'"),
        ({"dataApi": {"authentication": False, "allowedCidrs": ["10.0.0.0/8", "10.0.0.0/8"]}}, "more than once"),
        ({"data_api": {}}, "did you mean 'dataApi'"),
        ({"dataApi": {"publicKeys": {key_id(KEY): PRIVATE}}}, "never put a private key here"),
        ({"domain": f"{'x' * 50}.example.com"}, "ACM gives certificates to 64 at most"),
        ({"aws": {"region": "cn-north-1"}}, "another AWS partition"),
        ({"aws": {"region": "us-iso-east-1"}}, "another AWS partition"),
        ({"aws": {"region": "eu-isoe-west-1"}}, "another AWS partition"),
        ({"aws": {"region": "us-west-2", "endpoints": {"s33": "127.0.0.1"}}}, "'127.0.0.1' is not a URL such as"),
        (aliases(("192.0.2.256", ["a.example"])), "'192.0.2.256' is not an IP address such as"),
        (aliases(("192.0.2.1", [])), "cluster.hostAliases.0.hostnames: must have at least 1 item"),
        (
            aliases(("192.0.2.1", ["STS.example", "a b"])),
            "'STS.example' is not a DNS name in lower case; 'a b' is not a",
        ),
        (aliases(("2001:DB8::1", ["a.example"]), ("2001:db8::1", ["b.example"])), "more than once: 2001:db8::1"),
        ({"cluster": CLUSTER | {"hostAliases": [{"ip": "::1", "hostname": ["a.b"]}]}}, "did you mean 'hostnames'"),
        ({"aws": {"region": "us-west-2", "endpoints": {"s3": "https://127.0.0.1@192.0.2.1"}}}, "is not a URL"),
        ({"cluster": CLUSTER | {"oidcProviderArn": "arn:aws:iam::1:oidc-provider/x"}}, "cluster.oidcProviderArn"),
        ({"tags": {"opstrace:instance": "other"}}, "the tag 'opstrace:instance' is reserved"),
        ({"domain": "Example"}, "'Example' is not a DNS name"),
        ({"aws": {"region": "west"}}, "given: 'west'"),
    ],
)
def test_a_bad_setting_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_settings(settings(**changes), "showdown")
    assert problem in str(caught.value)


def _key(**limits: Any) -> dict[str, Any]:
    return {"dataApi": {"publicKeys": {key_id(KEY): {"pem": canonical_pem(KEY)} | limits}}}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (_key(tenants="a"), f"opstrace:dataApi.publicKeys.{key_id(KEY)}.tenants: must be a list (given: 'a')"),
        (
            _key(scopes=["x"]),
            "scopes.0: must be 'metrics:write', 'metrics:read', 'logs:write' or 'logs:read' (given: 'x')",
        ),
        (_key(notAfter=3), "notAfter: '3' is no"),
        ({"aws": {"region": "west"}}, "opstrace:aws.region: must be a region such as us-west-2 (given: 'west')"),
        ({"aws": None}, "opstrace:aws: must be a mapping of names to values"),
        ({"tags": {"[key]": 1.5}}, "opstrace:tags.[key]: must be a text; write it in quotes (given: 1.5)"),
        (
            {"tags": {"a": [1]}},
            "opstrace:tags.a: must be one text, but is a list; write the text itself, without brackets",
        ),
        ({"tenants": [{"name": "a", "owner": []}]}, "opstrace:tenants.a.owner: must be one text, but is a list"),
        (
            {"tenants": [{"name": "a", "owner": {"name": "x"}}]},
            "opstrace:tenants.a.owner: must be one text, but is a mapping; write the text itself in place of the names",
        ),
        ({"tags": {"a": None}}, "opstrace:tags.a: must be a text, but has no value; write one"),
        ({"tags": {"a": True}}, "opstrace:tags.a: must be a text; write it in quotes (given: True)"),
        ({"tags": {"a": 2**63}}, "opstrace:tags.a: must be a text; write it in quotes (given: 9223372036854775808)"),
        (
            {"tags": {"a": date(2099, 1, 1)}},
            "opstrace:tags.a: must be a text; write it in quotes (given: '2099-01-01')",
        ),
        (
            {"tags": {"a": "2099-01-01 00:00:00 +0000 UTC"}},
            "is what the engine makes of a date; write the date in quotes",
        ),
        ({"dataApi": {"authentication": "maybe"}}, "authentication: must be true or false (given: 'maybe')"),
        (
            {"tenants": [{"name": "a", "owner": 1.0}]},
            "tenants.a.owner: must be a text; write it in quotes (given: 1.0)",
        ),
        ({"tenants": [{"name": "a", "size": {"metrics": {"cpu": 0}}}]}, "cpu: must be a quantity above 0"),
        ({"[x": 1}, "opstrace:[x: there is no such setting; remove it"),
        (
            {"tenants": [{"name": "a", "[size]": 1}]},
            "opstrace:tenants.a.[size]: there is no such setting; did you mean 'size'?",
        ),
        ({"tenants": [{"name": "a"}, {"name": "b", "owner": 1.0}]}, "opstrace:tenants.b.owner: must be a text"),
        ({"tenants": [{"name": "a"}, {"name": "a", "size": 3}]}, "opstrace:tenants.1.size: must be a mapping"),
        ({"tenants": [{"name": "a"}, "b"]}, "opstrace:tenants.1: must be a mapping"),
        (
            {"tenants": [{"name": "a", "limits": {"metrics": {"max_query_length": 30}}}]},
            "opstrace:tenants.a.limits.metrics.max_query_length: has no unit; write 30d for days, 30h for hours",
        ),
        (
            {"tenants": [{"name": "a", "retention": {"metrics": 30}}]},
            "opstrace:tenants.a.retention.metrics: '30' has no unit; write 30d for days",
        ),
        ({"tenantDefaults": {"retention": {"logs": "14"}}}, "retention.logs: '14' has no unit; write 14d for days"),
        ({"tenants": [{"name": "a", "owner": "x" * 300}]}, "must have at most 256 characters (given: 'xxx"),
        (
            {"tenants": [{"name": "a", "size": 3}]},
            "opstrace:tenants.a.size: must be a mapping of names to values; it has replicas, metrics and logs (given: 3)",
        ),
    ],
)
def test_a_problem_is_told_in_words_of_the_configuration(changes: dict[str, Any], problem: str) -> None:
    """The text names the setting in full, and no type of Pydantic."""
    with pytest.raises(ConfigError, match="1 problem ") as caught:
        from_settings(settings(**changes), "showdown")
    assert problem in str(caught.value) and len(str(caught.value)) < 300


OF_PYDANTIC = re.compile(
    r"constrained-|valid (string|boolean|integer|number)|unable to|[Kk]eys should|parse|\.none\b|function-|list\[|literal\[|instance of|Input should|should match|\[key\]"
)


@given(st.data())
def test_no_problem_shows_what_pydantic_calls_it(data: st.DataObject) -> None:
    """Any setting may have a value of any form."""
    changed: Any = copy.deepcopy(settings(tenants=[{"name": "a", "size": {"metrics": {"cpu": "1"}}}]) | PLACES)
    place = changed
    while True:
        name = data.draw(st.sampled_from([*place] if isinstance(place, dict) else range(len(place))))
        if not isinstance(place[name], (dict, list)) or not place[name] or data.draw(st.booleans()):
            break
        place = place[name]
    place[name] = data.draw(st.sampled_from([None, True, 1.5, "a b\n", [], ["-"], {}, {"x": 1}, -1]))
    assert not OF_PYDANTIC.search(refusal(lambda: from_settings(changed, "showdown")) or "")


def test_a_whole_number_is_a_text_where_a_text_is_wanted() -> None:
    """The engine hands over 4711 whether it stood in quotes or not."""
    tenant = {"name": 123, "owner": 4711, "labels": {"team": 7}, "tags": {"cost-center": 4711}}
    tenant |= {"size": {"metrics": {"cpu": 2, "memoryLimit": 4294967296}}}
    given = settings(tenants=[tenant], tags={"cost-center": -1}, tenantDefaults={"owner": 9})
    given["cluster"] = CLUSTER | {"context": 5}
    texts = {f"opstrace:{name}": v if isinstance(v, str) else json.dumps(v) for name, v in given.items()}
    config = from_settings(copy.deepcopy(given), "showdown")
    assert config == from_engine(texts, "showdown")
    own = config.settings_of("123")
    assert (own.owner, own.labels, own.tags) == ("4711", {"team": "7"}, {"cost-center": "4711"})
    assert (own.pods().metrics.cpu, own.pods().metrics.memory_limit) == ("2", "4294967296")
    assert (config.tags, config.cluster.context, config.tenant_defaults.owner) == ({"cost-center": "-1"}, "5", "9")


@pytest.mark.parametrize(
    ("number", "text"),
    [("0.5", "0.5"), ("0.50", "0.5"), (".5", "0.5"), ("1.10", "1.1"), ("2.0", "2"), ("1.5e+1", "15"), ("2e+3", "2000")],
)
@pytest.mark.parametrize("reader", ["commands", "the engine"])
def test_a_quantity_may_be_a_number_with_a_fraction(number: str, text: str, reader: str) -> None:
    """However it was written, the quantity is the same. In any other text, 1.10 could be a version, which 1.1 is not."""
    value = YAML(typ="rt").load(number)
    if reader == "the engine":  # which hands over 2 for 2.0
        value = int(value) if value.is_integer() else json.loads(json.dumps(float(value)))
    size = {"metrics": {"cpu": value}}
    rates = {"requestsPerSecond": 9, "bytesPerSecond": "20Mi", "byteBurst": 2**25 + value}
    config = from_settings(
        settings(tenants=[{"name": "a", "size": size}], dataApi={"publicKeys": {}, "rates": rates}), "showdown"
    )
    assert config.settings_of("a").pods().metrics.cpu == text
    assert config.data_api.rates and float(config.data_api.rates.byte_burst or 0) == 2**25 + value
    with pytest.raises(ConfigError, match=r"tags\.a: must be a text; write it in quotes \(given: 0\.5\)"):
        from_settings(settings(tags={"a": 0.5}), "showdown")


@pytest.mark.parametrize("number", [-0.5, 0.0, 1e-7, float("inf"), float("nan"), 2.0**63, 1e22])
def test_a_number_that_is_no_quantity_is_refused(number: float) -> None:
    """From 2**63 on, the engine rounds."""
    size = {"metrics": {"cpu": number}}
    with pytest.raises(ConfigError, match=r"1 problem .*\n  - opstrace:tenants\.a\.size\.metrics\.cpu: must be a "):
        from_settings(settings(tenants=[{"name": "a", "size": size}]), "showdown")


def test_a_number_that_is_no_text_is_one_of_all_problems() -> None:
    with pytest.raises(ConfigError, match="2 problems") as caught:
        from_settings(settings(tags={"a": 4711, "b": 1.5}, domain="X"), "showdown")
    assert "opstrace:tags.b: must be a text" in str(caught.value) and "'X'" in str(caught.value)


def test_an_update_on_aws_needs_a_context_and_the_error_has_the_command_that_prints_it() -> None:
    cluster = {name: value for name, value in CLUSTER.items() if name != "context"}
    texts = {
        f"opstrace:{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in settings(cluster=cluster).items()
    }
    with pytest.raises(ConfigError, match=r"cluster.context: is required on AWS, .*`kubectl config current-context`"):
        from_engine(texts, "showdown")
    assert from_settings(settings(cluster=cluster), "showdown").cluster.context is None  # to edit it, and to read


def test_every_pattern_has_a_form_in_words() -> None:
    """Three patterns are for editors only: the validators of these settings have their own texts."""
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(json_schema())))
    assert {json.loads(pattern) for pattern in patterns} - {DOMAIN_PATTERN, TENANT_PATTERN, KEY_PATTERN} <= {*FORMS}


def test_every_setting_has_a_description() -> None:
    schema = json_schema()
    parts = {name: schema["properties"]["config"][name] for name in ("then", "else")} | schema["$defs"]
    properties = {
        f"{part}.{name}": field
        for part, part_schema in parts.items()
        for name, field in part_schema["properties"].items()
    }
    assert len(properties) > 140
    assert [name for name, field in properties.items() if not field.get("description", "").endswith(".")] == []
    assert [name for name, part in schema["$defs"].items() if not part.get("description")] == []


def test_the_defaults_that_are_not_the_back_end_s_are_described() -> None:
    for name, default in OWN_DEFAULTS.items():
        text = "true" if default is True else default
        assert f"Default: {text}." in str(MetricsLimits.model_fields[name].description)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="3 problems") as caught:
        from_settings(settings(domain="X", tenants=[{"name": "A"}]), "UP")
    assert all(value in str(caught.value) for value in ("'UP'", "'X'", "'A'"))


def test_more_keys_than_a_secret_holds_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.config.data_api.SECRET_BYTES", 400)
    with pytest.raises(ConfigError, match=r"1 keys are \d+ bytes, but a Secrets Manager secret holds 400"):
        from_settings(settings(), "showdown")


def test_the_committed_schema_is_current() -> None:
    committed = json.loads((ROOT / "stacks" / "opstrace.schema.json").read_text())
    assert committed == json_schema(), "run `make schema`"


@given(st.dictionaries(st.sampled_from([*settings(), "other"]), JSON))
def test_no_setting_raises_anything_but_the_one_error(changes: dict[str, Any]) -> None:
    error = refusal(lambda: from_settings(settings(**changes), "showdown"))
    assert error is None or "in the configuration of stack showdown" in error


@pytest.mark.parametrize("own", [False, True])
@given(name=st.sampled_from([*settings(), "tenant"]), text=st.text())
@example(name="tenants", text="[" * 20_000)
@example(name="tenant", text='{"a":' * 20_000)
def test_no_text_that_the_engine_hands_over_raises_anything_but_the_one_error(own: bool, name: str, text: str) -> None:
    texts = {f"opstrace:{key}": value if key == "domain" else json.dumps(value) for key, value in settings().items()}
    stack = "showdown.team" if own else "showdown"
    texts = {"opstrace:tenantOf": "showdown"} if own else texts
    error = refusal(lambda: from_engine(texts | {f"opstrace:{name}": text}, stack))
    assert error is None or f"in the configuration of stack {stack}" in error


def test_the_example_is_valid_but_for_the_key_that_create_adds() -> None:
    content = YAML(typ="safe").load((ROOT / "stacks" / "Pulumi.example-aws.yaml").read_text())
    values = {name.removeprefix("opstrace:"): value for name, value in content["config"].items()}
    values["dataApi"]["publicKeys"] = {key_id(KEY): canonical_pem(KEY)}
    assert from_settings(values, "example").tags == {"team": "observability"}
    jsonschema.validate(content, json_schema())


def test_the_name_in_a_file_must_be_the_name_of_its_stack() -> None:
    assert from_settings(settings(name="showdown"), "showdown").name == "showdown"
    remedy = "`pulumi stack rename showdown --stack showdown2`"
    with pytest.raises(ConfigError, match=f"opstrace:name: this is the stack of showdown, but .*{remedy}"):
        from_settings(settings(name="showdown"), "showdown2")
    own = {"tenantOf": "showdown", "name": "shop"}
    assert tenant_stack(own, "showdown.shop").tenant == "shop"
    remedy = "`pulumi stack rename showdown.shop --stack showdown.shop2`"
    with pytest.raises(ConfigError, match=f"opstrace:name: this is the stack of showdown.shop, but .*{remedy}"):
        tenant_stack(own, "showdown.shop2")


@pytest.mark.parametrize("name", ["404", "true", "null", "1e3"])
def test_a_name_that_is_json_is_text_for_the_engine_too(name: str) -> None:
    texts = {"opstrace:tenantOf": "showdown", "opstrace:name": name}
    found = from_engine(texts, f"showdown.{name}")
    assert isinstance(found, TenantStack) and found.tenant == name


@pytest.mark.parametrize(
    ("stack", "outputs", "refused"),
    [
        ("showdown", {}, ""),
        ("showdown", {"instance": "showdown", "tenants": {"shop": {}}}, ""),
        ("showdown2", {"instance": "showdown", "tenants": {"shop": {}}}, "the stack of showdown, but"),
        ("showdown.shop", {}, ""),
        ("showdown.shop", {"instance": "showdown", "tenants": {"shop": {}}}, ""),
        ("showdown.shop2", {"instance": "showdown", "tenants": {"shop": {}}}, "the stack of showdown.shop, but"),
        ("showdown2.shop", {"instance": "showdown", "tenants": {"shop": {}}}, "the stack of showdown.shop, but"),
    ],
)
def test_the_recorded_name_must_be_the_name_of_the_stack(stack: str, outputs: dict[str, Any], refused: str) -> None:
    instance, _, tenant = stack.partition(".")
    own = TenantStack(instance=instance, tenant=tenant, settings=TenantSettings()) if tenant else None
    if not refused:
        require_recorded_name(stack, outputs, own)
        return
    with pytest.raises(ConfigError, match=refused):
        require_recorded_name(stack, outputs, own)


@pytest.mark.parametrize(
    ("entries", "shown"),
    [
        ([{"name": "a"}, {"name": "b"}], "opstrace:tenants.b.owner"),
        ([{"name": "b"}, {"name": "b"}], "opstrace:tenants.1.owner"),
        ([{"name": "a"}, {}], "opstrace:tenants.1.owner"),
        ([{"name": "a"}, {"name": "A_b"}], "opstrace:tenants.1.owner"),
        ([{"name": "a"}, {"name": 4711}], "opstrace:tenants.1.owner"),
        ([{"name": "a"}, "b"], "opstrace:tenants.1.owner"),
        ([{"name": "a"}], "opstrace:tenants.1.owner"),
        ("a", "opstrace:tenants.1.owner"),
    ],
)
def test_a_tenant_is_named_in_a_path_if_its_name_says_which_it_is(entries: Any, shown: str) -> None:
    assert shown_path(["tenants", 1, "owner"], {"tenants": entries}) == shown


def test_the_path_of_a_setting_is_made_for_a_problem_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at all tenants: for each value of a thousand of them, it took most of the time of a command."""
    monkeypatch.setattr(engine_values, "shown_path", lambda *_: pytest.fail("a path was made"))
    assert engine_values.problems({"opstrace:tenants": [{"name": "default", "tags": {"a": "b"}}]}) == []
