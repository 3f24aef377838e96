"""The instance: its domain, its keys, which gateway pods have them, and what `check` finds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response

from components.core.errors import UserError
from components.core.names import instance_domain
from scripts.clients.errors import REPAIRABLE
from scripts.instances.check import check_instance
from scripts.instances.gateway import gateway_readiness
from scripts.web.page import page_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request

    from scripts.checks.finding import Finding
    from scripts.web.page import Page


def show(request: Request) -> Response:
    """Answer with the instance as its file has it; the gateway follows by `gateway`."""
    return _answer(request)


def _answer(request: Request, findings: Sequence[Finding] = (), error: str | None = None) -> Response:
    page = page_of(request)
    try:
        shown = _header(page)
    except UserError as invalid:
        return page.respond(request, "problem.html", status=200, heading="The stack file is invalid", text=str(invalid))
    return page.respond(request, "instance.html", findings=findings, error=error, **shown)


def _header(page: Page) -> dict[str, Any]:
    """Return what the files have of the instance; raises `UserError` where one is invalid."""
    config, tenants = page.subject.config(), page.subject.settings()
    return {
        "domain": instance_domain(page.instance, config.domain),
        "keys": sorted(config.data_api.public_keys),
        "revoked": len(config.data_api.revoked_tokens),
        "tenants": len(tenants),
        "own_stacks": len(page.subject.own_stacks()),
    }


def header(request: Request) -> Response:
    """Answer with what the files have of the instance, which its view asks for when one has changed."""
    page = page_of(request)
    return HTMLResponse(page.html("instance_header.html", **_header(page)))


def gateway(request: Request) -> Response:
    """Answer with the state of the gateway's pods, and the keys that each has loaded."""
    page = page_of(request)
    try:
        config, target = page.subject.config(), page.subject.target()
        state = gateway_readiness(target.cluster).in_words()
        pods = page.context.gateway_pods(target.provider, config, page.instance)
    except REPAIRABLE as failed:
        return HTMLResponse(page.html("gateway.html", error=str(failed), state="", pods={}, read_at=0))
    words = {pod: one.in_words() if one else "does not tell which keys it has" for pod, one in pods.items()}
    return HTMLResponse(page.html("gateway.html", error=None, state=state, pods=words, read_at=time.time()))


def check(request: Request) -> Response:
    """Run the checks, which takes up to 20 seconds; answer with what they find."""
    try:
        return _answer(request, _checked(page_of(request)))
    except REPAIRABLE as failed:
        return _answer(request, error=str(failed))


def _checked(page: Page) -> Sequence[Finding]:
    """Return what the checks find. Two pods start for one of them, unless the page changes nothing.

    Checks with pods run one after another. Raises `UserError` where the page has ended meanwhile.
    """
    if page.read_only:
        return check_instance(page.context, page.provider_name, page.instance, live=False)
    with page.checks:
        if page.is_ending:
            raise UserError("`./opstrace ui` ends, so no checks begin")
        return check_instance(page.context, page.provider_name, page.instance)
