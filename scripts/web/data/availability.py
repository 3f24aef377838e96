"""Why the page has no data: no key, or collectors and rules that are off. Each reason says how to get the data.

The reasons are those of the stack file, which may not be applied yet. So a part without data says that (`data/not_applied.html`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.web.queries import Queries
    from scripts.web.subject import Subject

NO_METRICS = "The instance collects no metrics of its tenants. Set `opstrace:collectors.metrics: true` in its stack file, and apply it."
NO_LOGS = (
    "The instance collects no logs of its pods, and so no access log. Set `opstrace:collectors.logs: true` in its stack "
    "file, and apply it."
)
NO_RULES = (
    "The instance evaluates no rules of the platform. Set `opstrace:collectors.rules.enabled: true` in its stack file, and "
    "apply it."
)
EXCLUDED = (
    "The collectors leave out the namespace {}. Take it out of `opstrace:collectors.namespaces.exclude` in the stack file, "
    "and apply it."
)


def why_no_metrics(subject: Subject, queries: Queries) -> str | None:
    """Return why there are no metrics of the instance's own; None where they can be asked for."""
    return queries.why_off() or (None if subject.config().collectors.metrics else NO_METRICS)


def why_no_logs(subject: Subject, queries: Queries, namespace: str) -> str | None:
    """Return why there are no logs of the pods in a namespace; None where they can be asked for."""
    if off := queries.why_off():
        return off
    collectors = subject.config().collectors
    if not collectors.logs:
        return NO_LOGS
    return EXCLUDED.format(namespace) if namespace in collectors.namespaces.exclude else None


def why_no_rules(subject: Subject, queries: Queries) -> str | None:
    """Return why there are no alerts of the platform; None where they can be asked for."""
    if off := why_no_metrics(subject, queries):
        return off
    return None if subject.config().collectors.evaluates_rules else NO_RULES
