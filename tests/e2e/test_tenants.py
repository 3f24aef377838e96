"""A tenant's life by the command: added, changed while it runs, protected, deleted, given back, purged. In this order."""

import datetime
import json
import re
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from components.limits import LOGS_LIMIT_NAMES, METRICS_LIMIT_NAMES
from scripts.placing import entry_of
from scripts.stackfile import StackFile
from tests.e2e.walk import INSTANCE, LABELS, LAUNCHER, STACK_FILE, Walk, blocks, commands, held, is_unknown, unseen, url
from tests.engine.killing import kill_at
from tests.shell import run
from tests.waiting import eventually

TENANT = "ops"
COMMENT = "# whoever adds a tenant asks the platform team"
DELETE, RETAINED = (
    "Delete it, and what becomes of its data",
    "Data that was retained",
)  # sections of the page on tenants
LINE, PURGED = "a line that is not to be lost", "a line that was purged"


@pytest.fixture(scope="module")
def token(walk: Walk, trusted_pair: str) -> str:
    return walk.opstrace("ta-create-token", INSTANCE, TENANT, trusted_pair).stdout


def as_on_the_page(*said: str) -> list[str]:
    return [re.sub(rf"\b{TENANT}\b", "newtenant", text) for text in said]


def tenants(walk: Walk, *arguments: str, check: bool = True, typed: str | None = None) -> Any:
    verb, *rest = arguments
    verbs = [verb, rest.pop(0)] if verb == "data" else [verb]
    command = [LAUNCHER, "tenants", *verbs, "local", INSTANCE, *rest]
    return run(*command, cwd=walk.folder, env=walk.shell, check=check, typed=typed)


def ready(walk: Walk, token: str, tenant: str = TENANT) -> None:
    for api, path in (("cortex", LABELS), ("loki", "/loki/api/v1/labels")):
        eventually(lambda api=api, path=path: walk.curl(url(api, tenant, path), token=token)[0] == 200, 90)


def push_line(walk: Walk, token: str, line: str) -> int:
    return walk.push_line(TENANT, line, token, "life")[0]


def push_sample(walk: Walk, token: str, value: float) -> int:
    return walk.push_sample(TENANT, {"__name__": "life", "job": "life"}, value, token)[0]


def samples(walk: Walk, token: str) -> list[str] | None:
    """Return all values that are found; None where the query fails, as it may until all of old data is loaded."""
    status, body = walk.curl(url("cortex", TENANT, "/api/v1/query?query=life%5B1h%5D"), token=token)
    if status != 200:
        return None
    return sorted(value for entry in json.loads(body)["data"]["result"] for _, value in entry["values"])


def lines(walk: Walk, token: str) -> list[str] | None:
    """Return all lines that are found, None where the query fails."""
    path = "/loki/api/v1/query_range?query=%7Bjob%3D%22life%22%7D"
    status, body = walk.curl(url("loki", TENANT, path), token=token)
    if status != 200:
        return None
    return sorted(line for stream in json.loads(body)["data"]["result"] for _, line in stream["values"])


def has_line(walk: Walk, token: str, line: str) -> bool:
    return line in (lines(walk, token) or ())


def lifecycle_rules(walk: Walk, bucket: str) -> list[dict[str, Any]]:
    try:
        return list(walk.aws("s3").get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])
    except ClientError as error:
        assert error.response["Error"]["Code"] == "NoSuchLifecycleConfiguration"
        return []


def pods(walk: Walk) -> list[str]:
    found = json.loads(walk.kubectl("-n", f"{TENANT}-tenant", "get", "pods", "-o", "json"))["items"]
    return sorted(pod["metadata"]["uid"] for pod in found)


def states(walk: Walk) -> dict[str, str]:
    return {entry["name"]: entry["state"] for entry in json.loads(tenants(walk, "list", "--json").stdout)}


def stored(walk: Walk) -> list[dict[str, Any]]:
    return [entry for entry in json.loads(tenants(walk, "data", "list", "--json").stdout) if entry["tenant"] == TENANT]


def test_a_tenant_is_added_with_the_comments_of_the_file_kept(walk: Walk, token: str) -> None:
    text = STACK_FILE.read_text()
    STACK_FILE.write_text(text.replace("  opstrace:tenants:\n", f"  {COMMENT}\n  opstrace:tenants:\n"))
    done = tenants(walk, "add", TENANT, "retention.metrics=30d", "owner=team-a", "--json")
    said, told = done.stderr, json.loads(done.stdout)
    assert f"+    - name: {TENANT}" in said and "+        metrics: 30d" in said
    assert f"1 tenant to add ({TENANT})" in said
    assert told.pop("files")[STACK_FILE.name] in said
    assert told == {"tenant": TENANT, "applied": True, "add": [TENANT], "change": [], "delete": {}}
    assert COMMENT in STACK_FILE.read_text()
    ready(walk, token)


def test_list_shows_every_tenant_as_it_is(walk: Walk, token: str) -> None:
    found = {entry["name"]: entry for entry in json.loads(tenants(walk, "list", "--json").stdout)}
    mine = found[TENANT]
    assert {*found} == {"default", "system", TENANT}
    assert (mine["state"], mine["retention"]) == ("ready", {"metrics": "30d", "logs": "7d"})
    assert mine["cortex"] == url("cortex", TENANT, "") and 0 < mine["ageSeconds"] < 3600
    assert mine["activeSeries"] == 0 and mine["storedBytes"] >= 0
    table = tenants(walk, "list").stdout
    assert table.splitlines()[0].split() == ["NAME", "STATE", "AGE", "RETENTION", "STORED", "SERIES", "METRICS", "LOGS"]
    assert "30d/7d" in table and url("loki", TENANT, "") in table


def test_a_limit_changes_while_the_pods_run(walk: Walk, token: str) -> None:
    long = "x" * 2000
    assert push_line(walk, token, long) == 204
    before = pods(walk)
    done = tenants(walk, "set", TENANT, "limits.logs.max_line_size=1KB", "--json")
    said, told = done.stderr, json.loads(done.stdout)
    assert f"1 tenant to change ({TENANT})" in said and "+          max_line_size: 1KB" in said
    assert told.pop("files")[STACK_FILE.name] in said
    assert told == {"tenant": TENANT, "applied": True, "add": [], "change": [TENANT], "delete": {}}
    eventually(lambda: push_line(walk, token, long) == 400, 90)
    assert push_line(walk, token, "short") == 204
    shown = json.loads(tenants(walk, "show", TENANT, "--json").stdout)
    metrics, logs = shown["effectiveLimits"]["metrics"], shown["effectiveLimits"]["logs"]
    assert (logs["max_line_size"], metrics["compactor_blocks_retention_period"]) == ("1KB", "30d")
    assert ({*metrics}, {*logs}) == ({*METRICS_LIMIT_NAMES}, {*LOGS_LIMIT_NAMES})  # those that nobody set, too
    assert shown["settings"]["owner"] == "team-a"
    assert pods(walk) == before


def test_a_shorter_retention_is_warned_of_in_preview_and_a_longer_one_is_not(walk: Walk) -> None:
    for days, warned in (("5d", True), ("90d", False)):
        tenants(walk, "set", TENANT, f"retention.metrics={days}", f"retention.logs={days}", "--no-apply")
        done = run("pulumi", "--non-interactive", "preview", "--stack", INSTANCE, env=walk.shell)
        for shrinks in ("metrics shrinks from 720h to 120h", "logs shrinks from 168h to 120h"):
            assert (f"retention of its {shrinks}" in done.stdout + done.stderr) == warned
    tenants(walk, "set", TENANT, "retention.metrics=30d", "retention.logs=", "--no-apply")
    before = STACK_FILE.read_text()
    refused = tenants(walk, "set", TENANT, "retention.metrics=5d", check=False, typed="n\n")
    assert "its metrics will be kept for 5d instead of 30d: what is older will be deleted for good" in refused.stderr
    assert refused.returncode == 1 and STACK_FILE.read_text() == before


def test_without_applying_a_tenant_is_added_to_the_file_and_taken_out_of_it_alone(walk: Walk) -> None:
    before, resources = STACK_FILE.read_text(), walk.resources()
    tenants(walk, "add", "unborn", "owner=nobody", "--no-apply")
    assert "    - name: unborn\n      owner: nobody\n" in STACK_FILE.read_text()
    assert "not applied" in states(walk)["unborn"]
    tenants(walk, "remove", "unborn", "--no-apply")
    assert STACK_FILE.read_text() == before and walk.resources() == resources


def test_a_larger_volume_means_new_pods_that_have_all_that_was_accepted(walk: Walk, token: str) -> None:
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
    assert mine["storedBytes"] > 0  # its pods have written what they held


def test_a_protected_tenant_is_deleted_neither_by_the_command_nor_by_plain_pulumi(walk: Walk, token: str) -> None:
    tenants(walk, "set", TENANT, "protect=true")
    refused = tenants(walk, "remove", TENANT, "--yes", check=False)
    assert refused.returncode == 1 and "protect=false" in refused.stderr
    with_tenant = STACK_FILE.read_text()
    start = with_tenant.index(f"    - name: {TENANT}\n")
    STACK_FILE.write_text(with_tenant[:start] + with_tenant[with_tenant.index("  opstrace:", start) :])
    said = run("pulumi", "--non-interactive", "preview", "--stack", INSTANCE, env=walk.shell, check=False)
    assert f"1 tenant to delete ({TENANT}): its data will be kept: 3 buckets" in said.stdout + said.stderr
    before, running = {entry["urn"] for entry in walk.resources()}, pods(walk)
    command = ["pulumi", "--non-interactive", "up", "--yes", "--skip-preview", "--stack", INSTANCE]
    done = run(*command, env=walk.shell, check=False)
    STACK_FILE.write_text(with_tenant)
    assert done.returncode and "protect" in done.stdout + done.stderr
    assert {entry["urn"] for entry in walk.resources()} == before
    refused = tenants(walk, "set", TENANT, "size.metrics.volume=12Gi", check=False)
    assert refused.returncode == 1 and "ops is protected: to change size.metrics.volume" in refused.stderr
    assert STACK_FILE.read_text() == with_tenant
    STACK_FILE.write_text(with_tenant.replace("volume: 11Gi", "volume: 12Gi"))
    done = run(*command, env=walk.shell, check=False)
    STACK_FILE.write_text(with_tenant)
    assert done.returncode and "protect" in done.stdout + done.stderr
    assert {entry["urn"] for entry in walk.resources()} == before and pods(walk) == running
    assert push_line(walk, token, "still here") == 204
    tenants(walk, "set", TENANT, "protect=")


def test_what_was_accepted_before_a_deletion_is_kept_and_its_urls_are_404(
    walk: Walk, token: str, printed: list[str]
) -> None:
    loki = ["-n", f"{TENANT}-tenant", "scale", "statefulset", "loki"]
    walk.kubectl(*loki, "--replicas=0")
    eventually(lambda: states(walk)[TENANT] == "loki 0 of 1 ready", 180)  # once it has flushed
    refused = tenants(walk, "remove", TENANT, check=False)
    assert refused.returncode == 1 and "is not ready (loki 0 of 1 ready)" in refused.stderr
    walk.kubectl(*loki, "--replicas=1")
    ready(walk, token)
    assert push_sample(walk, token, 44) == 200
    assert push_line(walk, token, LINE) == 204
    with held(walk, "default") as answers:
        done = tenants(walk, "remove", TENANT, "--json")  # at once: what is in memory must be flushed
        eventually(lambda: is_unknown(walk, TENANT, token))
    assert len(answers) > 20 and {*answers} == {200}
    said, told = done.stderr, json.loads(done.stdout)
    printed += as_on_the_page(said, tenants(walk, "data", "list").stdout)
    counted = r"3 buckets, [1-9]\d* objects, [1-9][0-9.]* [kM]?B\b"
    assert re.search(rf"1 tenant to delete \({TENANT}\): its data will be kept: {counted}", said)
    assert f"-    - name: {TENANT}" in said
    (kept,) = stored(walk)
    assert kept["objects"] >= 2 and kept["storedBytes"] > 0 and kept["expiresOn"] is None
    assert told["delete"][TENANT]["onDelete"] == "retain" and told["add"] == told["change"] == []
    assert told["data"] == {name: kept[name] for name in told["data"]} and len(told["data"]) == 5
    assert sorted(kept["buckets"].values()) == sorted(walk.buckets(TENANT))
    assert [lifecycle_rules(walk, bucket) for bucket in walk.buckets(TENANT)] == [[], [], []]  # nothing goes by itself
    walk.kubectl("get", "namespace", "default-tenant")
    assert f"{TENANT}-tenant" not in walk.kubectl("get", "namespaces", "-o", "name")


def test_a_tenant_that_is_made_anew_says_whose_data_it_does_not_see(walk: Walk, token: str) -> None:
    (kept,) = stored(walk)
    said = tenants(walk, "add", TENANT).stderr
    assert f"Data of an earlier tenant {TENANT} is retained ({kept['id']}); this one does not see it." in said
    ready(walk, token)
    refused = tenants(walk, "data", "adopt", TENANT, check=False)
    assert refused.returncode == 1 and "with data of its own" in refused.stderr
    assert len(walk.buckets(TENANT)) == 6


def test_a_purge_asks_for_the_name_and_reads_back_that_nothing_is_left(
    walk: Walk, token: str, printed: list[str]
) -> None:
    assert push_line(walk, token, PURGED) == 204
    assert walk.push_sample(TENANT, {"__name__": "life", "job": "purged"}, 43.0, token)[0] == 200
    refused = tenants(walk, "remove", TENANT, "--purge", "--json", check=False, typed="default\n")
    assert refused.returncode == 1 and "nothing is changed" in refused.stderr and refused.stdout == ""
    done = tenants(walk, "remove", TENANT, "--purge", "--json", typed=f"{TENANT}\n")
    said, told = done.stderr, json.loads(done.stdout)
    assert "Recording that the data of ops is to be deleted" in said
    # What is typed is not echoed here.
    printed += as_on_the_page(said.replace("to go on:", f"to go on: {TENANT}"))
    assert unseen("tenants.md", DELETE, "\n".join(printed)) == []
    assert "its data will be purged: 3 buckets, " in said
    assert f"Nothing is left of the data of {TENANT}: 3 buckets" in said
    assert len(walk.buckets(TENANT)) == 3  # those of the tenant before
    assert told["delete"][TENANT]["onDelete"] == "purge" and len(told["delete"][TENANT]["buckets"]) == 3
    assert told["data"] == {"buckets": {}, "objects": 0, "versions": 0, "uploads": 0, "storedBytes": 0}
    assert f"-    - name: {TENANT}\n" in told["files"][STACK_FILE.name]


def test_a_tenant_that_is_made_anew_never_sees_what_was_kept_nor_what_was_purged(walk: Walk, token: str) -> None:
    tenants(walk, "add", TENANT)
    ready(walk, token)
    time.sleep(75)  # by when data that is in a tenant's bucket is found: that of the adopted tenant below is
    assert samples(walk, token) == [] and lines(walk, token) == []
    assert push_line(walk, token, "of the new tenant") == 204
    eventually(lambda: lines(walk, token) == ["of the new tenant"], 60)
    tenants(walk, "remove", TENANT, "--purge", "--yes")
    assert len(walk.buckets(TENANT)) == 3


def test_retained_data_expires_when_it_is_told_to_until_it_is_adopted(
    walk: Walk, token: str, printed: list[str]
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
    assert TENANT in tenants(walk, "data", "list").stdout

    adopt = (LAUNCHER, "tenants", "data", "adopt", "local", INSTANCE, TENANT)
    kill_at(adopt, walk.shell, "import", 1)
    done = tenants(walk, "data", "adopt", TENANT, "--json")
    printed += as_on_the_page(done.stderr)
    assert "is there again, with its data" in done.stderr and json.loads(done.stdout)["add"] == [TENANT]
    ready(walk, token)
    for line in ("before the new volume", "still here", LINE):
        eventually(lambda line=line: has_line(walk, token, line), 60)
    eventually(lambda: samples(walk, token) == ["42", "44"], 300)
    # Nor, as just seen, the sample of the tenant that was purged.
    assert lines(walk, token) and not has_line(walk, token, PURGED)
    assert stored(walk) == []
    for bucket in walk.buckets(TENANT):  # that of the rules too
        rules = lifecycle_rules(walk, bucket)
        assert rules and not [rule for rule in rules if "Date" in rule.get("Expiration", {})]
    shown = json.loads(tenants(walk, "show", TENANT, "--json").stdout)
    assert shown["retention"]["metrics"] == "30d"  # as it was when it was deleted, not the default
    done = run("pulumi", "--non-interactive", "preview", "--json", "--stack", INSTANCE, env=walk.shell).stdout
    assert set(json.loads(done[done.index("{") :])["changeSummary"]) == {"same"}


def test_retained_data_is_purged_for_good(walk: Walk, printed: list[str]) -> None:
    file = StackFile(INSTANCE)  # as a removal leaves it that was killed in its update
    file.entry("tenants").remove(entry_of(file, TENANT))
    file.write()
    refused = tenants(walk, "remove", TENANT, "--purge", "--yes", check=False)
    assert refused.returncode == 1 and "recorded that its data is to be kept" in refused.stderr
    said = tenants(walk, "remove", TENANT).stderr
    assert "that removal goes on" in said and "The data of ops is kept in 3 buckets" in said
    s3, (bucket, *_) = walk.aws("s3"), walk.buckets(TENANT)
    s3.create_multipart_upload(Bucket=bucket, Key="unfinished")
    refused = tenants(walk, "data", "purge", TENANT, "--id", "00000000", "--yes", check=False)
    assert refused.returncode == 1 and "no data of ops with the id 00000000 is retained" in refused.stderr
    refused = tenants(walk, "data", "purge", TENANT, check=False, typed="default\n")
    assert refused.returncode == 1 and "nothing is changed" in refused.stderr and len(walk.buckets(TENANT)) == 3
    done = tenants(walk, "data", "purge", TENANT, "--yes", "--json")
    said, told = " ".join(done.stderr.split()), json.loads(done.stdout)
    assert told["objects"] > 0 and told["uploads"] == 1 and bucket in told["buckets"].values()
    assert re.search(r"Nothing is left of the retained data of ops \(\w+\): 3 buckets, [1-9]\d* objects, ", said)
    assert re.search(r"\d+ old versions and 1 unfinished uploads are gone", said)
    assert walk.buckets(TENANT) == [] and stored(walk) == []
    printed += as_on_the_page(done.stderr)
    assert unseen("tenants.md", RETAINED, "\n".join(printed)) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("remove", "system"), "the tenant system is the instance's own"),
        (("remove", "nosuch"), "there is no tenant nosuch in Pulumi.INSTANCE.yaml; there are default"),
        (("remove", "default"), "default is the last tenant of INSTANCE"),
        (("move", "default", "--to", "own-stack"), "default is the last tenant of INSTANCE"),
        (("move", "default", "--to", "instance"), "default lives in the stack of INSTANCE already"),
        (("set", "default", "retention.metrics=1h"), "'1h' is less than 24h"),
        (("set", "default", "retenton.metrics=30d"), "did you mean 'retention'?"),
        (("set", "default", "retention"), "a setting is given as NAME=VALUE"),
        (("set", "default", "name=other"), "a setting is given as NAME=VALUE"),
        (("add", "Upper"), "must be 1 to 30 characters"),
        (("add", "default"), "is there already"),
        (("data", "purge", "nosuch", "--yes"), "no data of nosuch is retained; there is: none"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(walk: Walk, arguments: tuple[str, ...], said: str) -> None:
    before = STACK_FILE.read_text()
    done = tenants(walk, *arguments, check=False)
    # Not in the test's name: each process of `make test` has another.
    assert done.returncode == 1 and said.replace("INSTANCE", INSTANCE) in done.stderr, done.stderr
    assert STACK_FILE.read_text() == before


def test_the_commands_of_the_page_on_tenants_do_what_it_says(walk: Walk, keys_as_before: None) -> None:
    alone = commands("tenants.md", "A tenant in a stack of its own")  # of test_tenant_alone
    machines = commands("tenants.md", "For machines")
    others = [block for block in commands("tenants.md") if block not in (*alone, *machines)]
    assert (len(others), len(alone), len(machines)) == (5, 4, 1)
    folder, said = walk.follow(["exec 2>&1\n", *others])
    for section in ("Add one", "Give it a token", "Change it"):
        assert unseen("tenants.md", section, said) == []
    assert (folder / "newtenant.jwt").stat().st_mode & 0o777 == 0o600
    assert "30d/7d" in said and "ingestion_rate: 50000" in said and "max_line_size: 64KB" in said
    assert walk.buckets("newtenant") == []
    try:
        printed, (shown,) = (
            json.loads(walk.follow(machines)[1]),
            map(json.loads, blocks("tenants.md", "For machines", "json")),
        )
    finally:
        tenants(walk, "set", "default", "owner=")
    added = [line for line in shown.pop("files")["Pulumi.showdown.yaml"].splitlines() if line.startswith("+  ")]
    assert added and all(line in printed["files"][STACK_FILE.name].splitlines() for line in added)
    assert shown == {name: value for name, value in printed.items() if name != "files"}
