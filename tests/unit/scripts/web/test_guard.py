"""Requests of other sites, and of browsers without a session, are refused."""

import re
from collections.abc import Callable

import pytest
from starlette.routing import Route

from scripts.web.app import ROUTES
from scripts.web.guard import LONGEST_BODY
from tests.support.page import ORIGIN, PORT, Site

PATHS = ["/", "/events", "/rows", "/changes", "/static/page.css", "/nothing"]


@pytest.mark.parametrize("path", PATHS)
def test_without_a_session_there_is_nothing(site: Site, path: str) -> None:
    answer = site.stranger().get(path)
    assert answer.status_code == 401 and "no session" in answer.text


@pytest.mark.parametrize("route", [route for route in ROUTES if isinstance(route, Route)], ids=lambda one: one.path)
def test_every_path_needs_a_session_and_every_form_its_token(site: Site, route: Route) -> None:
    path, browser = re.sub(r"{\w+}", "default", route.path), site.browser()
    for method in sorted((route.methods or set()) - {"HEAD"}):
        assert site.stranger().request(method, path, headers=ORIGIN).status_code == 401
        assert site.stranger().request(method, path, headers={"Origin": "http://evil.example"}).status_code == 403
        if method != "GET":
            answer = browser.client.request(method, path, data={"name": "default"}, headers=ORIGIN)
            assert answer.status_code == 403 and "another session" in answer.text
    assert site.page.changes.all() == [] and site.updates == []


@pytest.mark.parametrize("cookie", ["", "x", "'; --", "ÿ"])
def test_a_made_up_cookie_is_no_session(site: Site, cookie: str) -> None:
    client = site.stranger()
    answer = client.get("/", headers={b"Cookie": f"opstrace-{PORT}={cookie}".encode()})
    assert answer.status_code == 401


def test_a_token_opens_one_session_in_a_cookie_that_scripts_and_other_sites_do_not_get(site: Site) -> None:
    client, token = site.stranger(), site.sessions.token
    answer = client.get("/login", params={"token": token})
    assert answer.status_code == 200 and site.begun == 1
    name, *attributes = answer.headers["set-cookie"].split("; ")
    assert name.startswith(f"opstrace-{PORT}=") and token not in name
    assert {part.lower() for part in attributes} == {"httponly", "path=/", "samesite=strict"}
    assert client.get("/").status_code == 200
    again = site.stranger().get("/login", params={"token": token})
    assert again.status_code == 401 and "used already" in again.text and "set-cookie" not in again.headers
    assert site.sessions.token != token and site.browser().get("/")


@pytest.mark.parametrize("token", ["", "x", "ÿ", "a" * 10_000])
def test_a_made_up_token_opens_nothing(site: Site, token: str) -> None:
    answer = site.stranger().get("/login", params={"token": token})
    assert answer.status_code == 401 and site.begun == 0


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1.evil.example:{PORT}", f"[::1]:{PORT}", ""]
)
def test_a_request_to_another_name_is_refused_also_with_a_session(site: Site, host: str) -> None:
    browser = site.browser()
    for path in ("/", f"/login?token={site.sessions.token}"):
        answer = browser.client.get(path, headers={"Host": host})
        assert answer.status_code == 421 and "set-cookie" not in answer.headers
    assert browser.client.get("/", headers={"Host": f"localhost:{PORT}"}).status_code == 200


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", f"https://127.0.0.1:{PORT}", "http://127.0.0.1:1", f"http://localhost:{PORT}", "null"],
)
def test_a_request_of_another_origin_is_refused_also_with_a_session(site: Site, origin: str) -> None:
    browser = site.browser()
    assert browser.client.get("/", headers={"Origin": origin}).status_code == 403
    answer = browser.client.post("/changes/1/answer", data={"csrf": browser.csrf}, headers={"Origin": origin})
    assert answer.status_code == 403


@pytest.mark.parametrize("where", ["same-site", "cross-site"])
def test_what_another_site_or_port_starts_is_refused_also_with_a_session(site: Site, where: str) -> None:
    browser = site.browser()
    for path in PATHS:
        assert browser.client.get(path, headers={"Sec-Fetch-Site": where}).status_code == 403
    for own in ("same-origin", "none"):
        assert browser.client.get("/", headers={"Sec-Fetch-Site": own}).status_code == 200
    link = {"token": site.sessions.token}  # from the file that leads the browser here
    assert site.stranger().get("/login", params=link, headers={"Sec-Fetch-Site": where}).status_code == 200


def test_a_form_without_an_origin_is_refused(site: Site) -> None:
    browser = site.browser()
    assert browser.client.post("/changes/1/answer", data={"csrf": browser.csrf}).status_code == 403


def test_a_form_needs_the_token_of_its_own_session(site: Site) -> None:
    browser, other = site.browser(), site.browser()
    for fields in ({}, {"csrf": ""}, {"csrf": "x"}, {"csrf": other.csrf}):
        answer = browser.client.post("/changes/1/answer", data=fields, headers=ORIGIN)
        assert answer.status_code in (403, 415)
    assert browser.client.post("/changes/1/answer", data={"csrf": browser.csrf}, headers=ORIGIN).status_code == 404


def test_only_forms_of_a_sensible_length_are_read(site: Site) -> None:
    browser = site.browser()
    answer = browser.client.post("/changes/1/answer", json={"csrf": browser.csrf}, headers=ORIGIN)
    assert answer.status_code == 415
    long = {"csrf": browser.csrf, "name": "a" * LONGEST_BODY}
    assert browser.client.post("/changes/1/answer", data=long, headers=ORIGIN).status_code == 413


def test_a_page_that_only_reads_refuses_every_form(make_site: Callable[..., Site]) -> None:
    browser = make_site(read_only=True).browser()
    answer = browser.client.post("/changes/1/answer", data={"csrf": browser.csrf}, headers=ORIGIN)
    assert answer.status_code == 403 and "--read-only" in answer.text
    assert "read-only" in browser.get("/")
    assert browser.post("/refresh", 204) == ""
    for path in ("/add", "/tenants/default/change", "/tenants/default/delete"):
        assert "--read-only" in browser.get(path, 403)


@pytest.mark.parametrize("path", ["/", "/changes", "/nothing", "/static/page.css", "/login"])
def test_each_answer_forbids_scripts_and_frames_of_others(site: Site, path: str) -> None:
    headers = site.browser().client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self';" in policy and "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy and "form-action 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store"
