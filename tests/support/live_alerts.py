"""Alerts of the platform on a live instance, as the series `ALERTS` of the system tenant."""

from tests.support.queries import METRICS, asked
from tests.support.user_session import UserSession

FAULT_SECONDS = 420  # until an alert fires that waits for data to be five minutes old


def names(walk: UserSession, query: str, label: str) -> set[str]:
    """Return the values of a label in the answer to a query."""
    return {entry["metric"][label] for entry in asked(walk, METRICS, query=query)}


def firing(walk: UserSession) -> set[str]:
    return names(walk, 'ALERTS{alertstate="firing"}', "alertname")
