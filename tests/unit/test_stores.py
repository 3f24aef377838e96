"""The data of tenants in S3, over moto in this process: whose it is, what it is, and that purging takes it all."""

import datetime
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from components.config import from_settings
from components.errors import UserError
from components.names import RETENTION_TAG, bucket_prefix
from components.tenant_config import OnDelete, TenantSettings
from scripts import adoption, applied, stores, tenant_data, tenant_removal
from scripts.guards import require_no_other_purge
from scripts.preflight import INSTANCE_LABEL
from scripts.stackfile import StackFile
from scripts.summary import plan
from tests.unit.given import settings

ID = "0a0b0c0d"
SOMEBODYS_RULE = {"ID": "somebodys", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 900}}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        yield {"s3": boto3.client("s3", "us-east-1")}


def bucket(aws: Any, name: str, tags: dict[str, str]) -> str:
    aws["s3"].create_bucket(Bucket=name)
    tagged(aws, name, tags)
    return name


def tagged(aws: Any, name: str, tags: dict[str, str]) -> None:
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    aws["s3"].put_bucket_tagging(Bucket=name, Tagging={"TagSet": pairs})


def tags_of(tenant: str, kind: str) -> dict[str, str]:
    return {"opstrace:instance": "showdown", "opstrace:tenant": tenant, "opstrace:kind": kind}


def store(aws: Any, tenant: str = "default", identity: str = ID) -> stores.Store:
    for kind in ("metrics", "config", "logs"):
        bucket(aws, bucket_prefix("showdown", tenant, kind, 8) + identity, tags_of(tenant, kind))  # type: ignore[arg-type]
    (found,) = [entry for entry in stores.stores(aws, "showdown") if (entry.tenant, entry.id) == (tenant, identity)]
    return found


def with_retention(aws: Any, kept: stores.Store, days: int) -> None:
    """Let the buckets say that their data is kept for so long, as components/buckets.py does."""
    for kind in ("metrics", "logs"):
        tagged(aws, kept.buckets[kind], tags_of("default", kind) | {RETENTION_TAG: f"{days}"})


def test_a_store_is_three_buckets_with_one_end_and_copies_of_their_tags_are_not_enough(aws: Any) -> None:
    tags = {"opstrace:instance": "showdown", "opstrace:tenant": "default", "opstrace:kind": "metrics"}
    bucket(aws, "showdown-default-metrics-backup", tags)
    bucket(aws, "showdown-default-metrics-01234567-" + ID, tags)
    bucket(aws, "showdown-other", {})
    found = store(aws)
    assert {*found.buckets} == {"metrics", "config", "logs"}
    assert stores.stores(aws, "showdown") == [found]
    assert stores.stores(aws, "show") == []


def test_everything_is_counted_and_purged(aws: Any) -> None:
    s3, name = aws["s3"], store(aws).buckets["logs"]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for text in (b"old", b"newer"):
        s3.put_object(Bucket=name, Key="a", Body=text)
    s3.put_object(Bucket=name, Key="b", Body=b"x")
    s3.delete_object(Bucket=name, Key="b")
    s3.create_multipart_upload(Bucket=name, Key="c")
    held = stores.contents(aws, [name])
    assert (held.objects, held.versions, held.uploads, held.size) == (1, 3, 1, 9)
    done: list[int] = []
    stores.purge(aws, name, done.append)
    assert sum(done) == 4 and not stores.is_there(aws, name)
    assert stores.contents(aws, [name]) == stores.Contents()


def test_a_store_whose_deletion_has_begun_is_not_adopted(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = store(aws)
    stores.purge(aws, found.buckets["metrics"], lambda number: None)
    with monkeypatch.context() as patch:
        patch.setattr(aws["s3"], "delete_bucket", lambda **bucket: None)  # killed before the end
        stores.purge(aws, found.buckets["config"], lambda number: None)
    (left,) = stores.stores(aws, "showdown")
    assert left.purging and {*left.buckets} == {"config", "logs"}
    with pytest.raises(UserError, match="the bucket for metrics is gone"):
        adoption.require_whole(left)
    left.buckets["metrics"] = "there"
    with pytest.raises(UserError, match="has begun"):
        adoption.require_whole(left)
    there: Any = SimpleNamespace(aws=aws)
    tenant_data.purge_store(left, stores.Contents(), there)  # but it goes on
    assert stores.stores(aws, "showdown") == []


def test_what_is_to_expire_goes_with_all_that_is_in_it_and_tells_its_day(aws: Any) -> None:
    name = store(aws).buckets["logs"]
    aws["s3"].put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [SOMEBODYS_RULE]})
    assert stores.expires_on(aws, [name]) is None
    day = datetime.date(2030, 1, 2)
    for _ in range(2):
        stores.expire(aws, name, day)
    assert stores.expires_on(aws, [name]) == day
    rules = {rule["ID"]: rule for rule in aws["s3"].get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    assert {*rules} == {"somebodys", stores.EXPIRY_RULE}
    expiry = rules[stores.EXPIRY_RULE]
    assert expiry["Status"] == "Enabled" and expiry["Filter"] == {"Prefix": ""}  # all that is in it
    assert expiry["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def state(*policies: bool) -> list[dict[str, Any]]:
    owner = "urn:pulumi:showdown::opstrace::opstrace:tenant:Tenant::tenant-default"
    buckets = [
        {
            "urn": f"{owner}$aws:s3/bucket:Bucket::tenant-default-{kind}-bucket",
            "type": "aws:s3/bucket:Bucket",
            "id": kind,
            "parent": owner,
            "retainOnDelete": policy,
        }
        for kind, policy in zip(("metrics", "config", "logs"), policies, strict=True)
    ]
    return [{"urn": owner, "type": "opstrace:tenant:Tenant", "protect": True}, *buckets]


def test_an_adoption_that_was_killed_is_known_whatever_of_it_is_in_the_state(aws: Any) -> None:
    kept, other = store(aws), store(aws, "default", "0b0b0c0d")
    stores.mark(aws, kept.buckets["metrics"], stores.ADOPTING)
    component, *buckets = state(False, False, False)
    imported = [component, *({**bucket, "id": kept.buckets[bucket["id"]]} for bucket in buckets)]
    for count in range(1, 5):
        found = adoption.begun("default", imported[:count], aws, "showdown")
        assert found and (found.id, found.buckets) == (kept.id, kept.buckets)
    assert adoption.begun("default", [], aws, "showdown") is None
    assert adoption.begun("other", imported, aws, "showdown") is None
    own = [component, {**buckets[0], "id": other.buckets["metrics"]}]  # made meanwhile, by an update
    assert adoption.begun("default", own, aws, "showdown") is None
    for bucket in kept.buckets.values():  # as when an update was killed after it had given them their tags
        aws["s3"].delete_bucket(Bucket=bucket)
    found = adoption.begun("default", own, aws, "showdown")
    assert found and found.id == other.id and not found.adopting


@pytest.mark.parametrize(
    ("policies", "recorded"),
    [((True,) * 3, "retain"), ((False,) * 3, "purge"), ((True, False, True), "mixed")],
)
def test_what_is_recorded_of_the_data_is_told_bucket_by_bucket(policies: tuple[bool, ...], recorded: str) -> None:
    found = applied.tenants(state(*policies))["default"]
    assert found.on_delete == recorded and found.protect and found.settings is None
    assert found.buckets == {"metrics": "metrics", "config": "config", "logs": "logs"}


def test_a_file_that_somebody_else_changed_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.showdown.yaml"
    path.write_text("config:\n  opstrace:tenants:\n    - name: default\n")
    mine = StackFile("showdown", tmp_path)
    path.write_text(path.read_text() + "    - name: theirs\n")
    mine.entry("tenants").append({"name": "ours"})
    with pytest.raises(UserError, match="changed by somebody else"):
        mine.write()
    assert "theirs" in path.read_text() and "ours" not in path.read_text()


def test_what_a_deletion_left_is_named_with_what_is_in_it(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "GONE_SECONDS", 2)
    found, held = store(aws), stores.Contents(objects=1, size=9)
    aws["s3"].put_object(Bucket=found.buckets["logs"], Key="a", Body=b"x" * 9)
    there: Any = SimpleNamespace(aws=aws)
    both = {"logs": found.buckets["logs"], "metrics": "showdown-default-gone"}
    with pytest.raises(UserError, match=f"{found.buckets['logs']} is there still, with 1 object"):
        tenant_removal.read_back("default", "purge", both, held, there)
    with pytest.raises(UserError, match="was to be kept, but showdown-default-gone is not there any more"):
        tenant_removal.read_back("default", "retain", both, held, there)
    one = {"logs": found.buckets["logs"]}
    left = tenant_removal.read_back("default", "retain", one, held, there)
    assert left == {"buckets": one, **stores.contents(aws, one.values()).plain()} and left["objects"] > 0


def test_a_purge_that_leaves_something_names_it(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = store(aws)
    there: Any = SimpleNamespace(aws=aws)
    monkeypatch.setattr(stores, "GONE_SECONDS", 2)
    with monkeypatch.context() as patch:
        patch.setattr(stores, "purge", lambda aws, bucket, done: None)
        with pytest.raises(UserError, match=f"{found.buckets['metrics']}.* of default is there still"):
            tenant_data.purge_store(found, stores.Contents(), there)
    told: list[int] = []

    @contextmanager
    def counted(title: str, total: int) -> Iterator[Callable[[int], None]]:
        told.append(total)
        yield told.append

    monkeypatch.setattr(tenant_data, "counted", counted)
    aws["s3"].put_object(Bucket=found.buckets["logs"], Key="a", Body=b"x")
    tenant_data.purge_store(found, stores.contents(aws, found.buckets.values()), there)
    assert stores.stores(aws, "showdown") == []
    assert told == [1, 1]  # of one object, one is gone


def removal(aws: Any, monkeypatch: pytest.MonkeyPatch, there: applied.Applied | None, **more: Any) -> Any:
    """Return the removal of `default`, whose entry, unless given, was taken out before; nothing is really taken away."""
    engine = SimpleNamespace(state=list, instance="showdown")
    found: Any = SimpleNamespace(aws=aws, engine=engine, cluster=None)
    monkeypatch.setattr(tenant_removal.Removal, "_take_away", lambda self: None)
    monkeypatch.setattr(tenant_removal, "settings_in", lambda file, config: {})
    monkeypatch.setattr(tenant_removal, "require_harmless", lambda *arguments, forced: None)
    monkeypatch.setattr(stores, "GONE_SECONDS", 2)
    file: Any = SimpleNamespace(owner="showdown", changes=dict)
    config: Any = None
    given = {"where": None} | more
    return tenant_removal.Removal("default", config, "local", found, file, there=there, **given)


def not_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    def require_ready(*arguments: Any) -> None:
        raise UserError("the tenant is not ready")

    monkeypatch.setattr(tenant_removal, "require_ready", require_ready)


def test_a_removal_whose_buckets_have_left_the_state_does_not_say_that_they_are_gone(
    aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = store(aws)
    going = removal(aws, monkeypatch, applied.Applied("urn", False))
    with pytest.raises(UserError, match="what it was when its buckets left the state"):
        going.run("purge", yes=True, force=False)
    assert going.run(None, yes=True, force=False)["data"] is None
    said = capsys.readouterr().err.replace("\n", " ")
    assert f"Retained is {kept.id}" in said and "Nothing is left" not in said


def test_a_removal_that_goes_on_does_what_was_recorded_and_asks_for_ready_pods(
    aws: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    buckets: dict[Any, str] = {**store(aws).buckets}
    there = applied.Applied("urn", False, buckets={**buckets}, policies={"retain"}, has_workloads=True)
    not_ready(monkeypatch)
    going = removal(aws, monkeypatch, there)
    with pytest.raises(UserError, match="is not ready"):
        going.run(None, yes=True, force=False)
    with pytest.raises(UserError, match="recorded that its data is to be kept"):
        going.run("purge", yes=True, force=True)
    going.run(None, yes=True, force=True)
    assert "is kept in 3 buckets" in capsys.readouterr().err
    there = applied.Applied("urn", False, buckets={**buckets}, policies={"purge"})
    with pytest.raises(UserError, match="was to be deleted, but"):  # nothing took it away
        removal(aws, monkeypatch, there).run(None, yes=True, force=False)


def test_the_purge_of_a_tenant_does_not_wait_for_its_pods(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    there = applied.Applied("urn", False, buckets={**store(aws).buckets}, policies={"purge"}, has_workloads=True)
    not_ready(monkeypatch)
    with pytest.raises(UserError, match="was to be deleted, but"):  # nothing took it away
        removal(aws, monkeypatch, there).run(None, yes=True, force=False)


def whole(aws: Any, monkeypatch: pytest.MonkeyPatch, policy: OnDelete) -> Any:
    """Return the removal of `default` that nobody has begun, and whose last update recorded this of its data."""
    there = applied.Applied("urn", False, buckets={**store(aws).buckets}, policies={policy}, has_workloads=True)
    going = removal(aws, monkeypatch, there, where=SimpleNamespace(entry={}, alone=False))
    monkeypatch.setattr(tenant_removal, "settings_in", lambda file, config: tenants("default", onDelete=policy))
    monkeypatch.setattr(tenant_removal, "require_ready", lambda *arguments: None)
    return going


def test_a_purge_that_nobody_named_on_the_command_line_asks_for_the_name_too(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = whole(aws, monkeypatch, "purge")

    def refuse(name: str, question: str) -> None:
        raise UserError(f"asked for {name}: {question}")

    def taken(removal: Any) -> None:
        raise AssertionError("it was taken away")

    monkeypatch.setattr(tenant_removal, "confirm_by_name", refuse)
    monkeypatch.setattr(tenant_removal.Removal, "_take_away", taken)
    with pytest.raises(UserError, match="asked for default: All data of default will be deleted for good: 0 objects"):
        going.run(None, yes=False, force=False)


@pytest.mark.parametrize(("recorded", "asked"), [("purge", "retain"), ("retain", "purge")])
def test_an_option_overrules_what_is_recorded_which_is_recorded_first(
    aws: Any, monkeypatch: pytest.MonkeyPatch, recorded: OnDelete, asked: OnDelete
) -> None:
    going = whole(aws, monkeypatch, recorded)
    done: list[str] = []
    monkeypatch.setattr(tenant_removal.Removal, "_record", lambda self, wanted: done.append(wanted))
    monkeypatch.setattr(tenant_removal.Removal, "_take_away", lambda self: done.append("taken away"))
    monkeypatch.setattr(tenant_removal, "read_back", lambda tenant, policy, *rest: done.append(f"read back: {policy}"))
    going.run(asked, yes=True, force=False)
    assert done == [asked, "taken away", f"read back: {asked}"]


def tenants(*names: str, **settings: Any) -> dict[str, TenantSettings]:
    return {name: TenantSettings.model_validate(settings) for name in names}


def test_a_summary_says_how_many_tenants_go_and_what_they_hold(aws: Any) -> None:
    kept, purged = store(aws, "kept"), store(aws, "purged", "0b0b0c0d")
    for number in range(3):
        aws["s3"].put_object(Bucket=purged.buckets["logs"], Key=f"{number}", Body=b"x" * 500)
    there = {
        "kept": applied.Applied("urn", False, {}, {**kept.buckets}, {"retain"}),
        "purged": applied.Applied("urn", False, {}, {**purged.buckets}, {"purge"}),
        "stays": applied.Applied("urn", False, settings={}),
    }
    one = plan(tenants("kept", "stays", "new"), there, aws)
    assert f"{one}" == (
        "1 tenant to add (new), 1 to delete (purged): its data will be purged: 3 buckets, 3 objects, 1.5 kB"
    )
    held = {"objects": 3, "versions": 0, "uploads": 0, "storedBytes": 1500}
    gone = {"onDelete": "purge", "buckets": purged.buckets, **held}
    assert one.plain() == {"add": ["new"], "change": [], "delete": {"purged": gone}}
    both = plan(tenants("stays", owner="x"), there, aws)
    assert f"{both}".splitlines() == [
        "1 tenant to change (stays), 2 to delete (kept, purged)",
        "  kept: its data will be kept: 3 buckets, 0 objects, 0 B",
        "  purged: its data will be purged: 3 buckets, 3 objects, 1.5 kB",
    ]
    assert plan(tenants("begun"), {"begun": applied.Applied("urn", False)}, aws).add == ["begun"]
    assert f"{plan(tenants(*there), there, aws)}" == "No tenant to add, to change or to delete."


def test_what_buckets_hold_is_told_in_units(aws: Any) -> None:
    assert f"{stores.Contents(objects=1234, size=1_234_567_890)}" == "1,234 objects, 1.2 GB"


def test_data_of_a_tenant_that_was_taken_out_by_hand_is_not_deleted_beside_another(aws: Any) -> None:
    there = {
        "ops": applied.Applied("urn", False, policies={"purge"}),
        "kept": applied.Applied("urn", False, policies={"retain"}),
        "begun": applied.Applied("urn", False),  # without a bucket: nothing of it can be deleted
    }
    with pytest.raises(UserError, match="would also delete ops with all data"):
        require_no_other_purge(tenants("default"), there)
    require_no_other_purge(tenants("default"), there, "ops")
    require_no_other_purge(tenants("default", "ops"), there)
    there["ops"].protect = True  # as what is imported, until an update
    with pytest.raises(UserError, match=r"ops is out of the file, but applied and protected.*data adopt"):
        require_no_other_purge(tenants("default"), there)


def instance_of(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return an instance that answers and in whose state there is no tenant."""
    monkeypatch.setattr(tenant_data, "applied_anywhere", lambda *arguments: {})
    engine = SimpleNamespace(instance="showdown", state=list)
    cluster = SimpleNamespace(labels=lambda *arguments: None)
    return SimpleNamespace(aws=aws, engine=engine, cluster=cluster, where=SimpleNamespace(environment={}))


def test_of_two_stores_the_one_that_is_named_is_chosen(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = store(aws), store(aws, identity="0b0b0c0d")
    found = instance_of(aws, monkeypatch)
    assert tenant_data.retained(found) == [first, second]
    assert tenant_data.chosen("default", second.id, found) == second
    with pytest.raises(UserError, match=f"more than one store of default: {first.id} .*{second.id} .*name one with"):
        tenant_data.chosen("default", None, found)


def test_what_a_tenant_uses_that_this_backend_does_not_know_is_not_retained(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, found = store(aws), instance_of(aws, monkeypatch)
    found.cluster.labels = lambda *arguments: {INSTANCE_LABEL: "showdown"}
    with pytest.raises(UserError, match="the tenant default runs in the cluster, but the backend"):
        tenant_data.retained(found)
    found.cluster.labels = lambda *arguments: {INSTANCE_LABEL: "another"}
    assert tenant_data.retained(found) == [kept]


def test_what_is_retained_is_told_with_its_age(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, found = store(aws), instance_of(aws, monkeypatch)
    facts = tenant_data._facts(kept, found)
    assert facts["created"] == kept.created.isoformat() and facts["lastWritten"] is None
    aws["s3"].put_object(Bucket=kept.buckets["logs"], Key="a", Body=b"x")
    written = datetime.datetime.fromisoformat(tenant_data._facts(kept, found)["lastWritten"])
    assert abs((written - datetime.datetime.now(datetime.UTC)).total_seconds()) < 60


@pytest.mark.parametrize(("retention", "refused"), [("10d", True), ("90d", False), ("120d", False)])
def test_data_is_adopted_by_no_tenant_that_would_delete_it_at_once(
    aws: Any, monkeypatch: pytest.MonkeyPatch, retention: str, refused: bool
) -> None:
    kept, found = store(aws), instance_of(aws, monkeypatch)
    with_retention(aws, kept, 90)
    entry = {"name": "default", "retention": {"metrics": "90d", "logs": retention}}
    config = from_settings(settings(tenants=[entry]), "showdown")
    file: Any = SimpleNamespace(path=Path("Pulumi.showdown.yaml"))
    if refused:
        with pytest.raises(UserError, match=r"the logs of default .* were kept for 90d, but its entry says 10d"):
            tenant_data._keep_retention(kept, file, config, found)
    else:
        tenant_data._keep_retention(kept, file, config, found)


def test_data_of_which_nothing_tells_the_retention_needs_an_entry_that_does(
    aws: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, found = store(aws), instance_of(aws, monkeypatch)
    file: Any = SimpleNamespace(path=Path("Pulumi.showdown.yaml"))
    with pytest.raises(UserError, match=r"was kept is not recorded .* into Pulumi.showdown.yaml first"):
        tenant_data._keep_retention(kept, file, from_settings(settings(tenants=[{"name": "ops"}]), "showdown"), found)
    tenant_data._keep_retention(kept, file, from_settings(settings(), "showdown"), found)


def test_data_that_has_begun_to_expire_is_not_adopted(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, found = store(aws), instance_of(aws, monkeypatch)
    stores.expire(aws, kept.buckets["logs"], datetime.datetime.now(datetime.UTC).date())
    config, file = from_settings(settings(), "showdown"), Path()
    with pytest.raises(UserError, match=r"expires since .* it is not whole any more"):
        tenant_data._keep_retention(kept, file, config, found)  # type: ignore[arg-type]
