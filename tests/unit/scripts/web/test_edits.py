"""Adding, changing and deleting tenants in a browser: the verbs' checks, plans, questions and steps."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from components.core.errors import UserError
from components.core.resource_names import BUCKET_TYPE, STATEFUL_SET_TYPE, TENANT_TYPE
from scripts.stackfile.file import StackFile
from scripts.web.changes.change import Change
from tests.support.factories import settings
from tests.support.page import Engine, Site, asks
from tests.support.polling import eventually
from tests.support.s3_stores import make_store

URN = f"urn:pulumi:showdown::opstrace::{TENANT_TYPE}::tenant-"


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "ops", "owner": "Ann", "labels": {"team": "web"}}])


def deployed(name: str, **settings: Any) -> dict[str, Any]:
    """Return the component of a tenant in the state of a stack."""
    return {"urn": f"{URN}{name}", "type": TENANT_TYPE, "outputs": {"settings": settings}}


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    made = make_site()
    made.states["showdown"] = [deployed("default"), deployed("ops", owner="Ann", labels={"team": "web"})]
    return made


def config(site: Site) -> Any:
    return StackFile("showdown", site.stack.parent).config()


def test_a_tenant_is_added_after_its_difference_and_plan_were_confirmed(site: Site) -> None:
    browser, before = site.browser(), site.stack.read_text()
    fields = {"name": "shop", "retention.metrics": "30d", "owner": "4711", "limits.metrics.ingestion_rate": "1000"}
    change = browser.change(browser.post("/add", 303, **fields, labels="team=web\nexample.com/a.b=c"))
    assert asks(change) == "Apply this change?"
    assert site.stack.read_text() == before and site.updates == []
    page = site.browser().get(f"/changes/{change.id}")  # in another browser
    assert "+    - name: shop" in page and "1 tenant to add" in page and "waits for your answer" in page
    assert change.task.title in browser.get("/banner")
    assert browser.answer(change, "yes") == f"/changes/{change.id}"
    change.wait(30)
    assert change.state == "done" and len(site.updates) == 1, change.error
    shop = config(site).settings_of("shop")
    assert shop.retention.metrics == "30d" and shop.owner == "4711" and shop.limits.metrics.ingestion_rate == 1000
    assert shop.labels == {"team": "web", "example.com/a.b": "c"}
    assert "done" in browser.get(f"/changes/{change.id}") and change.task.title in browser.get("/changes")
    assert 'hx-get="/tenants/shop/connect"' in browser.get(f"/changes/{change.id}/progress")
    assert browser.get("/banner") == ""


def test_a_tenant_with_a_stack_of_its_own_is_added(site: Site) -> None:
    browser = site.browser()
    change = browser.change(browser.post("/add", name="shop", own_stack="yes"))
    assert asks(change) and change.task.stack == "showdown.shop"
    browser.answer(change, "yes")
    change.wait(30)
    assert change.state == "done" and "showdown.shop" in site.states, change.error
    assert (site.stack.parent / "Pulumi.showdown.shop.yaml").exists()


@pytest.mark.parametrize("answer", ["no", "", "maybe"])
def test_what_is_not_confirmed_changes_nothing(site: Site, answer: str) -> None:
    browser, before = site.browser(), site.stack.read_text()
    change = browser.change(browser.post("/add", name="shop"))
    assert asks(change)
    browser.answer(change, answer)
    change.wait(30)
    assert change.state == "not confirmed" and site.stack.read_text() == before and site.updates == []


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "Shop"}, "use 1 to 30 characters of a-z and 0-9"),
        ({"name": ""}, "use 1 to 30 characters"),
        ({"name": "system"}, "the instance&#39;s own tenant has this name"),
        ({"name": "shop", "retention.logs": "1h"}, "shortest retention"),
        ({"name": "shop", "limits.metrics.ingestion_rate": "fast"}, "ingestion_rate"),
        ({"name": "shop", "labels": "web"}, "a line has the form NAME=VALUE"),
        ({"name": "shop", "owner": "<script>alert(1)</script>"}, "owner"),
        ({"name": "shop", "labels": "<script>=<script>"}, "is not a label key"),
    ],
)
def test_what_is_invalid_is_told_in_the_form_as_the_verbs_tell_it(
    site: Site, fields: dict[str, str], problem: str
) -> None:
    browser = site.browser()
    page = browser.post("/add", 422, **fields)
    assert problem in page and "<script>" not in page.replace("<script src=", "")
    assert all(one.task.title == "" for one in site.page.changes.all())


@pytest.mark.parametrize(
    ("fields", "marked"),
    [
        ({"name": "shop", "retention.logs": "1h"}, ["retention.logs"]),
        ({"name": "shop", "limits.metrics.ingestion_rate": "fast"}, ["limits.metrics.ingestion_rate"]),
        ({"name": "shop", "labels": "web"}, ["labels"]),
        ({"name": "shop", "owner": "<b>"}, ["owner"]),
        ({"name": "Shop"}, ["name"]),
    ],
)
def test_a_refused_form_marks_its_fields(site: Site, fields: dict[str, str], marked: list[str]) -> None:
    browser = site.browser()
    inputs = re.findall(r"<(?:input|select|textarea) [^>]*>", browser.post("/add", 422, **fields))
    invalid = [one for one in inputs if 'aria-invalid="true"' in one]
    assert [re.findall('name="(.*?)"', one)[0] for one in invalid] == marked
    assert marked == ["name"] or all('aria-describedby="form-error ' in one for one in invalid)
    assert "aria-invalid" not in browser.get("/add")


def test_the_name_is_checked_while_it_is_typed(site: Site) -> None:
    browser = site.browser()
    assert "use 1 to 30 characters" in browser.get("/add/name?name=Shop")
    assert "the tenant ops exists already; `./opstrace tenants set` changes it" in browser.get("/add/name?name=ops")
    assert "error" not in browser.get("/add/name?name=shop") and "error" not in browser.get("/add/name?name=")
    field = '<input id="name" name="name" hx-swap-oob="outerMorph"'  # without a value: a newer one is typed meanwhile
    for name, is_invalid in (("Shop", True), ("ops", True), ("shop", False), ("", False)):
        answer = browser.get(f"/add/name?name={name}")
        assert field in answer and ('aria-invalid="true"' in answer) == is_invalid


def test_a_tenant_that_exists_fails_as_the_verb_does(site: Site) -> None:
    browser = site.browser()
    change = browser.change(browser.post("/add", name="ops"))
    change.wait(30)
    assert change.state == "failed" and "exists already" in str(change.error)
    assert "exists already" in browser.get(f"/changes/{change.id}")


def test_a_change_that_failed_runs_again_and_resumes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    browser, applies = site.browser(), [0]

    def up(self: Engine, *_: Any) -> None:
        applies[0] += 1
        if applies[0] == 1:
            raise UserError("`pulumi up` failed")
        site.states["showdown"].append(deployed("shop"))

    monkeypatch.setattr(Engine, "up", up)
    change = browser.change(browser.post("/add", name="shop"))
    assert asks(change)
    browser.answer(change, "yes")
    change.wait(30)
    assert change.state == "failed" and "Run it again" in browser.get(f"/changes/{change.id}")
    again = browser.change(browser.post(f"/changes/{change.id}/again"))
    assert asks(again) and "no update with it has completed: it resumes" in browser.get(f"/changes/{again.id}")
    assert "under way" in browser.post(f"/changes/{change.id}/again", 409)
    browser.answer(again, "yes")
    again.wait(30)
    assert again.state == "done" and applies == [2], again.error
    assert "cannot run again" in browser.post(f"/changes/{again.id}/again", 409)


def test_a_deletion_that_failed_begins_with_the_name_again(site: Site) -> None:
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants")[1]["protect"] = True
    file.write()
    browser = site.browser()
    change = browser.change(browser.post("/tenants/ops/delete", name="ops", policy="retain"))
    change.wait(30)
    assert change.state == "failed" and "Run it again" not in browser.get(f"/changes/{change.id}")
    assert browser.post(f"/changes/{change.id}/again", 409)


def test_the_file_is_applied_as_it_is_after_a_page_was_killed(site: Site) -> None:
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants").append({"name": "shop", "owner": "Zoe"})
    file.write()
    browser, before = site.browser(), site.stack.read_text()
    change = browser.change(browser.submit("/tenants/shop/change", owner="not taken", as_it_is="yes"))
    assert asks(change)
    page = browser.get(f"/changes/{change.id}")
    assert "Pulumi.showdown.yaml stays as it is." in page and "1 tenant to add (shop)" in page
    browser.answer(change, "yes")
    change.wait(30)
    assert change.state == "done" and site.updates == [before], change.error


def test_one_change_at_a_time_for_each_stack(site: Site) -> None:
    browser, other = site.browser(), site.browser()
    change = browser.change(browser.post("/add", name="shop"))
    assert asks(change)
    assert "Add the tenant shop: this change of the stack showdown is under way" in other.post("/add", 422, name="news")
    alone = other.change(other.post("/add", name="news", own_stack="yes"))  # another stack
    assert asks(alone)
    for one in (change, alone):
        other.answer(one, "no")
        one.wait(30)
    assert asks(other.change(other.post("/add", name="news")))
    site.page.changes.close()


def test_the_form_of_a_tenant_has_what_its_entry_sets_and_changes_what_differs(site: Site) -> None:
    browser = site.browser()
    form = browser.get("/tenants/ops/change")
    assert 'name="owner" value="Ann"' in form and "team=web</textarea>" in form and 'placeholder="7d"' in form
    same = {"owner": "Ann", "labels": "team=web"}
    assert "No setting differs" in browser.submit("/tenants/ops/change", 422, **same)
    assert "shortest retention" in browser.submit("/tenants/ops/change", 422, **same | {"retention.logs": "1h"})
    changed = {"owner": "", "labels": "team=web", "protect": "true", "size": "medium"}
    change = browser.change(browser.submit("/tenants/ops/change", 303, **changed))
    assert asks(change) == "Apply this change?"
    browser.answer(change, "yes")
    change.wait(30)
    assert change.state == "done", change.error
    ops = config(site).settings_of("ops")
    assert (ops.owner, ops.protect, ops.size, ops.labels) == (None, True, "medium", {"team": "web"})
    assert browser.get("/tenants/nobody/change", 404)


def test_a_form_that_was_opened_before_another_change_reverts_nothing(site: Site) -> None:
    browser, other = site.browser(), site.browser()
    fields = {"owner": "Ann", "labels": "team=web"}
    (shown,) = re.findall('name="shown" value="(.*?)"', browser.get("/tenants/ops/change"))
    change = other.change(other.submit("/tenants/ops/change", 303, **fields | {"owner": "Zoe"}))
    assert asks(change)
    other.answer(change, "yes")
    change.wait(30)
    assert change.state == "done", change.error
    old = {"shown": shown, **fields, "protect": "true"}
    refused = browser.post("/tenants/ops/change", 422, **old)
    assert "The settings changed since you opened this form" in refused
    assert 'name="owner" value="Zoe"' in refused and "<option selected>true" not in refused
    browser.post("/tenants/ops/change", 422, **old | {"shown": ""})
    assert config(site).settings_of("ops").owner == "Zoe" and len(site.updates) == 1


def test_the_form_says_what_a_change_does_to_running_pods(site: Site) -> None:
    form = site.browser().get("/tenants/ops/change")
    effects = dict(re.findall(r'id="([\w.]+)-effect">a change: (.*?)<', form))
    assert effects["retention.metrics"] == effects["limits.logs.max_line_size"] == "live"
    assert (
        effects["size"] == effects["size.logs.volume"] == "new volumes" and effects["logPatterns"] == "rolling restart"
    )
    assert effects["size.replicas"].startswith("replica change; to revert") and effects["name"] == "refused by set"
    assert "-effect" not in site.browser().get("/add")


def test_the_settings_of_the_system_tenant_are_changed(site: Site) -> None:
    browser = site.browser()
    change = browser.change(
        browser.submit("/tenants/system/change", 303, **{"limits.metrics.max_series_per_user": "400000"})
    )
    assert asks(change) == "Apply this change?" and change.task.stack == "showdown"
    browser.answer(change, "yes")
    change.wait(30)
    assert change.state == "done", change.error
    assert config(site).system_tenant.limits.metrics.max_series_per_user == 400_000
    assert 'value="400000"' in browser.get("/tenants/system/change")


def test_a_size_is_set_part_by_part_and_by_its_name_again(site: Site) -> None:
    browser, kept = site.browser(), {"owner": "Ann", "labels": "team=web"}
    parts = {"size.replicas": "3", "size.logs.cpu": "0.5", "size.logs.volume": "20Gi"}

    def apply(**fields: str) -> Any:
        change = browser.change(browser.submit("/tenants/ops/change", 303, **kept | fields))
        assert asks(change)
        browser.answer(change, "yes")
        change.wait(30)
        assert change.state == "done", change.error
        return config(site).settings_of("ops").size

    assert apply(size="medium") == "medium"
    size = apply(**parts)
    assert (size.replicas, size.logs.cpu, size.logs.volume, size.metrics.cpu) == (3, "0.5", "20Gi", "50m")
    form = browser.get("/tenants/ops/change")
    assert "<option selected>3</option>" in form and 'name="size.logs.volume" value="20Gi"' in form
    refused = browser.submit("/tenants/ops/change", 422, **kept | parts | {"size": "large"})
    assert "leave size empty, or clear size.replicas, size.logs.cpu, size.logs.volume" in refused
    assert apply(size="small") == "small"


def test_a_shorter_retention_asks_about_the_data_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    shorter = {"metrics": ("30d", "7d")}
    monkeypatch.setattr("scripts.tenants.plan.shorter_retention", lambda *_: shorter)
    browser, before = site.browser(), site.stack.read_text()
    change = browser.change(browser.submit("/tenants/default/change", owner="Bob"))
    assert asks(change) == "Delete the older data?"
    assert "older data will be deleted for good" in browser.get(f"/changes/{change.id}")
    browser.answer(change, "no")
    change.wait(30)
    assert change.state == "not confirmed" and site.stack.read_text() == before


def test_an_answer_never_answers_the_next_question(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scripts.tenants.plan.shorter_retention", lambda *_: {"metrics": ("30d", "7d")})
    browser, other = site.browser(), site.browser()
    change = browser.change(browser.submit("/tenants/default/change", owner="Bob"))
    assert asks(change) == "Delete the older data?"
    (first,) = re.findall('name="question" value="(.*?)"', other.get(f"/changes/{change.id}"))
    browser.answer(change, "yes")
    eventually(lambda: (one := change.conversation.question) is not None and one.text == "Apply this change?", 30)
    for question in (first, ""):
        refused = other.post(f"/changes/{change.id}/answer", 409, question=question, answer="yes")
        assert "Your answer was not taken" in refused and "Apply this change?" in refused
    assert change.is_waiting and site.updates == []
    browser.answer(change, "yes")
    change.wait(30)
    assert change.state == "done" and len(site.updates) == 1, change.error


def test_a_tenant_is_deleted_once_its_name_was_typed(site: Site) -> None:
    browser = site.browser()
    page = browser.get("/tenants/ops/delete")
    assert "0 objects, 0 B in 0 buckets, 0 old versions and 0 unfinished uploads" in page
    assert (
        "<code>retain</code>" in page
        and "as recorded: keep it" in page
        and "It is kept, unless you choose otherwise." in page
    )
    for typed in ("", "default", "OPS"):
        assert "is not the name ops: nothing is changed" in browser.post("/tenants/ops/delete", 422, name=typed)
    change = browser.change(browser.submit("/tenants/ops/delete", name="ops", policy="recorded"))
    change.wait(30)
    assert change.state == "done", change.error
    assert [one.name for one in config(site).tenants] == ["default"] and len(site.updates) == 1
    assert "No bucket of ops was left" in browser.get(f"/changes/{change.id}")


@pytest.fixture
def site_with_data(make_site: Callable[..., Site], s3: Any) -> Site:
    """A page whose tenant `ops` has buckets and pods."""
    site, component = make_site(aws=s3), deployed("ops", owner="Ann", labels={"team": "web"})
    buckets = [
        {"urn": f"{URN}ops-{kind}-bucket", "type": BUCKET_TYPE, "parent": component["urn"], "id": name}
        for kind, name in make_store(s3).buckets.items()
    ]
    claim = {"spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    pods = {"spec": {"replicas": 1, "volumeClaimTemplates": [claim]}}
    workload = {"urn": f"{URN}ops-cortex-stateful-set", "type": STATEFUL_SET_TYPE, "inputs": pods}
    kept = [bucket | {"retainOnDelete": True} for bucket in buckets]
    site.states["showdown"] = [deployed("default"), component, *kept, workload]
    return site


def test_a_purge_is_recorded_before_the_tenant_is_deleted(site_with_data: Site) -> None:
    """The test's engine deletes no bucket, so the final check of the verb fails."""
    site = site_with_data
    browser = site.browser()
    page = browser.get("/tenants/ops/delete")
    assert "in 3 buckets" in page and '<a href="/retained">' in page
    change = browser.change(browser.post("/tenants/ops/delete", name="ops", policy="purge"))
    change.wait(30)
    recorded, deleted = site.updates
    assert "onDelete: purge" in recorded and "name: ops" not in deleted
    assert change.state == "failed" and "was to be deleted, but" in str(change.error)
    assert "1 tenant to delete" in browser.get(f"/changes/{change.id}")


def test_a_policy_that_the_form_did_not_show_deletes_nothing(site_with_data: Site) -> None:
    site = site_with_data
    browser = site.browser()
    assert "as recorded: keep it" in browser.get("/tenants/ops/delete")
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants")[1]["onDelete"] = "purge"
    file.write()
    fields = {"name": "ops", "policy": "recorded"}
    change = browser.change(browser.post("/tenants/ops/delete", 303, recorded="retain", **fields))
    change.wait(30)
    assert "was to be kept when you were asked, and is to be deleted now" in str(change.error)
    assert site.updates == [] and "ops" in site.stack.read_text()
    for choice in ({"policy": ""}, {"policy": "recorded"}, {"policy": "recorded", "recorded": "nothing"}):
        refused = browser.post("/tenants/ops/delete", 422, name="ops", **choice)
        assert "Choose what becomes of the data" in refused


@pytest.mark.parametrize("policy", ["retain", "purge"])
def test_a_deletion_asks_before_it_applies_other_changes_of_the_file(site_with_data: Site, policy: str) -> None:
    site = site_with_data
    site.cluster.ready = {"ops": 1}
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants").append({"name": "byhand"})
    file.write()
    browser = site.browser()

    def deletion() -> Change:
        return browser.change(browser.submit("/tenants/ops/delete", name="ops", policy=policy))

    change = deletion()
    assert asks(change) == "Apply the other changes too?"
    assert "1 tenant to add (byhand)" in browser.get(f"/changes/{change.id}")
    browser.answer(change, "no")
    change.wait(30)
    assert change.state == "not confirmed" and site.updates == []
    change = deletion()
    assert asks(change)
    browser.answer(change, "yes")
    change.wait(30)
    assert site.updates and [one.name for one in config(site).tenants] == ["default", "byhand"], change.error


def test_a_protected_tenant_says_so(site: Site) -> None:
    file = StackFile("showdown", site.stack.parent)
    file.entry("tenants")[1]["protect"] = True
    file.write()
    browser = site.browser()
    page = browser.get("/tenants/ops/delete")
    assert "the tenant ops is protected" in page and "<form" not in page
    change = browser.change(browser.post("/tenants/ops/delete", name="ops", policy="retain"))
    change.wait(30)
    assert change.state == "failed" and "is protected" in str(change.error)


def test_there_is_nothing_to_delete_of_nobody(site: Site) -> None:
    assert "there is no tenant nobody" in site.browser().get("/tenants/nobody/delete", 422)
