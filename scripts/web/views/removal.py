"""Deleting a tenant: what becomes of its data and tokens, and the start of the removal."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from components.config.stack import stack_name
from scripts.clients.errors import REPAIRABLE
from scripts.tenants.removal import RemovalOptions, outlook, remove_tenant
from scripts.web.changes.change import Task
from scripts.web.page import form_of, page_of, require_changes, started, wrong_name
from scripts.web.views.edits import ON

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from components.config.tenant import OnDelete
    from components.tenant.change_summary import Fate
    from scripts.tokens.of_tenant import Answer

POLICIES: dict[str, OnDelete] = {"retain": "retain", "purge": "purge"}
RECORDED = "recorded"  # the choice of what the form shows as recorded
FATES: dict[str, Fate] = {**POLICIES, "mixed": "mixed"}
ANSWERS: dict[str, Answer] = {"revoke": "revoke", "keep": "keep"}


def show(request: Request) -> Response:
    """Answer with what the removal of a tenant would do, and the form that starts it."""
    require_changes(request)
    return _form(request)


def _form(request: Request, error: str | None = None) -> Response:
    page, tenant = page_of(request), request.path_params["tenant"]
    found = None
    try:
        found = outlook(page.context.hurried(), page.provider_name, page.instance, tenant)
    except REPAIRABLE as failed:
        error = error or str(failed)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK
    return page.respond(request, "delete.html", status=status, name=tenant, outlook=found, error=error)


def remove(request: Request) -> Response:
    """Start the removal of a tenant whose name was typed."""
    page, form, tenant = page_of(request), form_of(request), request.path_params["tenant"]
    if problem := wrong_name(request, tenant):
        return _form(request, problem)
    policy = POLICIES.get(form.get("policy", ""))
    shown = FATES.get(form.get("recorded", "")) if form.get("policy") == RECORDED else None
    if policy is None and shown is None:
        return _form(request, "Choose what becomes of the data: nothing is changed.")
    options = RemovalOptions(
        policy=policy,
        shown=shown,
        tokens=ANSWERS.get(form.get("tokens", "")),
        yes=True,
        force=form.get("force") == ON,
    )
    stack = stack_name(page.instance, tenant) if tenant in page.subject.own_stacks() else page.instance
    task = Task(
        title=f"Delete the tenant {tenant}",
        stack=stack,
        tenant=tenant,
        work=lambda context: remove_tenant(context, page.provider_name, page.instance, tenant, options),
        review=False,  # the user has typed the name
    )
    return started(request, task, lambda refused: _form(request, refused))
