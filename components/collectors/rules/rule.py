"""The forms of rules, as Prometheus's rule files have them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

SECONDS = 60  # between two evaluations


def rise(counters: Sequence[str], window: str, most: int = 0) -> str:
    """Return the expression for tenants of which one of the counters rose by more than `most` within the window."""
    return " or ".join(f"sum by (tenant) (increase({counter}[{window}])) > {most}" for counter in counters)


def rose_or_appeared(series: str, window: str, before: str) -> str:
    """Return the expression for series of a counter that rose within the window, or are new there and not 0.

    `before` is the expression for the series that there were before the window.
    """
    return f"increase({series}[{window}]) > 0 or ({series} > 0 unless {before})"


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A series that the ruler computes."""

    record: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_rule(self) -> dict[str, Any]:
        """Return the rule in the form of a rule file."""
        labels = {"labels": dict(self.labels)} if self.labels else {}
        return {"record": self.record, "expr": self.expr, **labels}


@dataclass(frozen=True, kw_only=True)
class Alert:
    """An alert.

    Attributes:
        name: The alert's name, which is also the title of its runbook.
        expr: The PromQL expression; each series that it returns is an alert.
        minutes: How long the expression must hold before the alert fires.
        severity: `critical` if somebody should look at once, otherwise `warning`.
        summary: What is wrong, in the template language of Prometheus.
    """

    name: str
    expr: str
    minutes: int
    severity: Literal["critical", "warning", "none"]
    summary: str

    def as_rule(self, runbooks: str) -> dict[str, Any]:
        """Return the rule in the form of a rule file; `runbooks` is the address of the page with the runbooks."""
        return {
            "alert": self.name,
            "expr": self.expr,
            "for": f"{self.minutes}m",
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook_url": f"{runbooks}#{self.name.lower()}"},
        }


@dataclass(frozen=True, kw_only=True)
class Group:
    """Rules that are evaluated one after the other."""

    name: str
    rules: Sequence[Alert | Recording]

    def as_group(self, runbooks: str) -> dict[str, Any]:
        """Return the group in the form of a rule file."""
        rules = [rule.as_rule(runbooks) if isinstance(rule, Alert) else rule.as_rule() for rule in self.rules]
        return {"name": self.name, "interval": f"{SECONDS}s", "rules": rules}
