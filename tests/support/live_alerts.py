"""Alerts of the platform on a live instance, as the series `ALERTS` of the system tenant."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.support.user_session import UserSession, url

FAULT_SECONDS = 420  # until an alert fires that waits for data to be five minutes old


def asked(walk: UserSession, query: str) -> list[dict[str, Any]]:
    """Return the answer to a query in the system tenant; empty while it does not answer."""
    address = f"{url('cortex', 'system', '/api/v1/query')}?{urlencode({'query': query})}"
    status, text = walk.curl(address, token=walk.token("system"))
    return list(json.loads(text)["data"]["result"]) if status == 200 else []


def names(walk: UserSession, query: str, label: str) -> set[str]:
    """Return the values of a label in the answer to a query."""
    return {entry["metric"][label] for entry in asked(walk, query)}


def firing(walk: UserSession) -> set[str]:
    return names(walk, 'ALERTS{alertstate="firing"}', "alertname")
