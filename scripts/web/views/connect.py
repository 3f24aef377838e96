"""Connecting clients to a tenant: its URLs, the command that makes a token, and those that write configurations."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response

from components.core.names import ALERTMANAGER_PATH, APIS, api_url, instance_domain
from scripts.integrations.catalog import FORMATS
from scripts.tenants.edit import token_command
from scripts.web.page import page_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from components.config.stack import StackConfig
    from scripts.integrations.catalog import Format
    from scripts.web.page import Page

KUBERNETES_OBJECT = "opstrace-token"  # the Kubernetes Secret that gets the token files


def show(request: Request) -> Response:
    """Answer with what a client of a tenant needs, as the end of its addition."""
    page, tenant = page_of(request), request.path_params["tenant"]
    if tenant not in page.subject.settings():
        raise HTTPException(HTTPStatus.NOT_FOUND, f"There is no tenant {tenant} in {page.instance}.")
    return HTMLResponse(page.html("connect.html", **steps(page, tenant, page.subject.config())))


def steps(page: Page, tenant: str, config: StackConfig) -> dict[str, Any]:
    """Return the values of the template: URLs by name, the command that makes a token, and one for each format."""
    commands = [(one, write_command(page.provider_name, page.instance, tenant, one)) for one in FORMATS.values()]
    return {
        "urls": _urls(page, tenant, config),
        "token_command": token_command(page.instance, tenant),
        "integrations": commands,
    }


def write_command(provider_name: str, instance: str, tenant: str, chosen: Format) -> str:
    """Return the command that writes a configuration of a format into a folder of its own, with a new token."""
    secret = f" --secret {KUBERNETES_OBJECT}" if chosen.in_kubernetes else ""
    return (
        f"./opstrace integrations write {provider_name} {instance} {tenant} {chosen.name} --create-token KEYPAIR_FILE"
        f"{secret} --output {tenant}-{chosen.name}"
    )


def _urls(page: Page, tenant: str, config: StackConfig) -> dict[str, str]:
    domain, port = instance_domain(page.instance, config.domain), config.load_balancer.port
    urls = {f"{api.capitalize()}": api_url(api, tenant, domain, port) for api in APIS}
    settings = page.subject.settings().get(tenant)
    if settings and settings.alertmanager.enabled:
        urls["Alertmanager"] = f"{urls['Cortex']}{ALERTMANAGER_PATH}/"
    return urls
