"""A tenant's life by the command, in this order: added, changed, protected, deleted, adopted, purged."""

import datetime
import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import expect

from components.config.backend_limits import LOGS_LIMIT_NAMES, METRICS_LIMIT_NAMES
from scripts.tenants.locate import entry_of
from tests.support.browser import chromium
from tests.support.killing import kill_at
from tests.support.polling import eventually
from tests.support.served_page import served_instance
from tests.support.shell import run
from tests.support.user_session import (
    DESTROY,
    INSTANCE,
    LABELS,
    UserSession,
    blocks,
    commands,
    is_unknown,
    steady_requests,
    unseen,
    url,
)

TENANT = "ops"
COMMENT = "# whoever adds a tenant asks the platform team"
TUTORIAL, PAGE, RETAINED = "tutorials/first-tenant.md", "how-to/manage-tenants.md", "how-to/retained-data.md"
ADD, *OTHERS = commands(PAGE)
LINE, PURGED = "a line that is not to be lost", "a line that was purged"


@pytest.fixture(scope="module")
def token(walk: UserSession, trusted_pair: str) -> str:
    return walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout


def as_on_the_page(*texts: str) -> list[str]:
    return [re.sub(rf"\b{TENANT}\b", "newtenant", text) for text in texts]


def tenants(walk: UserSession, *arguments: str, check: bool = True, typed: str | None = None) -> Any:
    verb, *rest = arguments
    verbs = [verb, rest.pop(0)] if verb == "data" else [verb]
    command = [walk.project.launcher, "tenants", *verbs, "local", INSTANCE, *rest]
    return run(*command, cwd=walk.folder, env=walk.shell, check=check, typed=typed)


def is_served(walk: UserSession, address: str, token: str) -> bool:
    return walk.curl(address, token=token)[0] == 200


def ready(walk: UserSession, token: str, tenant: str = TENANT) -> None:
    for api, path in (("cortex", LABELS), ("loki", "/loki/api/v1/labels")):
        eventually(partial(is_served, walk, url(api, tenant, path), token), 90)


def push_line(walk: UserSession, token: str, line: str) -> int:
    return walk.push_line(TENANT, line, token, "life")[0]


def push_sample(walk: UserSession, token: str, value: float) -> int:
    return walk.push_sample(TENANT, {"__name__": "life", "job": "life"}, value, token)[0]


def samples(walk: UserSession, token: str) -> list[str] | None:
    """Return the values of all samples; None if the query fails, as it may while old data is loaded."""
    status, body = walk.curl(url("cortex", TENANT, "/api/v1/query?query=life%5B1h%5D"), token=token)
    if status != 200:
        return None
    return sorted(value for entry in json.loads(body)["data"]["result"] for _, value in entry["values"])


def lines(walk: UserSession, token: str) -> list[str] | None:
    """Return all lines; None if the query fails."""
    path = "/loki/api/v1/query_range?query=%7Bjob%3D%22life%22%7D"
    status, body = walk.curl(url("loki", TENANT, path), token=token)
    if status != 200:
        return None
    return sorted(line for stream in json.loads(body)["data"]["result"] for _, line in stream["values"])


def has_line(walk: UserSession, token: str, line: str) -> bool:
    return line in (lines(walk, token) or ())


def lifecycle_rules(walk: UserSession, bucket: str) -> list[dict[str, Any]]:
    try:
        return list(walk.aws("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchLifecycleConfiguration":
            raise
        return []


def pods(walk: UserSession) -> list[str]:
    items = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "pods", "-o", "json"))["items"]
    return sorted(pod["metadata"]["uid"] for pod in items)


def states(walk: UserSession) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in json.loads(tenants(walk, "list", "--json").stdout)}


def stored(walk: UserSession) -> list[dict[str, Any]]:
    return [entry for entry in json.loads(tenants(walk, "data", "list", "--json").stdout) if entry["tenant"] == TENANT]


@contextmanager
def cordoned(walk: UserSession) -> Iterator[None]:
    """Let the node take no new pod until the block ends."""
    node = walk.kubectl("get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")
    walk.kubectl("cordon", node)
    try:
        yield
    finally:
        walk.kubectl("uncordon", node)


def is_explained_in_a_browser(walk: UserSession, *start: str) -> None:
    """Fail unless the list of the page says why the tenant's pod does not start, and follows until it is ready."""
    with served_instance(walk) as started, chromium() as browser:
        page, problems = started.open(browser)
        cell = page.locator(f"#tenant-{TENANT} td").first
        expect(cell.locator(".state")).to_have_text("loki 0 of 1 ready")
        with cordoned(walk):
            walk.kubectl(*start)
            expect(cell).to_contain_text("pod loki-0: 0/1 nodes are available: 1 node(s) were unschedulable")
            expect(cell.locator(".state")).to_have_text("loki 0 of 1 ready")
        expect(cell).to_have_text("ready")
        assert problems == []


def test_a_tenant_is_added_with_the_comments_of_the_file_kept(walk: UserSession, token: str) -> None:
    text = walk.stack_path.read_text()
    walk.stack_path.write_text(text.replace("  opstrace:tenants:\n", f"  {COMMENT}\n  opstrace:tenants:\n"))
    *shown, name, metrics, owner = ADD.split()
    assert [*shown, name] == ["./opstrace", "tenants", "add", "local", "showdown", "newtenant"]
    done = tenants(walk, "add", TENANT, metrics, owner, "--json")
    output, result = done.stderr, json.loads(done.stdout)
    assert unseen(PAGE, "Add a tenant", *as_on_the_page(output)) == []
    assert f"+    - name: {TENANT}" in output and "+        metrics: 30d" in output
    assert f"1 tenant to add ({TENANT})" in output
    assert result.pop("files")[walk.stack_path.name] in output
    (former,) = result.pop("tokens")  # the token of this module
    assert former["id"] in output and "1 token of ops was issued here before, and opens this one" in output
    assert result == {"tenant": TENANT, "applied": True, "add": [TENANT], "change": [], "delete": {}}
    assert COMMENT in walk.stack_path.read_text()
    ready(walk, token)


def test_list_shows_the_state_of_every_tenant(walk: UserSession, token: str) -> None:
    rows = {entry["name"]: entry for entry in json.loads(tenants(walk, "list", "--json").stdout)}
    mine = rows[TENANT]
    assert {*rows} == {"default", "system", TENANT}
    assert (mine["state"], mine["retention"]) == ("ready", {"metrics": "30d", "logs": "7d"})
    assert mine["cortex"] == url("cortex", TENANT, "") and 0 < mine["ageSeconds"] < 3600
    assert mine["activeSeries"] == 0 and mine["storedBytes"] >= 0
    table = tenants(walk, "list").stdout
    assert table.splitlines()[0].split() == ["NAME", "STATE", "AGE", "RETENTION", "STORED", "SERIES", "METRICS", "LOGS"]
    assert "30d/7d" in table and url("loki", TENANT, "") in table


def test_a_limit_changes_while_the_pods_run(walk: UserSession, token: str) -> None:
    long = "x" * 2000
    assert push_line(walk, token, long) == 204
    before = pods(walk)
    done = tenants(walk, "set", TENANT, "limits.logs.max_line_size=1KB", "--json")
    output, result = done.stderr, json.loads(done.stdout)
    assert f"1 tenant to change ({TENANT})" in output and "+          max_line_size: 1KB" in output
    assert result.pop("files")[walk.stack_path.name] in output
    assert result == {"tenant": TENANT, "applied": True, "add": [], "change": [TENANT], "delete": {}}
    eventually(lambda: push_line(walk, token, long) == 400, 90)
    assert push_line(walk, token, "short") == 204
    shown = json.loads(tenants(walk, "show", TENANT, "--json").stdout)
    metrics, logs = shown["effectiveLimits"]["metrics"], shown["effectiveLimits"]["logs"]
    assert (logs["max_line_size"], metrics["compactor_blocks_retention_period"]) == ("1KB", "30d")
    assert ({*metrics}, {*logs}) == ({*METRICS_LIMIT_NAMES}, {*LOGS_LIMIT_NAMES})  # defaults included
    assert shown["settings"]["owner"] == "team-a"
    assert pods(walk) == before


def test_a_shorter_retention_is_warned_of_in_preview_and_a_longer_one_is_not(walk: UserSession) -> None:
    for days, warned in (("5d", True), ("90d", False)):
        tenants(walk, "set", TENANT, f"retention.metrics={days}", f"retention.logs={days}", "--no-apply")
        done = walk.in_project("pulumi", "--non-interactive", "preview", "--stack", INSTANCE)
        for shrinks in ("metrics shrinks from 720h to 120h", "logs shrinks from 168h to 120h"):
            assert (f"retention of its {shrinks}" in done.stdout + done.stderr) == warned
    tenants(walk, "set", TENANT, "retention.metrics=30d", "retention.logs=", "--no-apply")
    before = walk.stack_path.read_text()
    refused = tenants(walk, "set", TENANT, "retention.metrics=5d", check=False, typed="n\n")
    assert "its metrics will be kept for 5d instead of 30d: older data will be deleted for good" in refused.stderr
    assert refused.returncode == 1 and walk.stack_path.read_text() == before


def test_no_apply_adds_and_removes_a_tenant_in_the_file_only(walk: UserSession) -> None:
    before, resources = walk.stack_path.read_text(), walk.resources()
    tenants(walk, "add", "unborn", "owner=nobody", "--no-apply")
    assert "    - name: unborn\n      owner: nobody\n" in walk.stack_path.read_text()
    assert "not applied" in states(walk)["unborn"]
    tenants(walk, "remove", "unborn", "--no-apply")
    assert walk.stack_path.read_text() == before and walk.resources() == resources


def test_a_larger_volume_means_new_pods_that_have_all_that_was_accepted(walk: UserSession, token: str) -> None:
    assert push_sample(walk, token, 42) == 200 and push_line(walk, token, "before the new volume") == 204
    (mine,) = (entry for entry in json.loads(tenants(walk, "list", "--json").stdout) if entry["name"] == TENANT)
    assert mine["activeSeries"] == 1
    tenants(walk, "set", TENANT, "size.metrics.volume=11Gi", "size.logs.volume=11Gi")
    claims = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "persistentvolumeclaims", "-o", "json"))["items"]
    assert [claim["spec"]["resources"]["requests"]["storage"] for claim in claims] == ["11Gi", "11Gi"]
    ready(walk, token)
    eventually(lambda: has_line(walk, token, "before the new volume"), 60)
    eventually(lambda: samples(walk, token) == ["42"], 300)
    (mine,) = (entry for entry in json.loads(tenants(walk, "list", "--json").stdout) if entry["name"] == TENANT)
    assert mine["storedBytes"] > 0  # its pods have flushed their data


def test_a_protected_tenant_is_deleted_neither_by_the_command_nor_by_plain_pulumi(
    walk: UserSession, token: str
) -> None:
    tenants(walk, "set", TENANT, "protect=true")
    refused = tenants(walk, "remove", TENANT, "--yes", check=False)
    assert refused.returncode == 1 and "protect=false" in refused.stderr
    with_tenant = walk.stack_path.read_text()
    start = with_tenant.index(f"    - name: {TENANT}\n")
    walk.stack_path.write_text(with_tenant[:start] + with_tenant[with_tenant.index("  opstrace:", start) :])
    preview = walk.in_project("pulumi", "--non-interactive", "preview", "--stack", INSTANCE, check=False)
    assert f"1 tenant to delete ({TENANT}): its data will be kept: 3 buckets" in preview.stdout + preview.stderr
    before, running = {entry["urn"] for entry in walk.resources()}, pods(walk)
    command = ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", INSTANCE]
    done = walk.in_project(*command, check=False)
    walk.stack_path.write_text(with_tenant)
    assert done.returncode and "protect" in done.stdout + done.stderr
    assert {entry["urn"] for entry in walk.resources()} == before
    refused = tenants(walk, "set", TENANT, "size.metrics.volume=12Gi", check=False)
    assert refused.returncode == 1 and "ops is protected: to change size.metrics.volume" in refused.stderr
    assert walk.stack_path.read_text() == with_tenant
    walk.stack_path.write_text(with_tenant.replace("volume: 11Gi", "volume: 12Gi"))
    done = walk.in_project(*command, check=False)
    walk.stack_path.write_text(with_tenant)
    assert done.returncode and "protect" in done.stdout + done.stderr
    assert {entry["urn"] for entry in walk.resources()} == before and pods(walk) == running
    assert push_line(walk, token, "still here") == 204
    tenants(walk, "set", TENANT, "protect=")


def test_data_accepted_before_a_deletion_is_retained_and_its_urls_are_404(
    walk: UserSession, token: str, printed: list[str]
) -> None:
    loki = ["-n", f"{TENANT}-tenant", "scale", "statefulset", "loki"]
    walk.kubectl(*loki, "--replicas=0")
    eventually(lambda: states(walk)[TENANT] == "loki 0 of 1 ready", 180)  # after its flush
    refused = tenants(walk, "remove", TENANT, "--keep-tokens", check=False)
    assert refused.returncode == 1 and "is not ready (loki 0 of 1 ready)" in refused.stderr
    is_explained_in_a_browser(walk, *loki, "--replicas=1")
    ready(walk, token)
    assert push_sample(walk, token, 44) == 200
    assert push_line(walk, token, LINE) == 204
    with steady_requests(walk, "default") as answers:
        done = tenants(walk, "remove", TENANT, "--keep-tokens", "--json")  # immediately: data in memory must be flushed
        eventually(lambda: is_unknown(walk, TENANT, token))
    assert len(answers) > 20 and {*answers} == {200}
    output, result = done.stderr, json.loads(done.stdout)
    printed += as_on_the_page(output, tenants(walk, "data", "list").stdout)
    counted = r"3 buckets, [1-9]\d* objects, [1-9][0-9.]* [kM]?B\b"
    assert re.search(rf"1 tenant to delete \({TENANT}\): its data will be kept: {counted}", output)
    assert f"-    - name: {TENANT}" in output
    (kept,) = stored(walk)
    assert kept["objects"] >= 2 and kept["storedBytes"] > 0 and kept["expiresOn"] is None
    assert result["delete"][TENANT]["onDelete"] == "retain" and result["add"] == result["change"] == []
    assert result["data"] == {name: kept[name] for name in result["data"]} and len(result["data"]) == 5
    assert sorted(kept["buckets"].values()) == sorted(walk.buckets(TENANT))
    assert [lifecycle_rules(walk, bucket) for bucket in walk.buckets(TENANT)] == [[], [], []]  # nothing expires
    walk.kubectl("get", "namespace", "default-tenant")
    assert f"{TENANT}-tenant" not in walk.kubectl("get", "namespaces", "-o", "name")


def test_a_new_tenant_of_the_same_name_reports_the_retained_data(walk: UserSession, token: str) -> None:
    (kept,) = stored(walk)
    output = tenants(walk, "add", TENANT).stderr
    assert f"Data of an earlier tenant {TENANT} is retained ({kept['id']}); this one does not see it." in output
    ready(walk, token)
    refused = tenants(walk, "data", "adopt", TENANT, check=False)
    assert refused.returncode == 1 and "with data of its own" in refused.stderr
    assert len(walk.buckets(TENANT)) == 6


def test_a_purge_asks_for_the_name_and_reads_back_that_nothing_is_left(
    walk: UserSession, token: str, printed: list[str]
) -> None:
    assert push_line(walk, token, PURGED) == 204
    assert walk.push_sample(TENANT, {"__name__": "life", "job": "purged"}, 43.0, token)[0] == 200
    purge = ("remove", TENANT, "--purge", "--keep-tokens", "--json")
    refused = tenants(walk, *purge, check=False, typed="default\n")
    assert refused.returncode == 1 and "nothing is changed" in refused.stderr and refused.stdout == ""
    done = tenants(walk, *purge, typed=f"{TENANT}\n")
    output, result = done.stderr, json.loads(done.stdout)
    assert "Recording that the data of ops is to be deleted" in output
    # Typed text is not echoed.
    printed += as_on_the_page(output.replace("to go on:", f"to go on: {TENANT}"))
    assert unseen(PAGE, "Remove a tenant", "\n".join(printed)) == []
    assert "its data will be purged: 3 buckets, " in output
    assert f"Nothing is left of the data of {TENANT}: 3 buckets" in output
    assert len(walk.buckets(TENANT)) == 3  # of the former tenant
    assert result["delete"][TENANT]["onDelete"] == "purge" and len(result["delete"][TENANT]["buckets"]) == 3
    assert result["data"] == {"buckets": {}, "objects": 0, "versions": 0, "uploads": 0, "storedBytes": 0}
    assert f"-    - name: {TENANT}\n" in result["files"][walk.stack_path.name]


def test_a_new_tenant_of_the_same_name_sees_neither_retained_nor_purged_data(walk: UserSession, token: str) -> None:
    tenants(walk, "add", TENANT)
    ready(walk, token)
    time.sleep(75)  # queries find data in a bucket by then, as for the adopted tenant below
    assert samples(walk, token) == [] and lines(walk, token) == []
    assert push_line(walk, token, "of the new tenant") == 204
    eventually(lambda: lines(walk, token) == ["of the new tenant"], 60)
    tenants(walk, "remove", TENANT, "--purge", "--yes")
    assert len(walk.buckets(TENANT)) == 3


def test_retained_data_expires_on_its_date_unless_it_is_adopted(
    walk: UserSession, token: str, printed: list[str]
) -> None:
    (kept,) = stored(walk)
    done = tenants(walk, "data", "expire", TENANT, "--days", "3", "--json")
    (doomed,) = stored(walk)
    assert json.loads(done.stdout) == doomed
    printed += as_on_the_page(done.stderr)
    day = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=3)
    assert (doomed["expiresOn"], doomed["id"]) == (day.isoformat(), kept["id"])
    for bucket in walk.buckets(TENANT):
        assert [rule["Expiration"]["Date"].date() for rule in lifecycle_rules(walk, bucket)] == [day]
    listed = tenants(walk, "data", "list").stdout
    assert TENANT in listed
    printed += as_on_the_page(listed)

    adopt = (walk.project.launcher, "tenants", "data", "adopt", "local", INSTANCE, TENANT)
    kill_at(adopt, walk.shell, "import", 1)
    done = tenants(walk, "data", "adopt", TENANT, "--json")
    printed += as_on_the_page(done.stderr)
    assert "exists again, with its data" in done.stderr and json.loads(done.stdout)["add"] == [TENANT]
    ready(walk, token)
    for line in ("before the new volume", "still here", LINE):
        eventually(partial(has_line, walk, token, line), 60)
    eventually(lambda: samples(walk, token) == ["42", "44"], 300)
    # The assertion on samples above also excludes the purged tenant's sample.
    assert lines(walk, token) and not has_line(walk, token, PURGED)
    assert stored(walk) == []
    for bucket in walk.buckets(TENANT):  # the bucket of the rules, too
        rules = lifecycle_rules(walk, bucket)
        assert rules and not [rule for rule in rules if "Date" in rule.get("Expiration", {})]
    shown = json.loads(tenants(walk, "show", TENANT, "--json").stdout)
    assert shown["retention"]["metrics"] == "30d"  # the value before the deletion, not the default
    done = walk.in_project("pulumi", "--non-interactive", "preview", "--json", "--stack", INSTANCE).stdout
    assert set(json.loads(done[done.index("{") :])["changeSummary"]) == {"same"}


def test_retained_data_is_purged_for_good(walk: UserSession, printed: list[str]) -> None:
    file = walk.stack_file()  # like a removal that was killed during its update
    file.entry("tenants").remove(entry_of(file, TENANT))
    file.write()
    refused = tenants(walk, "remove", TENANT, "--purge", "--yes", check=False)
    assert refused.returncode == 1 and "recorded that its data is to be kept" in refused.stderr
    done = tenants(walk, "remove", TENANT, "--json", typed="y\n")
    output, (revoked,) = done.stderr, json.loads(done.stdout)["tokens"]
    assert "Revoke with this removal?" in output and "1 token of ops is revoked." in output
    assert revoked["id"] in walk.stack_file().config().data_api.revoked_tokens
    assert "has begun, and resumes" in output and "The data of ops is kept in 3 buckets" in output
    s3, (bucket, *_) = walk.aws("s3"), walk.buckets(TENANT)
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    refused = tenants(walk, "data", "purge", TENANT, "--id", "00000000", "--yes", check=False)
    assert refused.returncode == 1 and "no data of ops with the id 00000000 is retained" in refused.stderr
    refused = tenants(walk, "data", "purge", TENANT, check=False, typed="default\n")
    assert refused.returncode == 1 and "nothing is changed" in refused.stderr and len(walk.buckets(TENANT)) == 3
    done = tenants(walk, "data", "purge", TENANT, "--yes", "--json")
    output, result = " ".join(done.stderr.split()), json.loads(done.stdout)
    assert result["objects"] > 0 and result["uploads"] == 1 and bucket in result["buckets"].values()
    assert re.search(r"Nothing is left of the retained data of ops \(\w+\): 3 buckets, [1-9]\d* objects, ", output)
    assert re.search(r"\d+ old versions and 1 unfinished uploads are gone", output)
    assert walk.buckets(TENANT) == [] and stored(walk) == []
    printed += as_on_the_page(done.stderr)
    assert unseen(RETAINED, "", "\n".join(printed)) == []


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("remove", "system"), "the tenant system belongs to the instance"),
        (("remove", "nosuch"), "there is no tenant nosuch in Pulumi.INSTANCE.yaml; there are default"),
        (("remove", "default"), "default is the last tenant of INSTANCE"),
        (("move", "default", "--to", "own-stack"), "default is the last tenant of INSTANCE"),
        (("move", "default", "--to", "instance"), "default lives in the stack of INSTANCE already"),
        (("set", "default", "retention.metrics=1h"), "'1h' is less than 24h"),
        (("set", "default", "retenton.metrics=30d"), "did you mean 'retention'?"),
        (("set", "default", "retention"), "a setting has the form NAME=VALUE"),
        (("set", "default", "name=other"), "a setting has the form NAME=VALUE"),
        (("add", "Upper"), "use 1 to 30 characters"),
        (("add", "default"), "exists already"),
        (("data", "purge", "nosuch", "--yes"), "no data of nosuch is retained; there is: none"),
    ],
)
def test_an_invalid_change_is_refused_and_changes_nothing(
    walk: UserSession, arguments: tuple[str, ...], reason: str
) -> None:
    before = walk.stack_path.read_text()
    done = tenants(walk, *arguments, check=False)
    # The parameter holds no instance name, which differs by process: test names must be the same everywhere.
    assert done.returncode == 1 and reason.replace("INSTANCE", INSTANCE) in done.stderr, done.stderr
    assert walk.stack_path.read_text() == before


def test_the_commands_of_the_pages_on_tenants_do_what_they_say(walk: UserSession, keys_as_before: None) -> None:
    *tutorial, destroy = commands(TUTORIAL)
    assert destroy == f"./opstrace {' '.join(DESTROY)}\n./opstrace local down\n".replace(INSTANCE, "showdown")
    find, expire, adopt, purge = commands(RETAINED)
    # Each section of that page stands alone: what `adopt` gave back must be removed before `purge`.
    remove = f"./opstrace tenants remove local {INSTANCE} newtenant --yes\n"
    followed = [*tutorial, *OTHERS, find, expire, adopt, remove, purge]
    assert len(followed) == 16
    folder, output = walk.follow(["exec 2>&1\n", *followed])
    for page, section in ((TUTORIAL, ""), (PAGE, "Change a tenant"), (PAGE, "Decide what happens to the tokens")):
        assert unseen(page, section, output) == []
    assert (folder / f"token-{INSTANCE}-newtenant.jwt").stat().st_mode & 0o777 == 0o600
    assert "7d/7d" in output and "ingestion_rate: 50000" in output and "max_line_size: 64KB" in output
    assert walk.buckets("newtenant") == []
    page = "reference/json-output.md"
    try:
        printed, (shown,) = json.loads(walk.follow(commands(page))[1]), map(json.loads, blocks(page, "", "json"))
    finally:
        tenants(walk, "set", "default", "owner=")
    added = [line for line in shown.pop("files")["Pulumi.showdown.yaml"].splitlines() if line.startswith("+  ")]
    assert added and all(line in printed["files"][walk.stack_path.name].splitlines() for line in added)
    assert shown == {name: value for name, value in printed.items() if name != "files"}
