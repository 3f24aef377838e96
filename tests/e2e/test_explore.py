"""Explore on a real instance in Chromium: a query of metrics gives a plot, and a query of logs gives lines."""

from playwright.sync_api import expect

from tests.support.browser import SECONDS, chromium
from tests.support.polling import eventually
from tests.support.recorded_answers import recording, require_no_token
from tests.support.served_page import finds, served_instance
from tests.support.user_session import UserSession

LINE = 'explored <b>"line"</b>'


def test_queries_give_a_plot_and_lines(walk: UserSession, trusted_pair: str) -> None:
    token = walk.token("default")
    assert walk.push_sample("default", {"__name__": "explored_total", "job": "shop"}, 4711, token)[0] == 200
    assert walk.push_line("default", LINE, token, "explored")[0] == 204
    with served_instance(walk, "--key", trusted_pair) as started, chromium() as browser:
        answers = walk.folder / "explored.har"
        page, problems = started.open(browser, **recording(answers))
        page.get_by_role("link", name="Explore", exact=True).press("Enter")
        page.get_by_role("textbox", name="Query").press_sequentially("explored_")
        expect(page.get_by_role("option", name="explored_total")).to_be_visible()
        page.get_by_role("option", name="explored_total").click()
        eventually(lambda: finds(page, "1 series."), SECONDS)
        expect(page.get_by_role("img", name="Plot of 1 series")).to_be_visible()
        expect(page.locator("#series tbody")).to_contain_text('explored_total{job="shop"}4,711')
        page.get_by_label("Language").select_option("LogQL")
        page.get_by_role("textbox", name="Query").press_sequentially('{job="')
        expect(page.get_by_role("option", name="explored", exact=True)).to_be_visible()
        page.get_by_role("textbox", name="Query").press_sequentially("explored")
        eventually(lambda: finds(page, "1 line, the newest first."), SECONDS)
        expect(page.locator("#lines li > code")).to_have_text([LINE])
        assert problems == []
        page.context.close()
    require_no_token(answers, "/explore", "/explore/query", "/explore/default/cortex/api/v1/label/__name__/values")
