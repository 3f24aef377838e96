"""Expressions of PromQL."""

import re
from collections.abc import Collection

from components.collectors.kept_metrics import KEPT, is_kept

NO_METRICS = r'"[^"]*"|\{[^}]*\}|\[[^]]*\]|\b(by|without|on|ignoring) \([^)]*\)|\boffset \w+'
KEYWORDS = {"and", "or", "unless"}
NAME = r"\b[a-zA-Z_][a-zA-Z0-9_:]*"
WITH_MATCHERS = rf'(?:{NAME})?\{{(?:"[^"]*"|[^"}}])*\}}'
MATCHER = r'(\w+)(=~?|!=|!~)"([^"]*)"'


def metrics(expression: str) -> set[str]:
    """Return the names of the metrics in an expression: the names that are no function, keyword or label."""
    names = re.findall(rf"{NAME}\b(?!\s*\()", re.sub(NO_METRICS, "", expression))
    return {*names} - KEYWORDS


def selectors(expression: str) -> set[str]:
    """Return the selectors of series in an expression: names of metrics, with the matchers that each has."""
    return {*re.findall(WITH_MATCHERS, expression)} | metrics(re.sub(WITH_MATCHERS, "", expression))


def jobs(selector: str) -> set[str]:
    """Return the jobs that a selector names; '' stands for series without a job."""
    named = [value for label, kind, value in re.findall(MATCHER, selector) if label == "job" and kind in ("=", "=~")]
    return {*named[0].split("|")} if named else set()


def foreign(expression: str, recorded: Collection[str] = ()) -> set[str]:
    """Return the selectors of an expression that also take series of others than the platform.

    The rest name jobs of the platform, and a metric that each of them keeps; or no job, and one of the `recorded` series.
    """

    def is_own(selector: str, job: str) -> bool:
        pattern = re.search(r'__name__=~"([^"]+)"', selector)  # counts as a name
        metric = pattern[1] if pattern else selector.partition("{")[0]
        return metric in recorded if job == "" else job in KEPT and is_kept(metric, job)

    found = selectors(expression)
    return {one for one in found if not jobs(one) or not all(is_own(one, job) for job in jobs(one))}
