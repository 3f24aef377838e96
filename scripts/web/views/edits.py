"""Adding a tenant, and changing its settings."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from components.config.stack import stack_name
from components.core.errors import UserError
from components.core.names import tenant_name_problem
from scripts.stackfile.engine_view import plain
from scripts.tenants.edit import Edit, add_tenant, already_there, change_tenant, file_with_changes, file_with_new_tenant
from scripts.tenants.locate import editable_tenant
from scripts.web import settings_form
from scripts.web.changes.change import Task
from scripts.web.page import form_of, page_of, progress_of, require_changes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from scripts.web.page import Page

ON = "yes"  # the value of a box that is ticked
OUTDATED = (
    "The settings changed since you opened this form, so nothing was changed. The form shows the new settings: make your "
    "change again."
)


def _edit(page: Page, tenant: str, settings: list[str]) -> Edit:
    return Edit(provider_name=page.provider_name, instance=page.instance, tenant=tenant, settings=settings)


def _filled(form: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in form.items() if text}


def _defaults(page: Page) -> dict[str, str]:
    defaults = page.subject.config().tenant_defaults
    return settings_form.texts(defaults.model_dump(by_alias=True, exclude_none=True))


def _settings(page: Page, error: str | None, *, is_change: bool = False) -> dict[str, Any]:
    """Return what the template of settings needs beside their values."""
    return {
        "groups": settings_form.groups(),
        "defaults": _defaults(page),
        "error": error,
        "invalid": settings_form.named_in(error or ""),
        "is_change": is_change,
    }


def show_add(request: Request) -> Response:
    """Answer with the form of a new tenant."""
    require_changes(request)
    return _add_form(request, {})


def _add_form(request: Request, form: Mapping[str, str], error: str | None = None) -> Response:
    page, name = page_of(request), form.get("name", "")
    values: dict[str, Any] = {
        "name": name,
        "is_update": False,
        "own_stack": form.get("own_stack") == ON,
        "values": _filled(form),
    }
    problem = tenant_name_problem(name) if name else None
    return page.respond(
        request,
        "add.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        problem=problem,
        **values,
        **_settings(page, error),
    )


def check_name(request: Request) -> Response:
    """Answer with what is wrong with the name of a new tenant, while it is typed, and mark its field so."""
    page, name = page_of(request), request.query_params.get("name", "").strip()
    problem = tenant_name_problem(name) if name else None
    if not problem and name in page.subject.settings():
        problem = already_there(name)
    parts = (page.html(part, problem=problem, is_update=True) for part in ("name.html", "name_field.html"))
    return HTMLResponse("".join(parts))


def add(request: Request) -> Response:
    """Start the addition of a tenant; answer with the form where a name or a setting is invalid."""
    page, form = page_of(request), form_of(request)
    tenant, own_stack = form.get("name", "").strip(), form.get("own_stack") == ON
    try:
        edit = _edit(page, tenant, settings_form.assignments(form, {}))
        # One that stands in a file may be of an addition that was interrupted: the service resumes it.
        if tenant_name_problem(tenant) or tenant not in page.subject.settings():
            file_with_new_tenant(page.context, edit, own_stack=own_stack)
        task = Task(
            title=f"Add the tenant {tenant}",
            stack=stack_name(page.instance, tenant) if own_stack else page.instance,
            tenant=tenant,
            work=lambda context: add_tenant(context, edit, own_stack=own_stack),
            connects=True,
        )
        change = page.changes.start(page.context, task)
    except UserError as refused:
        return _add_form(request, form, str(refused))
    return progress_of(change)


def _set_values(page: Page, tenant: str) -> dict[str, str]:
    """Return the texts of the settings that the tenant's entry sets; raises `HTTPException` where there is no entry."""
    try:
        entry = editable_tenant(page.context, page.instance, tenant).entry
    except UserError as missing:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(missing)) from None
    return settings_form.texts(plain(entry))


def show_change(request: Request) -> Response:
    """Answer with the form of a tenant's settings."""
    require_changes(request)
    values = _set_values(page_of(request), request.path_params["tenant"])
    return _change_form(request, values, values)


def _change_form(
    request: Request, before: Mapping[str, str], form: Mapping[str, str], error: str | None = None
) -> Response:
    """Answer with the form of the settings `before` a change, filled in with the texts of `form`."""
    page = page_of(request)
    return page.respond(
        request,
        "edit.html",
        status=HTTPStatus.UNPROCESSABLE_ENTITY if error else HTTPStatus.OK,
        name=request.path_params["tenant"],
        values=_filled(form),
        shown=settings_form.fingerprint(before),
        force=form.get("force") == ON,
        name_field=settings_form.name_field(),
        **_settings(page, error, is_change=True),
    )


def change(request: Request) -> Response:
    """Start the change of a tenant's settings; answer with the form where one is invalid, or where none differs."""
    page, form, tenant = page_of(request), form_of(request), request.path_params["tenant"]
    before = _set_values(page, tenant)
    as_it_is = form.get("as_it_is") == ON  # completes an update that a killed page began
    if not as_it_is and form.get("shown") != settings_form.fingerprint(before):
        return _change_form(request, before, before, OUTDATED)
    try:
        edit = _edit(page, tenant, [] if as_it_is else settings_form.assignments(form, before))
        if not edit.settings and not as_it_is:
            raise UserError("No setting differs from the stack file: change one first.")
        file = file_with_changes(page.context, edit)
        task = Task(
            title=f"Change the tenant {tenant}",
            stack=file.instance,
            tenant=tenant,
            work=lambda context: change_tenant(context, edit, yes=False, force=form.get("force") == ON),
        )
        started = page.changes.start(page.context, task)
    except UserError as refused:
        return _change_form(request, before, form, str(refused))
    return progress_of(started)
