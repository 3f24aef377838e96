"""Rules of a tenant, by the commands of docs/rules.md; real Cortex evaluates them."""

import json

from tests.e2e.walk import Walk, commands, url
from tests.waiting import eventually

TENANT = "default"
LOADED_SECONDS = 180  # the ruler looks for changed rules once a minute


def asked(walk: Walk, path: str, tenant: str = TENANT) -> str:
    status, body = walk.curl(url("cortex", tenant, path), token=walk.token(tenant))
    return body if status == 200 else ""


def test_the_commands_of_the_page_on_rules_do_what_it_says(walk: Walk) -> None:
    _, said = walk.follow(commands("rules.md"), walk.folder / f"tenant-api-token-{TENANT}")
    assert "name: availability" in said

    def has(series: str) -> bool:
        found = asked(walk, f"/api/v1/query?query={series}")
        return bool(found and json.loads(found)["data"]["result"])

    eventually(lambda: has("job:up:share") and has("ALERTS"), LOADED_SECONDS)
    assert asked(walk, "/api/v1/rules", "system") == ""  # another tenant has none

    for path in ("/api/v1/alerts", "/alertmanager/", "/multitenant_alertmanager/configs"):
        status, _ = walk.curl(url("cortex", TENANT, path), "-X", "POST", "-d", "{}", token=walk.token(TENANT))
        assert status == 404
    status, body = walk.curl(url("cortex", TENANT, "/api/v1/rules/team-a"), "-X", "DELETE", token=walk.token(TENANT))
    assert status == 202, body
