"""The data of tenants in S3, over moto in this process: its owners, its contents, and that a purge deletes all of it."""

import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from components.config.load import from_settings
from components.config.platform.kms_keys import NO_KEYS, KmsKeys
from components.config.tenant import TenantSettings
from components.core.errors import UserError
from components.core.resource_names import (
    BUCKET_TYPE,
    ENCRYPTION_TYPE,
    TENANT_TYPE,
    bucket_name,
    build_urn,
    child_type,
)
from components.core.tags import ADOPTING_TAG, FORMER_KEY_TAG, INSTANCE_LABEL, INSTANCE_TAG, KIND_TAG, TENANT_TAG
from scripts.context.context import Target
from scripts.stackfile.file import StackFile
from scripts.tenants import recorded_state
from scripts.tenants import removal as tenant_removal
from scripts.tenants.plan import plan
from scripts.tenants.retained_data import adoption, buckets
from scripts.tenants.retained_data.purge import purge_store
from scripts.tenants.retained_data.stores import choose, facts, retained, tagged_stores
from scripts.tenants.safety import require_no_other_purge
from tests.support.contexts import Counting, EmptyCluster, FakeContext, fake_target
from tests.support.factories import kms_key, settings
from tests.support.s3_stores import ID, make_bucket, make_store, record_retention, set_tags, tags_of

SOMEBODYS_RULE = {"ID": "somebodys", "Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 900}}


def test_a_store_is_three_buckets_with_one_end_and_copies_of_their_tags_are_not_enough(aws: Any) -> None:
    tags = {INSTANCE_TAG: "showdown", TENANT_TAG: "default", KIND_TAG: "metrics"}
    make_bucket(aws, "showdown-default-metrics-backup", tags)
    make_bucket(aws, "showdown-default-metrics-01234567-" + ID, tags)
    make_bucket(aws, "showdown-other", {})
    store = make_store(aws)
    assert {*store.buckets} == {"metrics", "config", "logs"}
    assert tagged_stores(aws, "showdown") == [store]
    assert tagged_stores(aws, "show") == []


def test_everything_is_counted_and_purged(aws: Any) -> None:
    s3, name = aws["s3"], make_store(aws).buckets["logs"]
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for text in (b"old", b"newer"):
        s3.put_object(Bucket=name, Key="a", Body=text)
    s3.put_object(Bucket=name, Key="b", Body=b"x")
    s3.delete_object(Bucket=name, Key="b")
    s3.create_multipart_upload(Bucket=name, Key="c")
    counted = buckets.contents(aws, [name])
    assert (counted.objects, counted.versions, counted.uploads, counted.size) == (1, 3, 1, 9)
    done: list[int] = []
    buckets.purge(aws, name, done.append)
    assert sum(done) == 4 and not buckets.exists(aws, name)
    assert buckets.contents(aws, [name]) == buckets.Contents()


def test_a_store_whose_deletion_has_begun_is_not_adopted(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(aws)
    buckets.purge(aws, store.buckets["metrics"], lambda number: None)
    with monkeypatch.context() as patch:
        patch.setattr(aws["s3"], "delete_bucket", lambda **bucket: None)  # killed before the end
        buckets.purge(aws, store.buckets["config"], lambda number: None)
    (left,) = tagged_stores(aws, "showdown")
    assert left.purging and {*left.buckets} == {"config", "logs"}
    with pytest.raises(UserError, match="the bucket for metrics is gone"):
        adoption.require_complete(left)
    left.buckets["metrics"] = "there"
    with pytest.raises(UserError, match="has begun"):
        adoption.require_complete(left)
    target = fake_target(FakeContext(Path("nowhere"), aws=aws))
    purge_store(left, buckets.Contents(), target)  # but it goes on
    assert tagged_stores(aws, "showdown") == []


def test_what_is_to_expire_goes_with_all_that_is_in_it_and_tells_its_day(aws: Any) -> None:
    name = make_store(aws).buckets["logs"]
    aws["s3"].put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [SOMEBODYS_RULE]})
    assert buckets.expires_on(aws, [name]) is None
    day = datetime.date(2030, 1, 2)
    for _ in range(2):
        buckets.expire(aws, name, day)
    assert buckets.expires_on(aws, [name]) == day
    rules = {rule["ID"]: rule for rule in aws["s3"].get_bucket_lifecycle_configuration(Bucket=name)["Rules"]}
    assert {*rules} == {"somebodys", buckets.EXPIRY_RULE}
    expiry = rules[buckets.EXPIRY_RULE]
    assert expiry["Status"] == "Enabled" and expiry["Filter"] == {"Prefix": ""}  # all that is in it
    assert expiry["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}


def state(*policies: bool) -> list[dict[str, Any]]:
    owner = build_urn("showdown", TENANT_TYPE, "tenant-default")
    buckets = [
        {
            "urn": build_urn("showdown", child_type(TENANT_TYPE, BUCKET_TYPE), bucket_name("tenant-default", kind)),
            "type": BUCKET_TYPE,
            "id": kind,
            "parent": owner,
            "retainOnDelete": policy,
        }
        for kind, policy in zip(("metrics", "config", "logs"), policies, strict=True)
    ]
    return [{"urn": owner, "type": TENANT_TYPE, "protect": True}, *buckets]


def test_an_adoption_that_was_killed_is_known_whatever_of_it_is_in_the_state(aws: Any) -> None:
    kept, other = make_store(aws), make_store(aws, "default", "0b0b0c0d")
    buckets.mark(aws, kept.buckets["metrics"], ADOPTING_TAG)
    component, *parts = state(False, False, False)
    imported = [component, *({**bucket, "id": kept.buckets[bucket["id"]]} for bucket in parts)]
    for count in range(1, 5):
        begun = adoption.begun_adoption("default", imported[:count], aws, "showdown")
        assert begun and (begun.id, begun.buckets) == (kept.id, kept.buckets)
    assert adoption.begun_adoption("default", [], aws, "showdown") is None
    assert adoption.begun_adoption("other", imported, aws, "showdown") is None
    own = [component, {**parts[0], "id": other.buckets["metrics"]}]  # made meanwhile, by an update
    assert adoption.begun_adoption("default", own, aws, "showdown") is None
    for bucket in kept.buckets.values():  # as after an update that was killed after it tagged them
        aws["s3"].delete_bucket(Bucket=bucket)
    begun = adoption.begun_adoption("default", own, aws, "showdown")
    assert begun and begun.id == other.id and not begun.adopting


@pytest.mark.parametrize(
    ("policies", "recorded"),
    [((True,) * 3, "retain"), ((False,) * 3, "purge"), ((True, False, True), "mixed")],
)
def test_what_is_recorded_of_the_data_is_told_bucket_by_bucket(policies: tuple[bool, ...], recorded: str) -> None:
    deployed = recorded_state.tenants(state(*policies))["default"]
    assert deployed.on_delete == recorded and deployed.protect and deployed.settings is None
    assert deployed.buckets == {"metrics": "metrics", "config": "config", "logs": "logs"}


def test_a_file_that_somebody_else_changed_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.showdown.yaml"
    path.write_text("config:\n  opstrace:tenants:\n    - name: default\n")
    mine = StackFile("showdown", tmp_path)
    path.write_text(path.read_text() + "    - name: theirs\n")
    mine.entry("tenants").append({"name": "ours"})
    with pytest.raises(UserError, match="changed by another program"):
        mine.write()
    assert "theirs" in path.read_text() and "ours" not in path.read_text()


def test_what_a_deletion_left_is_named_with_what_is_in_it(aws: Any) -> None:
    store, before = make_store(aws), buckets.Contents(objects=1, size=9)
    aws["s3"].put_object(Bucket=store.buckets["logs"], Key="a", Body=b"x" * 9)
    target = fake_target(FakeContext(Path("nowhere"), aws=aws))
    both = {"logs": store.buckets["logs"], "metrics": "showdown-default-gone"}
    with pytest.raises(UserError, match=f"{store.buckets['logs']} still exists, with 1 object"):
        tenant_removal.read_back("default", "purge", both, before, target)
    with pytest.raises(UserError, match="was to be kept, but showdown-default-gone no longer exists"):
        tenant_removal.read_back("default", "retain", both, before, target)
    one = {"logs": store.buckets["logs"]}
    left = tenant_removal.read_back("default", "retain", one, before, target)
    assert left == {"buckets": one, **buckets.contents(aws, one.values()).plain()} and left["objects"] > 0


def test_a_purge_that_leaves_something_names_it(aws: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(aws)
    target = fake_target(FakeContext(Path("nowhere"), aws=aws))
    with monkeypatch.context() as patch:
        patch.setattr(aws["s3"], "delete_bucket", lambda **bucket: None)  # the case in which S3 does not delete it
        with pytest.raises(UserError, match=f"{store.buckets['metrics']}.* of default still exists"):
            purge_store(store, buckets.Contents(), target)
    counting = Counting()
    target = fake_target(FakeContext(Path("nowhere"), aws=aws, terminal=counting))
    aws["s3"].put_object(Bucket=store.buckets["logs"], Key="a", Body=b"x")
    purge_store(store, buckets.contents(aws, store.buckets.values()), target)
    assert tagged_stores(aws, "showdown") == []
    assert counting.counts == [1, 1]  # of one object, one is gone


def settings_of(*names: str, **settings: Any) -> dict[str, TenantSettings]:
    return {name: TenantSettings.model_validate(settings) for name in names}


def test_a_summary_says_how_many_tenants_go_and_what_they_hold(aws: Any) -> None:
    kept, purged = make_store(aws, "kept"), make_store(aws, "purged", "0b0b0c0d")
    for number in range(3):
        aws["s3"].put_object(Bucket=purged.buckets["logs"], Key=f"{number}", Body=b"x" * 500)
    deployed = {
        "kept": recorded_state.Applied("urn", False, {}, {**kept.buckets}, {"retain"}),
        "purged": recorded_state.Applied("urn", False, {}, {**purged.buckets}, {"purge"}),
        "stays": recorded_state.Applied("urn", False, settings={}),
    }
    one = plan(settings_of("kept", "stays", "new"), deployed, aws)
    assert f"{one}" == (
        "1 tenant to add (new), 1 to delete (purged): its data will be purged: 3 buckets, 3 objects, 1.5 kB"
    )
    contents = {"objects": 3, "versions": 0, "uploads": 0, "storedBytes": 1500}
    gone = {"onDelete": "purge", "buckets": purged.buckets, **contents}
    assert one.plain() == {"add": ["new"], "change": [], "delete": {"purged": gone}}
    both = plan(settings_of("stays", owner="x"), deployed, aws)
    assert f"{both}".splitlines() == [
        "1 tenant to change (stays), 2 to delete (kept, purged)",
        "  kept: its data will be kept: 3 buckets, 0 objects, 0 B",
        "  purged: its data will be purged: 3 buckets, 3 objects, 1.5 kB",
    ]
    assert plan(settings_of("begun"), {"begun": recorded_state.Applied("urn", False)}, aws).add == ["begun"]
    assert f"{plan(settings_of(*deployed), deployed, aws)}" == "No tenant to add, to change or to delete."


def test_what_buckets_hold_is_told_in_units(aws: Any) -> None:
    assert f"{buckets.Contents(objects=1234, size=1_234_567_890)}" == "1,234 objects, 1.2 GB"


def test_data_of_a_tenant_that_was_taken_out_by_hand_is_not_deleted_beside_another(aws: Any) -> None:
    deployed = {
        "ops": recorded_state.Applied("urn", False, policies={"purge"}),
        "kept": recorded_state.Applied("urn", False, policies={"retain"}),
        "begun": recorded_state.Applied("urn", False),  # without a bucket: it has no data to delete
    }
    with pytest.raises(UserError, match="would also delete ops with all data"):
        require_no_other_purge(settings_of("default"), deployed)
    require_no_other_purge(settings_of("default"), deployed, "ops")
    require_no_other_purge(settings_of("default", "ops"), deployed)
    deployed["ops"].protect = True  # like imported resources until the next update
    with pytest.raises(UserError, match=r"ops is out of the file, but applied and protected.*data adopt"):
        require_no_other_purge(settings_of("default"), deployed)


class Empty:
    """An engine with one stack, whose state has no tenant."""

    instance = "showdown"

    def state(self) -> list[dict[str, Any]]:
        return []

    def stacks(self) -> list[str]:
        return [self.instance]


def instance_of(aws: Any, cluster: EmptyCluster | None = None) -> Target:
    """Return an instance that answers and whose state has no tenant."""
    return fake_target(FakeContext(Path("nowhere"), lambda stack: Empty(), aws=aws, cluster=cluster), Empty())


class Labelled(EmptyCluster):
    """A cluster whose namespaces belong to an instance."""

    def __init__(self, instance: str) -> None:
        self._instance = instance

    def labels(self, *_: Any) -> dict[str, str] | None:
        return {INSTANCE_LABEL: self._instance}


def test_of_two_stores_the_one_that_is_named_is_chosen(aws: Any) -> None:
    first, second = make_store(aws), make_store(aws, identity="0b0b0c0d")
    target = instance_of(aws)
    assert retained(target) == [first, second]
    assert choose("default", second.id, target) == second
    with pytest.raises(UserError, match=f"more than one store of default: {first.id} .*{second.id} .*name one with"):
        choose("default", None, target)


def test_what_a_tenant_uses_that_this_backend_does_not_know_is_not_retained(aws: Any) -> None:
    kept = make_store(aws)
    with pytest.raises(UserError, match="the tenant default runs in the cluster, but the backend"):
        retained(instance_of(aws, Labelled("showdown")))
    assert retained(instance_of(aws, Labelled("another"))) == [kept]


def test_what_is_retained_is_told_with_its_age(aws: Any) -> None:
    kept, target = make_store(aws), instance_of(aws)
    listed = facts(kept, target)
    assert listed["created"] == kept.created.isoformat() and listed["lastWritten"] is None
    aws["s3"].put_object(Bucket=kept.buckets["logs"], Key="a", Body=b"x")
    written = datetime.datetime.fromisoformat(facts(kept, target)["lastWritten"])
    assert abs((written - datetime.datetime.now(datetime.UTC)).total_seconds()) < 60


@pytest.mark.parametrize(("retention", "refused"), [("10d", True), ("90d", False), ("120d", False)])
def test_data_is_adopted_by_no_tenant_that_would_delete_it_at_once(aws: Any, retention: str, refused: bool) -> None:
    kept, target = make_store(aws), instance_of(aws)
    record_retention(aws, kept, 90)
    entry = {"name": "default", "retention": {"metrics": "90d", "logs": retention}}
    config = from_settings(settings(tenants=[entry]), "showdown")
    file: Any = SimpleNamespace(path=Path("Pulumi.showdown.yaml"))
    if refused:
        with pytest.raises(UserError, match=r"the logs of default .* were kept for 90d, but its entry says 10d"):
            adoption.keep_retention(kept, file, config, target.aws)
    else:
        adoption.keep_retention(kept, file, config, target.aws)


def test_data_of_which_nothing_tells_the_retention_needs_an_entry_that_does(aws: Any) -> None:
    kept, target = make_store(aws), instance_of(aws)
    file: Any = SimpleNamespace(path=Path("Pulumi.showdown.yaml"))
    with pytest.raises(UserError, match=r"has no record of its retention.* into Pulumi.showdown.yaml first"):
        adoption.keep_retention(kept, file, from_settings(settings(tenants=[{"name": "ops"}]), "showdown"), target.aws)
    adoption.keep_retention(kept, file, from_settings(settings(), "showdown"), target.aws)


def test_data_that_has_begun_to_expire_is_not_adopted(aws: Any) -> None:
    kept, target = make_store(aws), instance_of(aws)
    buckets.expire(aws, kept.buckets["logs"], datetime.datetime.now(datetime.UTC).date())
    config, file = from_settings(settings(), "showdown"), Path()
    with pytest.raises(UserError, match=r"expires since .* so it is incomplete"):
        adoption.keep_retention(kept, file, config, target.aws)  # type: ignore[arg-type]  # the data is refused before the file is read


def encrypt(aws: Any, bucket: str, key: str) -> None:
    """Let a bucket encrypt its objects by a key."""
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    aws["s3"].put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules})


def test_data_is_adopted_only_where_the_roles_may_use_its_key(aws: Any) -> None:
    kept, key, other = make_store(aws), kms_key(1), kms_key(2)
    adoption.require_readable(kept, NO_KEYS, aws)
    encrypt(aws, kept.buckets["logs"], key)
    for keys in (KmsKeys(buckets=key), KmsKeys(buckets=other, former=[key]), KmsKeys(former=[key])):
        adoption.require_readable(kept, keys, aws)
    for keys in (NO_KEYS, KmsKeys(buckets=other), KmsKeys(secrets=key)):
        with pytest.raises(UserError, match=rf"of default \({kept.id}\) is encrypted by {key}, which .* add it to"):
            adoption.require_readable(kept, keys, aws)


def test_data_is_adopted_only_where_the_roles_may_use_the_former_keys_of_its_objects(aws: Any) -> None:
    """The bucket itself encrypts by the latest key alone, or by none again."""
    kept, key, former = make_store(aws), kms_key(1), kms_key(2)
    for kind, bucket in kept.buckets.items():
        set_tags(aws, bucket, tags_of(kept.tenant, kind) | {f"{FORMER_KEY_TAG}0": former})
    for keys in (KmsKeys(buckets=key), NO_KEYS):
        with pytest.raises(UserError, match=rf"is encrypted by {former}, which opstrace:aws.kmsKeys does not name"):
            adoption.require_readable(kept, keys, aws)
    for keys in (KmsKeys(buckets=key, former=[former]), KmsKeys(former=[former])):
        adoption.require_readable(kept, keys, aws)


def test_the_encryption_of_adopted_buckets_is_imported_where_the_program_declares_it(aws: Any) -> None:
    kept = make_store(aws)
    for bucket in kept.buckets.values():
        encrypt(aws, bucket, kms_key(1))
    for keys, count in ((NO_KEYS, 0), (KmsKeys(secrets=kms_key(1)), 0), (KmsKeys(former=[kms_key(1)]), 3)):
        entries = adoption.import_file(kept, {}, aws, keys)["resources"]
        imported = [entry for entry in entries if entry["type"] == ENCRYPTION_TYPE]
        assert len(imported) == count
    assert {(entry["name"], entry["id"], entry["parent"]) for entry in imported} == {
        (f"tenant-default-{kind}-encryption", bucket, "tenant-default") for kind, bucket in kept.buckets.items()
    }


def test_data_under_a_key_that_is_gone_is_purged(aws: Any) -> None:
    kept = make_store(aws)
    encrypt(aws, kept.buckets["logs"], kms_key(1))
    aws["s3"].put_object(Bucket=kept.buckets["logs"], Key="a", Body=b"x")
    target = fake_target(FakeContext(Path("nowhere"), aws=aws))
    purge_store(kept, buckets.contents(aws, kept.buckets.values()), target)
    assert tagged_stores(aws, "showdown") == []
