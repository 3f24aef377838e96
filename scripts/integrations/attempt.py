"""One request of `check` with the client's token, and what the gateway's answer to it means."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from components.core.errors import UserError
from components.core.scopes import Scope
from scripts.checks.finding import Finding, error, ok
from scripts.clients.gateway.client import GatewayClient
from scripts.integrations.integration import Kind

SUCCESS, REDIRECT = 200, 300
UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TOO_MANY = 401, 403, 404, 429
UNAVAILABLE = range(502, 505)
LONGEST_ANSWER = 300  # characters
ANSWERS = "see docs/reference/gateway-answers.md for this answer"
LOOK = "look at `./opstrace status`"


@dataclass(frozen=True)
class Attempt:
    """A request that a client makes.

    Attributes:
        name: What it is for.
        method: Its method.
        scope: The scope that the token needs for it.
        path: Its path.
    """

    name: Literal["push", "query"]
    method: str
    scope: Scope
    path: str

    def finding(
        self,
        client: GatewayClient,
        url: str,
        tenant: str,
        *,
        body: str | None = None,
        refusals: Sequence[str] = (),
    ) -> Finding:
        """Send the request to the host of `url`, and return what the answer means.

        `refusals` are the reasons of the stack file to refuse the token.
        """
        address = f"{url}{self.path}"
        try:
            status, text = client.request(self.method, address, body)
        except UserError as problem:
            return error(self.name, str(problem), f"{LOOK}, or wait longer with --timeout")
        if SUCCESS <= status < REDIRECT:
            return ok(self.name, f"{address} takes the request")
        said = f"{address} answers {status}: {text.strip()[:LONGEST_ANSWER]}"
        if status == UNAUTHORIZED:
            why = (
                "; ".join(refusals)
                or "the stack file accepts it, so the gateway has another state: apply it with `pulumi up`"
            )
            return error("token", f"{said} ({why})", "replace the token file")
        if status == NOT_FOUND:
            return error("path", said, f"apply the tenant {tenant} with `pulumi up`, and {LOOK}")
        return error(self.name, said, _remedy(status, tenant))


def _remedy(status: int, tenant: str) -> str:
    if status == FORBIDDEN:
        return f"check `allowedCidrs` of the tenant {tenant} in the stack file"
    if status == TOO_MANY:
        return f"send less, or raise the rate limit of the tenant {tenant}: docs/how-to/rate-limits.md"
    if status in UNAVAILABLE:
        return "`./opstrace tenants list` shows whether the tenant's pods are ready; try again once they are"
    return ANSWERS


PUSHES: dict[Kind, Attempt] = {
    "metrics": Attempt("push", "POST", "metrics:write", "/api/v1/otlp/v1/metrics"),
    "logs": Attempt("push", "POST", "logs:write", "/loki/api/v1/push"),
}
QUERIES: dict[Kind, Attempt] = {
    "metrics": Attempt("query", "GET", "metrics:read", "/api/v1/labels"),
    "logs": Attempt("query", "GET", "logs:read", "/loki/api/v1/labels"),
}
