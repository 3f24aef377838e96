"""Evaluation of IAM policies, with the elements of a statement that moto leaves out.

moto treats an unknown condition as met, supports only AWS principals, and reads a trust policy's `Deny` as an `Allow`. Here
an `Allow` applies only if every element is known to match. A `Deny` applies also if an element is unknown.
Source: 'IAM JSON policy elements' and 'Policy evaluation logic' (IAM user guide).
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import flask
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.access_control import IAMPolicyStatement, PermissionResult

Values = Mapping[str, str | Sequence[str]]
"""Condition keys with their values. A key whose value is a sequence needs a set operator, such as `ForAllValues`."""
FOR_ALL = "ForAllValues:"


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in re.split(r"([*?])", text))
    return re.compile("".join(parts), re.DOTALL)


def matches(patterns: str | Iterable[str], text: str) -> bool:
    """Tell whether one of a policy's patterns matches `text` from beginning to end."""
    several = [patterns] if isinstance(patterns, str) else patterns
    return any(_pattern(pattern).fullmatch(text) for pattern in several)


def _is_action(patterns: str | Iterable[str], text: str) -> bool:
    """Tell whether one of a policy's patterns matches the name of an action, in upper or lower case."""
    several = [patterns] if isinstance(patterns, str) else patterns
    return matches([pattern.lower() for pattern in several], text.lower())


def _equals(texts: str | Iterable[str], text: str) -> bool:
    return text in ([texts] if isinstance(texts, str) else [*texts])


OPERATORS = {"StringEquals": _equals, "StringLike": matches, "Bool": _equals, "ArnEquals": matches, "ArnLike": matches}


def _of_request() -> dict[str, str | Sequence[str]]:
    """Return the condition keys that every request has, with their values."""
    secure = flask.has_request_context() and flask.request.is_secure
    return {"aws:SecureTransport": str(secure).lower(), "aws:ResourceAccount": DEFAULT_ACCOUNT_ID}


def _conditions(statement: Mapping[str, Any], values: Values) -> bool | None:
    """Tell whether the conditions are met; None where an operator is unknown."""
    are_met: bool | None = True
    for operator, tests in (statement.get("Condition") or {}).items():
        for key, texts in tests.items():
            compare = OPERATORS.get(operator.removeprefix(FOR_ALL))
            if compare is None:
                are_met = None
            elif not _is_met(compare, texts, values.get(key), of_all=operator.startswith(FOR_ALL)):
                return False
    return are_met


def _is_met(
    compare: Callable[[str | Iterable[str], str], bool],
    texts: str | Iterable[str],
    value: str | Sequence[str] | None,
    *,
    of_all: bool,
) -> bool:
    """Tell whether a condition on one key is met; `of_all` is that of `ForAllValues`, which a missing key meets."""
    if of_all:
        return all(compare(texts, each) for each in ([value] if isinstance(value, str) else value or ()))
    return isinstance(value, str) and compare(texts, value)


def _is_of(principal: Any, caller: str | None) -> bool:
    """Tell whether a statement's `Principal` names the caller; a `caller` of None has no name."""
    if principal in (None, "*"):
        return True
    named = principal.values() if isinstance(principal, dict) else [principal]
    texts = [text for entry in named for text in ([entry] if isinstance(entry, str) else entry)]
    return "*" in texts or (caller is not None and caller in texts)


def _concerns(statement: Mapping[str, Any], element: str, text: str) -> bool:
    """Tell whether an element such as `Action`, or its opposite `NotAction`, includes `text`; without either, all is included."""
    compare = _is_action if element == "Action" else matches
    if element in statement:
        return compare(statement[element], text)
    return not compare(statement.get(f"Not{element}", []), text)


def evaluate(
    statement: Mapping[str, Any], action: str, resource: str, caller: str | None, values: Values
) -> PermissionResult:
    """Return whether a statement permits or denies an action on a resource, or is neutral."""
    denies = statement["Effect"] != "Allow"
    has_action = "Action" in statement or "NotAction" in statement
    if not (has_action and _concerns(statement, "Action", action) and _concerns(statement, "Resource", resource)):
        return PermissionResult.NEUTRAL
    if not _is_of(statement.get("Principal"), caller):
        return PermissionResult.NEUTRAL
    met = None if "NotPrincipal" in statement else _conditions(statement, values)
    if met is False or (met is None and not denies):
        return PermissionResult.NEUTRAL
    return PermissionResult.DENIED if denies else PermissionResult.PERMITTED


def is_action_permitted(
    statement: IAMPolicyStatement,
    action: str,
    resource: str = "*",
    principal: str | None = None,
    incoming_condition_values: Values | None = None,
) -> PermissionResult:
    """Evaluate a statement; replaces moto's `IAMPolicyStatement.is_action_permitted`."""
    values = _of_request() | dict(incoming_condition_values or {})
    return evaluate(statement._statement, action, resource, principal, values)
