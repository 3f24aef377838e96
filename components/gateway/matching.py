"""Filters that Envoy applies to certain requests only, by its `ExtensionWithMatcher`."""

from collections.abc import Mapping
from typing import Any

MATCHER_TYPE = "type.googleapis.com/envoy.extensions.common.matching.v3.ExtensionWithMatcher"
SKIP_TYPE = "type.googleapis.com/envoy.extensions.filters.common.matcher.action.v3.SkipFilter"

Predicate = dict[str, Any]


def matching_input(name: str, kind: str, **settings: Any) -> dict[str, Any]:
    """Return the input of a matcher.

    Args:
        name: The name of the input.
        kind: The type's name below `envoy.`.
        settings: The fields of the type.
    """
    return {"name": name, "typed_config": {"@type": f"type.googleapis.com/envoy.{kind}", **settings}}


def _matches(source: Mapping[str, Any], regex: str) -> Predicate:
    return {"single_predicate": {"input": source, "value_match": {"safe_regex": {"google_re2": {}, "regex": regex}}}}


def request_header(name: str, regex: str) -> Predicate:
    """Return the predicate that a request has a header whose whole value matches `regex`."""
    return _matches(matching_input("header", "type.matcher.v3.HttpRequestHeaderMatchInput", header_name=name), regex)


def response_header(name: str, regex: str) -> Predicate:
    """Return the predicate that an answer has a header whose whole value matches `regex`."""
    return _matches(matching_input("header", "type.matcher.v3.HttpResponseHeaderMatchInput", header_name=name), regex)


def any_of(*predicates: Predicate) -> Predicate:
    """Return the predicate that one of several holds."""
    return {"or_matcher": {"predicate": [*predicates]}}


def all_of(*predicates: Predicate) -> Predicate:
    """Return the predicate that several hold together."""
    return {"and_matcher": {"predicate": [*predicates]}}


def negated(predicate: Predicate) -> Predicate:
    """Return the negation of a predicate."""
    return {"not_matcher": predicate}


def skipped_where(name: str, config: Mapping[str, Any], predicate: Predicate) -> dict[str, Any]:
    """Return a filter's configuration with which it skips requests for which the predicate holds."""
    skip = {"name": "skip", "typed_config": {"@type": SKIP_TYPE}}
    return {
        "@type": MATCHER_TYPE,
        "extension_config": {"name": name, "typed_config": dict(config)},
        "xds_matcher": {"matcher_list": {"matchers": [{"predicate": predicate, "on_match": {"action": skip}}]}},
    }
