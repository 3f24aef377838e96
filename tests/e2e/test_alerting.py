"""Rules and alerts of a tenant, by the commands of docs/alerts.md; real Cortex evaluates and real Alertmanager shows."""

import json

from tests.e2e.walk import Walk, commands, eventually, url

TENANT = "default"
LOADED_SECONDS = 180  # the ruler looks for changed rules once a minute


def asked(walk: Walk, path: str, tenant: str = TENANT) -> str:
    status, body = walk.curl(url("cortex", tenant, path), token=walk.token(tenant))
    return body if status == 200 else ""


def test_the_commands_of_the_page_on_alerts_do_what_it_says(walk: Walk) -> None:
    _, said = walk.follow(commands("alerts.md"), walk.folder / f"tenant-api-token-{TENANT}")
    assert "name: availability" in said and "receiver: team-a" in said

    def fired() -> bool:
        found = json.loads(asked(walk, "/alertmanager/api/v2/alerts") or "[]")
        return [alert["labels"]["alertname"] for alert in found] == ["Always"]

    def recorded() -> bool:
        found = asked(walk, "/api/v1/query?query=job:up:share")
        return bool(found and json.loads(found)["data"]["result"])

    eventually(lambda: fired() and recorded(), LOADED_SECONDS)
    assert asked(walk, "/api/v1/rules", "system") == ""  # another tenant has none
    assert asked(walk, "/alertmanager/").startswith("<!DOCTYPE html>")

    for path in ("/api/v1/rules/team-a", "/api/v1/alerts"):
        status, body = walk.curl(url("cortex", TENANT, path), "-X", "DELETE", token=walk.token(TENANT))
        assert status in (200, 202), body
