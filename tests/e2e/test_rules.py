"""Rules of a tenant, by the commands of docs/how-to/rules.md; a real Cortex evaluates them."""

import json
from urllib.parse import urlencode

from tests.support.polling import eventually
from tests.support.user_session import UserSession, commands, url

TENANT = "default"
LOADED_SECONDS = 120  # the ruler looks for changed rules every 15 s


def query_result(walk: UserSession, path: str, tenant: str = TENANT) -> str:
    status, body = walk.curl(url("cortex", tenant, path), token=walk.token(tenant))
    return body if status == 200 else ""


def test_the_commands_of_the_page_on_rules_do_what_it_says(walk: UserSession) -> None:
    _, output = walk.follow(commands("how-to/rules.md"), walk.folder / f"tenant-api-token-{TENANT}")
    assert "name: availability" in output

    def has(series: str) -> bool:
        answer = query_result(walk, f"/api/v1/query?{urlencode({'query': series})}")
        return bool(answer and json.loads(answer)["data"]["result"])

    eventually(lambda: has("job:up:share") and has('ALERTS{alertname="Always"}'), LOADED_SECONDS)
    assert "team-a" not in query_result(walk, "/api/v1/rules", "system")  # another tenant has its own alone

    for path in ("/api/v1/alerts", "/alertmanager/", "/multitenant_alertmanager/configs"):
        status, _ = walk.curl(url("cortex", TENANT, path), "-X", "POST", "-d", "{}", token=walk.token(TENANT))
        assert status == 404
    status, body = walk.curl(url("cortex", TENANT, "/api/v1/rules/team-a"), "-X", "DELETE", token=walk.token(TENANT))
    assert status == 202, body
