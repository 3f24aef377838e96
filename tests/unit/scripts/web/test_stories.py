"""The stories of the page in Chromium (tests/integration/test_page_views.py) leave out no view, and no state of a change."""

from typing import get_args

from starlette.routing import Route

from scripts.web.app import ROUTES
from scripts.web.changes.change import State
from tests.support.page_stories import STORIES

WAITS = "waits for your answer"
# The page ends as soon as a change is interrupted, so no browser shows it.
UNSEEN = {"interrupted"}


def test_each_route_is_asked_in_a_story() -> None:
    routes = {
        f"{method} {route.path}"
        for route in ROUTES
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    assert {route for story in STORIES for route in story.routes} == routes


def test_each_state_of_a_change_is_seen_in_a_story() -> None:
    assert {state for story in STORIES for state in story.changes} == {*get_args(State), WAITS} - UNSEEN
