"""Keys with limits: their form in the stack file, the checks, and the secrets that hold them."""

import json
import time
from pathlib import Path
from typing import Any

import pulumi
import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given
from hypothesis import strategies as st

from components.config.data_api import KeyConfig
from components.config.load import from_settings
from components.core.errors import ConfigError
from components.core.public_keys import canonical_pem, key_id
from components.core.scopes import UNLIMITED, KeyLimits, key_limits_set
from components.core.timestamps import format_rfc3339, instant
from components.instance.trust_store import TrustStore, TrustStoreArgs
from scripts.cli.tokens.keys import ta_pubkeys_add, ta_pubkeys_list, ta_pubkeys_remove
from scripts.stackfile import file as stackfile
from scripts.tokens.key_files import new_key
from scripts.tokens.parse import read_token
from scripts.tokens.signing import Grant, Signer
from scripts.tokens.verify import refusals
from tests.support.contexts import FakeContext, invoke
from tests.support.factories import JSON, KEY, PAIR, settings
from tests.support.pulumi_mocks import record

KID, PEM = key_id(KEY), canonical_pem(KEY)


def add(path: Path, key: RSAPrivateKey, *options: str) -> Result:
    path.write_text(canonical_pem(key.public_key()))
    return invoke(FakeContext(path.parent), ta_pubkeys_add, "local", "showdown", path, *options, "--no-apply")


def limited(**limits: Any) -> dict[str, Any]:
    """Return settings whose one key has limits."""
    return settings(dataApi={"publicKeys": {KID: {"pem": PEM, **limits}}})


def test_both_forms_of_a_key_stand_beside_each_other(stack: Path, context: FakeContext, tmp_path: Path) -> None:
    key = new_key()
    options = ["--tenant", "default", "--tenant", "shop", "--scope", "logs:read", "--not-after", "2099-01-01T00:00:00Z"]
    assert add(tmp_path / "public.pem", key, *options).exit_code == 0
    kid = key_id(key.public_key())
    config = stackfile.StackFile("showdown", stack.parent).config().data_api
    expected = KeyLimits(("default", "shop"), ("logs:read",), instant("2099-01-01T00:00:00Z"))
    assert config.limits == {KID: UNLIMITED, kid: expected}
    assert config.pems[kid].strip() == canonical_pem(key.public_key()) and "pem: |" in stack.read_text()
    listed = invoke(context, ta_pubkeys_list, "local", "showdown").stdout
    assert listed.split() == [KID, kid]
    listing = json.loads(invoke(context, ta_pubkeys_list, "local", "showdown", "--json").stdout)
    assert listing[KID] == {} and listing[kid]["tenants"] == ["default", "shop"]
    assert invoke(context, ta_pubkeys_remove, "local", "showdown", kid, "--no-apply").exit_code == 0
    assert invoke(context, ta_pubkeys_list, "local", "showdown").stdout.split() == [KID]


def test_a_tenant_that_cannot_be_is_refused_before_anything_is_written(stack: Path, tmp_path: Path) -> None:
    before = stack.read_text()
    assert "'Shop'" in str(add(tmp_path / "public.pem", new_key(), "--tenant", "Shop").exception)
    assert stack.read_text() == before


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        ({"tenants": []}, "at least 1"),
        ({"tenants": None}, "is empty"),
        ({"scopes": None}, "is empty"),
        ({"notAfter": None}, "is empty"),
        ({"tenants": "default"}, "must be a list (given: 'default')"),
        ({"tenants": ["a", "a"]}, "given more than once: a"),
        ({"tenants": ["*"]}, "'*'"),
        ({"scopes": []}, "at least 1"),
        ({"scopes": ["metrics"]}, "'metrics:write'"),
        ({"scopes": ["logs:read", "logs:read"]}, "given more than once"),
        ({"notAfter": "2099-01-01"}, "timestamp with a time zone"),
        ({"tenant": ["a"]}, "did you mean 'tenants'"),
        ({"pem": "x"}, "not a public key in PEM form"),
    ],
)
def test_a_limit_of_another_form_is_refused_with_its_name(limits: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        from_settings(limited(**limits), "showdown")
    assert problem in str(caught.value) and "publicKeys" in str(caught.value)


@given(st.dictionaries(st.sampled_from(["pem", "tenants", "scopes", "notAfter", "x"]), JSON))
def test_no_key_raises_anything_but_config_error_and_none_loses_its_limits(entry: dict[str, Any]) -> None:
    key = {"pem": PEM} | entry
    try:
        config = from_settings(settings(dataApi={"publicKeys": {KID: key}}), "showdown")
    except ConfigError:
        return
    limits = config.data_api.limits[KID]
    assert ("tenants" in key) == (limits.tenants is not None)
    assert ("scopes" in key) == (limits.scopes is not None)
    assert ("notAfter" in key) == (limits.not_after is not None)


def test_limits_that_no_secret_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("components.config.data_api.SECRET_BYTES", 600)
    from_settings(limited(), "showdown")
    with pytest.raises(ConfigError, match=r"have limits that are \d+ bytes, but a Secrets Manager secret holds 600"):
        from_settings(limited(tenants=[f"tenant{number}" for number in range(100)]), "showdown")


def test_an_instance_says_what_a_limited_key_may_not_sign() -> None:
    past = format_rfc3339(time.time() - 1)
    config = from_settings(limited(tenants=["shop"], scopes=["logs:read"], notAfter=past), "showdown")
    reasons = refusals(
        read_token(Signer(PAIR).token(Grant(instance="showdown", tenant="default", scopes=("metrics:read",)))),
        config,
        "showdown",
        time.time(),
    )
    assert [reason.split(" since ")[0] for reason in reasons] == [
        "its key is limited to the tenants shop",
        "its key has not been accepted",
        "its key is limited to the scopes logs:read",
    ]
    wide = from_settings(limited(tenants=["default"], scopes=["logs:read"]), "showdown")
    assert (
        refusals(
            read_token(Signer(PAIR).token(Grant(instance="showdown", tenant="default"))), wide, "showdown", time.time()
        )
        == []
    )


def test_the_key_set_stays_flat_and_limits_stand_in_a_secret_of_their_own() -> None:
    limits = {
        KID: KeyConfig.model_validate({"pem": PEM, "tenants": ["shop"], "notAfter": "2099-01-01T00:00:00Z"}).limits
    }

    def declare() -> pulumi.Output[Any]:
        store = TrustStore("store", TrustStoreArgs(instance="showdown", public_keys={KID: PEM}, limits=limits, tags={}))
        return pulumi.Output.all(store.secret_arn, store.limits_secret_arn)

    resources = record(declare)
    names = {entry.name: entry.inputs["name"] for entry in resources if entry.typ.endswith(":Secret")}
    assert names == {
        "store-secret": "opstrace/showdown/data-api-public-keys",
        "store-limits-secret": "opstrace/showdown/data-api-key-limits",
    }
    contents = {
        entry.name: json.loads(_plain(entry.inputs["secretString"]))
        for entry in resources
        if entry.typ.endswith(":SecretVersion")
    }
    assert contents == {
        "store-version": {KID: PEM},
        "store-limits-version": {KID: {"tenants": ["shop"], "notAfter": "2099-01-01T00:00:00Z"}},
    }
    assert key_limits_set({KID: UNLIMITED}) == "{}"


def _plain(value: Any) -> str:
    """Return the text of an input; the SDK wraps secrets."""
    return str(value["value"] if isinstance(value, dict) else value)
