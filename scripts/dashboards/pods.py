"""Panels about pods that several dashboards have."""

from scripts.dashboards.expressions import cpu, memory
from scripts.dashboards.panel import Panel, Query, graph


def use_of_pods(selector: str, width: int) -> tuple[Panel, Panel]:
    """Return the panels of the CPU and the memory of pods."""
    return (
        graph("CPU", "short", "Cores that the pods use.", _by_pod(cpu(selector)), width=width),
        graph("Memory", "bytes", "Working sets of the pods.", _by_pod(memory(selector)), width=width),
    )


def _by_pod(expression: str) -> Query:
    return Query(f"sum by (pod) ({expression})", "{{pod}}")
