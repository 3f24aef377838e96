"""Expressions of PromQL."""

import re

NO_METRICS = r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|on|ignoring) \([^)]*\)|\boffset \w+'
KEYWORDS = {"and", "or", "unless"}
WITH_MATCHERS = r'(?:\b[a-z_][a-z0-9_:]*)?\{(?:"[^"]*"|[^"}])*\}'


def metrics(expression: str) -> set[str]:
    """Return the names of the metrics in an expression: the names that are no function, keyword or label."""
    names = re.findall(r"\b[a-z_][a-z0-9_:]*\b(?!\s*\()", re.sub(NO_METRICS, "", expression))
    return {*names} - KEYWORDS


def selectors(expression: str) -> set[str]:
    """Return the selectors of series in an expression: names of metrics, with the matchers that each has."""
    return {*re.findall(WITH_MATCHERS, expression)} | metrics(re.sub(WITH_MATCHERS, "", expression))
