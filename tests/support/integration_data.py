"""The data of an integration in a tenant: what `check` finds, and what queries return."""

import json
from typing import Any
from urllib.parse import urlencode

from tests.support.user_session import INSTANCE, UserSession, url

WAIT = ("--wait", "120", "--timeout", "120")  # the machine may be busy


def check(walk: UserSession, tenant: str, integration: str, *options: str) -> tuple[int, list[dict[str, str]]]:
    """Return the exit status of `check`, and what it found."""
    done = walk.opstrace(
        "integrations", "check", "local", INSTANCE, tenant, "--id", integration, "--json", *options, check=False
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def values(walk: UserSession, tenant: str, expression: str) -> list[dict[str, Any]]:
    """Return the series of an instant query."""
    address = f"{url('cortex', tenant, '/api/v1/query')}?{urlencode({'query': expression})}"
    status, text = walk.curl(address, token=walk.token(tenant))
    assert status == 200, text
    return list(json.loads(text)["data"]["result"])


def lines(walk: UserSession, tenant: str, selector: str) -> list[str]:
    """Return the lines of a query, of the last hour."""
    address = f"{url('loki', tenant, '/loki/api/v1/query_range')}?{urlencode({'query': selector, 'limit': '500'})}"
    status, text = walk.curl(address, token=walk.token(tenant))
    assert status == 200, text
    return [line for stream in json.loads(text)["data"]["result"] for _, line in stream["values"]]
