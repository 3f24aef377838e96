"""Retained data: what deleted tenants left in S3, and the changes that give it back, let it expire or delete it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from scripts.clients.errors import REPAIRABLE
from scripts.tenants.retained_data import stores
from scripts.tenants.retained_data.adoption import adopt_retained
from scripts.tenants.retained_data.purge import purge_retained
from scripts.ui.sizes import in_units
from scripts.web.changes.change import Task
from scripts.web.page import form_of, page_of, started, wrong_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from scripts.context.context import Context, Target
    from scripts.web.page import Page


def show(request: Request) -> Response:
    """Answer with the page of retained data; its rows follow by `rows`."""
    return page_of(request).respond(request, "retained.html")


def rows(request: Request) -> Response:
    """Answer with the retained data of all deleted tenants, whose objects are counted, which takes a while."""
    page = page_of(request)
    try:
        found, error = [_shown(one) for one in stores.list_retained(page.subject.target())], None
    except REPAIRABLE as failed:
        found, error = [], str(failed)
    return HTMLResponse(page.html("retained_rows.html", found=found, error=error))


def _shown(facts: dict[str, Any]) -> dict[str, Any]:
    return facts | {"stored": in_units(facts["storedBytes"])}


def show_one(request: Request) -> Response:
    """Answer with one store, and the forms of what can be done with it."""
    return _answer(request)


def _answer(request: Request, error: str | None = None) -> Response:
    page, tenant, identity = page_of(request), *_named(request)
    facts = None
    try:
        target = page.subject.target()
        store = next((one for one in stores.retained(target, tenant) if one.id == identity), None)
        facts = _shown(stores.facts(store, target)) if store else None
    except REPAIRABLE as failed:
        error = error or str(failed)
    if facts is None and error is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"No data of {tenant} with the id {identity} is retained.")
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return page.respond(
        request,
        "retained_one.html",
        status=status,
        name=tenant,
        store=facts,
        error=error,
        longest=stores.LONGEST_EXPIRY,
    )


def _named(request: Request) -> tuple[str, str]:
    return request.path_params["tenant"], request.path_params["store"]


def adopt(request: Request) -> Response:
    """Start the adoption of a store, which asks after its plan is shown."""
    page, tenant, identity = page_of(request), *_named(request)

    def work(context: Context) -> object:
        return adopt_retained(context, page.provider_name, page.instance, tenant, identity)

    return _started(request, f"Adopt the data of {tenant}", work, connects=True)


def expire(request: Request) -> Response:
    """Let S3 empty the buckets of a store after some days."""
    page, tenant, identity = page_of(request), *_named(request)
    days = form_of(request).get("days", "")
    if days not in map(str, range(1, stores.LONGEST_EXPIRY + 1)):
        return _answer(
            request, f"{days!r} is not a number of days from 1 to {stores.LONGEST_EXPIRY}: nothing is changed."
        )

    def work(context: Context) -> object:
        return stores.expire_store(tenant, identity, int(days), _target(page, context), with_facts=False)

    return _started(request, f"Let the data of {tenant} expire", work, review=False)


def purge(request: Request) -> Response:
    """Delete a store for good, whose tenant's name was typed."""
    page, tenant, identity = page_of(request), *_named(request)
    if problem := wrong_name(request, tenant):
        return _answer(request, problem)

    def work(context: Context) -> object:
        return purge_retained(tenant, identity, _target(page, context), yes=True)

    return _started(request, f"Delete the retained data of {tenant}", work, review=False)


def _target(page: Page, context: Context) -> Target:
    config = context.require_file(page.instance).config()
    return context.target(page.provider_name, page.instance, config)


def _started(
    request: Request, title: str, work: Callable[[Context], object], *, connects: bool = False, review: bool = True
) -> Response:
    page, tenant, _ = page_of(request), *_named(request)
    task = Task(title=title, stack=page.instance, tenant=tenant, work=work, connects=connects, review=review)
    return started(request, task, lambda refused: _answer(request, refused))
