"""One tenant: its URLs, settings, limits and tokens."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from components.core.names import SYSTEM
from components.core.timestamps import instant
from scripts.clients.errors import REPAIRABLE
from scripts.tenants.apply import InstanceEdit
from scripts.tenants.reports.list_and_show import show_tenant
from scripts.tenants.reports.overview import explained
from scripts.tokens.issued import chosen, entries
from scripts.trust.revocation import revoke_tokens
from scripts.ui.sizes import in_units
from scripts.web.changes.change import Task
from scripts.web.page import form_of, page_of, started
from scripts.web.views import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from components.config.stack import StackConfig
    from scripts.tenants.reports.overview import Glance
    from scripts.web.page import Page


def show(request: Request) -> Response:
    """Answer with a tenant as the files have it; the rest follows by `facts`."""
    return _answer(request)


def _answer(request: Request, error: str | None = None, status: int = HTTPStatus.OK) -> Response:
    page, name = page_of(request), request.path_params["tenant"]
    shown, config = _state(request), page.subject.config()
    return page.respond(
        request,
        "tenant.html",
        status=status,
        tokens=_tokens(page.instance, name, config),
        is_system=name == SYSTEM,
        error=error,
        **shown,
        **connect.steps(page, name, config),
    )


def _glance(request: Request) -> Glance:
    """Return the tenant of the URL; raises `HTTPException` where there is no such tenant."""
    page, name = page_of(request), request.path_params["tenant"]
    glance = next((one for one in page.tenants.tenants() if one.name == name), None)
    if glance is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no tenant {name} in {page.instance}.")
    return glance


def _state(request: Request) -> dict[str, Any]:
    """Return the values of the tenant's state; raises as `_glance` does."""
    page = page_of(request)
    return {"tenant": _glance(request), "outage": page.tenants.error, "pods_at": page.tenants.pods_at}


def state(request: Request) -> Response:
    """Answer with the state of a tenant alone and its reasons, which its view asks for when the pods were looked at."""
    page, values = page_of(request), _state(request)
    return HTMLResponse(page.html("tenant_state.html", **values | _explanation(page, values["tenant"])))


def _explanation(page: Page, tenant: Glance) -> dict[str, Any]:
    """Return a tenant with the reasons that the list has not looked up, or why they are unknown; nothing where it has them."""
    # Where nothing answers, the view says so, and does not wait for it again.
    if tenant.is_explained or page.tenants.error:
        return {}
    try:
        settings = page.subject.settings().get(tenant.name)
        return {"tenant": explained(page.subject.target().cluster, tenant, settings)} if settings else {}
    except REPAIRABLE as error:
        return {"outage": str(error)}


def _tokens(instance: str, tenant: str, config: StackConfig) -> list[dict[str, Any]]:
    """Return the tokens of a tenant that were issued on this machine, the newest first; never a token itself."""
    listed, _ = entries()
    return [_token(entry, config) for entry in reversed(chosen(listed, instance, tenant))]


def _token(entry: Mapping[str, Any], config: StackConfig) -> dict[str, Any]:
    api = config.data_api
    if entry["id"] in api.revoked_tokens:
        state = "revoked"
    elif instant(entry["expires"]) <= time.time():
        state = "expired"
    elif entry["key"] not in api.public_keys:
        state = "refused: its key was removed"
    else:
        state = "valid"
    scope = "all" if entry.get("scope") is None else str(entry["scope"])
    return {"id": entry["id"], "name": entry.get("name"), "scope": scope, "expires": entry["expires"], "state": state}


def tokens(request: Request) -> Response:
    """Answer with the tokens of a tenant alone, which its view asks for when the ledger or a stack file has changed."""
    page, tenant = page_of(request), _glance(request)
    listed = _tokens(page.instance, tenant.name, page.subject.config())
    return HTMLResponse(page.html("tokens.html", tenant=tenant, tokens=listed, csrf=request.state.session.csrf))


def facts(request: Request) -> Response:
    """Answer with what the engine, the cluster and the back ends tell of a tenant, which takes seconds."""
    page, name = page_of(request), request.path_params["tenant"]
    try:
        found = show_tenant(page.context.hurried(), page.provider_name, page.instance, name)
    except REPAIRABLE as error:
        return HTMLResponse(page.html("facts.html", error=str(error), facts={}, stored="", limits={}, read_at=0))
    limits = {kind: values or {} for kind, values in found.get("effectiveLimits", {}).items()}
    stored = in_units(found["storedBytes"]) if "storedBytes" in found else ""
    values = {"facts": found, "stored": stored, "limits": limits, "read_at": time.time()}
    return HTMLResponse(page.html("facts.html", error=None, **values))


def revoke(request: Request) -> Response:
    """Start the revocation of a token of the tenant that was issued here."""
    page, name, token = page_of(request), request.path_params["tenant"], form_of(request).get("token", "")
    known = {one["id"] for one in _tokens(page.instance, name, page.subject.config())}
    if token not in known:
        return _answer(
            request,
            f"{token!r} is not the id of a token of {name} that was issued here.",
            HTTPStatus.UNPROCESSABLE_ENTITY,
        )
    task = Task(
        title=f"Revoke a token of {name}",
        stack=page.instance,
        tenant=name,
        work=lambda context: revoke_tokens(
            InstanceEdit(context=context, provider_name=page.provider_name, instance=page.instance), [token], None
        ),
    )
    return started(request, task, lambda refused: _answer(request, refused, HTTPStatus.UNPROCESSABLE_ENTITY))
