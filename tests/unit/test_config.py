"""The typed configuration: what is refused, and that the committed schema is current."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import example, given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from components.config import from_engine, from_settings, json_schema
from components.errors import ConfigError
from components.keys import canonical_pem, key_id
from tests.unit.given import CLUSTER, JSON, KEY, PAIR, settings

ROOT = Path(__file__).parent.parent.parent
PRIVATE = canonical_pem(KEY) + "\n" + PAIR.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def aliases(*found: tuple[str, list[str]]) -> dict[str, Any]:
    return {"cluster": CLUSTER | {"hostAliases": [{"ip": ip, "hostnames": names} for ip, names in found]}}


def test_a_good_configuration_passes() -> None:
    config = from_settings(settings(), "showdown")
    assert config.tenants[0].name == "default"
    assert config.load_balancer.port == 443


def test_the_engine_s_texts_are_read() -> None:
    texts = {f"opstrace:{k}": v if isinstance(v, str) else json.dumps(v) for k, v in settings().items()}
    assert from_engine(texts | {"aws:region": "x"}, "showdown") == from_settings(settings(), "showdown")


@pytest.mark.parametrize(
    ("changes", "told"),
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
        ({"dataApi": {"publicKeys": {key_id(KEY): PRIVATE}}}, "a private key must never come here"),
        ({"domain": f"{'x' * 50}.example.com"}, "ACM gives certificates to 64 at most"),
        ({"aws": {"region": "cn-north-1"}}, "another AWS partition"),
        ({"aws": {"region": "us-west-2", "endpoints": {"s33": "127.0.0.1"}}}, "'127.0.0.1' is no URL"),
        (aliases(("192.0.2.256", ["a.example"])), "'192.0.2.256' is no address such as"),
        (aliases(("192.0.2.1", [])), "cluster.hostAliases.0.hostnames: List should have at least 1 item"),
        (aliases(("192.0.2.1", ["STS.example", "a b"])), "'STS.example' is no DNS name in lower case; 'a b' is no"),
        (aliases(("2001:DB8::1", ["a.example"]), ("2001:db8::1", ["b.example"])), "more than once: 2001:db8::1"),
        ({"cluster": CLUSTER | {"hostAliases": [{"ip": "::1", "hostname": ["a.b"]}]}}, "did you mean 'hostnames'"),
        ({"domain": "Example"}, "no DNS name"),
        ({"aws": {"region": "west"}}, "given: 'west'"),
    ],
)
def test_a_bad_setting_is_named(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_settings(settings(**changes), "showdown")
    assert told in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(ConfigError, match="3 problems") as caught:
        from_settings(settings(domain="X", tenants=[{"name": "A"}]), "UP")
    assert all(value in str(caught.value) for value in ("'UP'", "'X'", "'A'"))


def test_more_keys_than_a_secret_holds_are_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.data_api_config.SECRET_BYTES", 400)
    with pytest.raises(ConfigError, match=r"1 keys are \d+ bytes, but a Secrets Manager secret holds 400"):
        from_settings(settings(), "showdown")


def test_the_committed_schema_is_current() -> None:
    committed = json.loads((ROOT / "stacks" / "opstrace.schema.json").read_text())
    assert committed == json_schema(), "run `make schema`"


@given(st.dictionaries(st.sampled_from([*settings(), "other"]), JSON))
def test_no_setting_raises_anything_but_the_one_error(changes: dict[str, Any]) -> None:
    try:
        from_settings(settings(**changes), "showdown")
    except ConfigError as error:
        assert "in the configuration of stack showdown" in str(error)


@pytest.mark.parametrize("own", [False, True])
@given(name=st.sampled_from([*settings(), "tenant"]), text=st.text())
@example(name="tenants", text="[" * 20_000)
@example(name="tenant", text='{"a":' * 20_000)
def test_no_text_that_the_engine_hands_over_raises_anything_but_the_one_error(own: bool, name: str, text: str) -> None:
    texts = {f"opstrace:{key}": value if key == "domain" else json.dumps(value) for key, value in settings().items()}
    stack = "showdown.team" if own else "showdown"
    texts = {"opstrace:tenantOf": "showdown"} if own else texts
    try:
        from_engine(texts | {f"opstrace:{name}": text}, stack)
    except ConfigError as error:
        assert f"in the configuration of stack {stack}" in str(error)


def test_the_example_is_valid_but_for_the_key_that_create_adds() -> None:
    content = YAML(typ="safe").load((ROOT / "stacks" / "Pulumi.example-aws.yaml").read_text())
    found = {name.removeprefix("opstrace:"): value for name, value in content["config"].items()}
    found["dataApi"]["publicKeys"] = {key_id(KEY): canonical_pem(KEY)}
    assert from_settings(found, "example").tags == {"team": "observability"}
    jsonschema.validate(content, json_schema())
