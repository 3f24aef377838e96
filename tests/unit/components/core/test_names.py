"""Names: which are allowed, and that the names that follow from them are short enough."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.names import (
    BUCKET_KINDS,
    alerts_role_name,
    bucket_prefix,
    instance_name_problem,
    role_name,
    tenant_name_problem,
)

INSTANCES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,21}[a-z0-9]", fullmatch=True)
TENANTS = st.from_regex(r"[a-z0-9]{1,30}", fullmatch=True)


@pytest.mark.parametrize("name", ["ab", "a-b", "show1", "x" * 23])
def test_good_instance_names_pass(name: str) -> None:
    assert instance_name_problem(name) is None


@pytest.mark.parametrize("name", ["", "a", "-a", "a-", "A1", "a_b", "a.b", "x" * 24, "ümlaut", "ab\n"])
def test_bad_instance_names_are_explained(name: str) -> None:
    assert repr(name) in str(instance_name_problem(name))


@pytest.mark.parametrize("name", ["", "Default", "a-b", "a_b", "x" * 31, "system", "tenänt", "a\n"])
def test_bad_tenant_names_are_explained(name: str) -> None:
    assert repr(name) in str(tenant_name_problem(name))


@given(INSTANCES, TENANTS)
def test_names_in_aws_are_within_their_limits(instance: str, tenant: str) -> None:
    assert len(role_name(instance, tenant)) <= 64 >= len(alerts_role_name(instance, tenant))
    for kind in BUCKET_KINDS:
        name = bucket_prefix(instance, tenant, kind, 8) + "0" * 8
        assert 3 <= len(name) <= 63
        assert name == name.lower() and ".." not in name and not name.startswith("-")


@given(INSTANCES, TENANTS, INSTANCES, TENANTS)
def test_two_tenants_never_share_a_bucket_prefix(one: str, a: str, other: str, b: str) -> None:
    if (one, a) != (other, b):
        assert bucket_prefix(one, a, "logs", 8) != bucket_prefix(other, b, "logs", 8)
