"""The evaluation of statements of IAM policies in the embedded AWS."""

from typing import Any

import pytest
from moto.iam.access_control import PermissionResult

from localcloud.moto.authorization.policies import Values, evaluate

ACTION = "sts:AssumeRoleWithWebIdentity"
ARN = "arn:aws:s3:::bucket/alerts/default"
PERMITTED, DENIED, NEUTRAL = PermissionResult.PERMITTED, PermissionResult.DENIED, PermissionResult.NEUTRAL


def result_of(
    caller: str | None = None, values: Values | None = None, action: str = "s3:GetObject", **changed: Any
) -> PermissionResult:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ARN} | changed
    statement = {name: value for name, value in statement.items() if value is not None}
    return evaluate(statement, action, ARN, caller, values or {})


@pytest.mark.parametrize(
    ("changed", "result"),
    [
        ({}, PERMITTED),
        ({"Effect": "Deny"}, DENIED),
        ({"Action": "s3:*"}, PERMITTED),
        ({"Action": ["s3:PutObject", "s3:Get*"]}, PERMITTED),
        ({"Action": "S3:getobject"}, PERMITTED),
        ({"Action": "s3:PutObject"}, NEUTRAL),
        ({"Action": "s3:GetObjec?"}, PERMITTED),
        ({"Action": "s3:GetObject?"}, NEUTRAL),
        ({"Action": None, "NotAction": "s3:PutObject"}, PERMITTED),
        ({"Action": None, "NotAction": "s3:GetObject"}, NEUTRAL),
        ({"Action": None}, NEUTRAL),
        ({"Resource": "*"}, PERMITTED),
        ({"Resource": "arn:aws:s3:::bucket/*"}, PERMITTED),
        ({"Resource": "arn:aws:s3:::bucket"}, NEUTRAL),
        ({"Resource": "arn:aws:s3:::buck.t/*"}, NEUTRAL),
        ({"Resource": "arn:aws:s3:::bucket/alerts/defaul"}, NEUTRAL),
        ({"Resource": None, "NotResource": "arn:aws:s3:::bucket/*"}, NEUTRAL),
        ({"Resource": None, "NotResource": "arn:aws:s3:::other/*"}, PERMITTED),
        ({"Principal": "*"}, PERMITTED),
        ({"Principal": {"AWS": "*"}}, PERMITTED),
        ({"Principal": {"AWS": "somebody"}}, NEUTRAL),
        ({"NotPrincipal": {"AWS": "somebody"}}, NEUTRAL),
        ({"Effect": "Deny", "NotPrincipal": {"AWS": "somebody"}}, DENIED),
    ],
)
def test_a_statement_applies_to_the_elements_that_it_names(changed: dict[str, Any], result: PermissionResult) -> None:
    assert result_of(**changed) == result


def test_a_pattern_matches_the_entire_name() -> None:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": ARN}
    for resource in (f"{ARN}\n", f"{ARN}/x", f"x{ARN}"):
        assert evaluate(statement, "s3:GetObject", resource, None, {}) == NEUTRAL


@pytest.mark.parametrize(
    ("condition", "allow", "deny"),
    [
        ({"StringEquals": {"issuer:sub": "me"}}, PERMITTED, DENIED),
        ({"StringEquals": {"issuer:sub": ["other", "me"], "issuer:aud": "sts"}}, PERMITTED, DENIED),
        ({"StringEquals": {"issuer:sub": "m"}}, NEUTRAL, NEUTRAL),
        ({"StringEquals": {"issuer:sub": "me", "issuer:aud": "other"}}, NEUTRAL, NEUTRAL),
        ({"StringEquals": {"issuer:amr": "me"}}, NEUTRAL, NEUTRAL),
        ({"StringLike": {"issuer:sub": "m*"}}, PERMITTED, DENIED),
        ({"StringLike": {"issuer:sub": "x*"}}, NEUTRAL, NEUTRAL),
        # An unknown operator permits nothing, but still denies.
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01"}}, NEUTRAL, DENIED),
        ({"ForAnyValue:StringEquals": {"issuer:sub": "me"}}, NEUTRAL, DENIED),
    ],
)
def test_an_unknown_condition_permits_nothing_and_denies(
    condition: dict[str, Any], allow: PermissionResult, deny: PermissionResult
) -> None:
    values = {"issuer:sub": "me", "issuer:aud": "sts"}
    assert result_of(values=values, Condition=condition) == allow
    assert result_of(values=values, Condition=condition, Effect="Deny") == deny


@pytest.mark.parametrize(
    ("names", "result"),
    [
        (["a.example.com"], PERMITTED),
        (["a.example.com", "example.com"], PERMITTED),
        (["a.example.com", "other.com"], NEUTRAL),
        ("other.com", NEUTRAL),
        (None, PERMITTED),  # the key is not in the request (IAM user guide, 'Multivalued context keys')
    ],
)
def test_a_condition_for_all_values_is_met_by_each_of_them(
    names: list[str] | str | None, result: PermissionResult
) -> None:
    values = {} if names is None else {"acm:DomainNames": names}
    wanted = {"acm:DomainNames": ["example.com", "*.example.com"]}
    assert result_of(values=values, Condition={"ForAllValues:StringLike": wanted}) == result
    if not isinstance(names, str):
        # A key with several values needs a set operator.
        assert result_of(values=values, Condition={"StringLike": wanted}) == NEUTRAL


def test_a_trust_policy_names_who_may_take_the_role() -> None:
    trust: dict[str, Any] = {"Resource": None, "Action": ACTION, "Principal": {"Federated": "provider"}}
    assert result_of("provider", action=ACTION, **trust) == PERMITTED
    assert result_of("another", action=ACTION, **trust) == NEUTRAL
    assert result_of("provider", action=ACTION, **trust | {"Effect": "Deny"}) == DENIED
