"""The figures of tenants in the list: which queries ask for them, their plots, their age, and why there are none."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from components.core.errors import UserError
from scripts.stackfile.file import StackFile
from scripts.tokens.signing import Signer
from scripts.web.data.plots import in_words, plot
from tests.support.expressions import foreign
from tests.support.factories import PAIR, settings
from tests.support.page import Site
from tests.support.tenant_apis import Asked, TenantApis, matrix

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture
def stack_settings() -> dict[str, Any]:
    return settings(tenants=[{"name": "default"}, {"name": "ops"}, {"name": "shop"}])


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(signer=Signer(PAIR))


def system_tenant(asked: Asked) -> tuple[int, Any]:
    """Answer as the system tenant of an instance whose tenants `default` and `ops` were scraped."""
    start = float(asked.query["start"])
    size = 10 if "memory_series" in asked.query["query"] else 1
    points = [(start + 180 * number, size * number) for number in range(21)]
    return 200, matrix(
        ({"tenant": "default"}, points),
        ({"tenant": "ops"}, [(start + 180 * number, 0) for number in range(21)]),
        ({"tenant": SCRIPT}, points),
    )


@pytest.fixture
def apis(site: Site) -> TenantApis:
    apis = TenantApis(system_tenant)
    site.context.gateway = apis.client
    return apis


def cells(page: str, tenant: str) -> list[str]:
    """Return the texts of a tenant's cells, without tags."""
    row = re.findall(rf'<tr id="tenant-{tenant}">(.*?)</tr>', page, re.DOTALL)[0]
    return [
        " ".join(re.sub(r"<[^>]+>", "", cell).split()) for cell in re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
    ]


def reason(site: Site) -> str:
    """Read the figures, and return why the list has none."""
    site.page.figures.read()
    page = site.browser().get("/")
    assert set(cells(page, "default")[2:5]) == {"see above"}
    return str(re.findall(r'id="no-figures"><td colspan="11">(.*?)</td>', page)[0])


def test_three_ranges_ask_for_all_tenants(site: Site, apis: TenantApis) -> None:
    site.page.figures.read()
    assert [asked.path for asked in apis.asked] == ["/api/v1/query_range"] * 3
    assert {asked.host for asked in apis.asked} == {"cortex.system.showdown.example.com"}
    assert all("$" not in asked.query["query"] for asked in apis.asked)
    assert [foreign(asked.query["query"]) for asked in apis.asked] == [set()] * 3


def test_the_list_shows_figures_with_sparklines_and_their_age(site: Site, apis: TenantApis) -> None:
    site.page.figures.read()
    page = site.browser().get("/")
    assert cells(page, "default")[2:5] == ["200", "20", "20"]
    assert cells(page, "ops")[2:5] == ["0", "0", "0"]
    assert cells(page, "shop")[2:5] == ["not scraped"] * 3
    assert "Series and rates are of " in page and "no-figures" not in page
    assert "Series and rates are of " in site.browser().get("/ages")
    lines = re.findall(r'<polyline points="([^"]*)"/>', page)
    assert len(lines) == 6 and lines[0].split()[0] == "0,15" and lines[0].split()[-1] == "60,1"
    assert lines[3].startswith("0,15 3,15 ") and lines[3].endswith(" 60,15")
    assert SCRIPT not in page and "<style" not in page and " style=" not in page


@pytest.mark.parametrize("sort", ["series", "samples", "lines"])
def test_the_list_is_sorted_by_figures(site: Site, apis: TenantApis, sort: str) -> None:
    site.page.figures.read()
    page = site.browser().get(f"/?sort={sort}&order=descending")
    assert re.findall(r'<tr id="tenant-(\w+)">', page)[:2] == ["default", "ops"]


def test_before_the_first_answer_the_list_says_so(site: Site) -> None:
    assert "The system tenant is being asked." in site.browser().get("/")


def test_without_a_key_the_list_says_how_to_get_figures(make_site: Callable[..., Site]) -> None:
    assert "`--key KEYPAIR_FILE`" in reason(make_site())


def test_without_collected_metrics_the_list_says_so(site: Site, apis: TenantApis) -> None:
    file = StackFile("showdown", site.stack.parent)
    file.set("collectors", {"metrics": False})
    file.write()
    assert "`opstrace:collectors.metrics: true`" in reason(site) and apis.asked == []


def test_a_system_tenant_that_is_down_is_told(site: Site, apis: TenantApis) -> None:
    apis.answer = lambda asked: (503, "no healthy upstream")
    assert reason(site) == "Cortex of system answers 503: no healthy upstream"


def test_a_system_tenant_without_data_is_told(site: Site, apis: TenantApis) -> None:
    apis.answer = lambda asked: (200, matrix())
    assert "no metrics of tenants of the last hour" in reason(site) and "apply it first" in reason(site)


def test_old_figures_stay_while_the_system_tenant_is_down_and_the_list_says_so(site: Site, apis: TenantApis) -> None:
    site.page.figures.read()

    def down(asked: Asked) -> tuple[int, Any]:
        raise UserError(f"https://{asked.host} does not answer")

    apis.answer = down
    site.page.figures.read()
    page = site.browser().get("/")
    assert cells(page, "default")[2] == "200" and "cortex.system.showdown.example.com does not answer" in page
    assert "Series and rates are of " in page


def test_figures_that_stay_as_they_are_are_not_told_again(site: Site, apis: TenantApis) -> None:
    site.page.figures.read()
    version = site.page.figures.version
    site.page.figures.read()
    assert site.page.figures.version == version


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (0.25, "0.2"), (9.96, "10.0"), (17.4, "17"), (999, "999"), (1234, "1.2k"), (5e6, "5M"), (2.5e13, "25T")],
)
def test_numbers_are_short(number: float, text: str) -> None:
    assert in_words(number) == text


def test_values_that_are_no_numbers_are_left_out_of_a_plot() -> None:
    found = plot([(0, float("nan")), (5, 1), (10, float("inf"))], 0, 10, 5)
    assert found and (found.value, found.lines) == (1, ("30,1",))
    assert plot([(0, float("nan"))], 0, 10, 5) is None


def test_an_old_number_is_none_and_a_line_ends_where_points_are_missing() -> None:
    points = [(0.0, 9.0), (60.0, 9.0), (240.0, 9.0), (300.0, 9.0)]
    fresh = plot(points, 0, 420, 60)
    assert fresh and (fresh.value, fresh.text, len(fresh.lines)) == (9, "9", 2)
    old = plot(points, 0, 600, 60)
    assert old and old.value is None and re.fullmatch(r"no data since \d\d:\d\d UTC", old.text)
    assert old.lines == ("0,1 6,1", "24,1 30,1")


def test_a_back_end_that_fell_silent_has_no_number_in_the_list(site: Site, apis: TenantApis) -> None:
    def silent(asked: Asked) -> tuple[int, Any]:
        start = float(asked.query["start"])
        return 200, matrix(
            ({"tenant": "default"}, [(start, 9), (start + 180, 9)]), ({"tenant": "ops"}, [(start + 3600, 1)])
        )

    apis.answer = silent
    site.page.figures.read()
    page = site.browser().get("/?sort=series&order=descending")
    assert all(re.fullmatch(r"no data since \d\d:\d\d UTC", cell) for cell in cells(page, "default")[2:5])
    assert re.findall(r'<tr id="tenant-(\w+)">', page)[0] == "ops"


def test_only_the_rows_of_a_thousand_whose_figures_change_are_made_anew(
    site: Site, apis: TenantApis, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"tenant{number}" for number in range(1000)]
    file = StackFile("showdown", site.stack.parent)
    file.set("tenants", [{"name": name, "owner": f"team {name}"} for name in names])
    file.write()
    sizes = dict.fromkeys(names, 1)
    made: list[str] = []
    render = site.page.rows._render

    def counted(values: Mapping[str, Any]) -> str:
        made.append(values["tenant"].name)
        return render(values)

    def answer(asked: Asked) -> tuple[int, Any]:
        start = float(asked.query["start"])
        return 200, matrix(
            *(
                ({"tenant": name}, [(start + 180 * number, number * sizes[name]) for number in range(21)])
                for name in names
            )
        )

    apis.answer = answer
    monkeypatch.setattr(site.page.rows, "_render", counted)
    browser = site.browser()
    for expected in (["system", *names], [], ["tenant7"]):
        made.clear()
        sizes["tenant7"] += expected == ["tenant7"]
        site.page.figures.read()
        assert browser.get("/").count("<polyline") == 3000
        assert sorted(made) == sorted(expected)
