"""Waiting for the first answers of a new instance's tenants."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from components.core.errors import UserError
from scripts.instances.first_tokens import token_file
from scripts.ui.terminal import note

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scripts.clients.providers import Provider
    from scripts.context.context import Context

OK = 200
WITHOUT_TOKEN = 401  # how the gateway answers without a token, where authentication is on
POLL_SECONDS = 0.2
SLOW_POLL_SECONDS = 2.0  # once the first look for what is missing was due


@dataclass(frozen=True)
class Waiting:
    """The tenants of an instance whose answer is awaited.

    Attributes:
        context: The context of the command.
        provider: The provider of the instance.
        urls: A URL of each tenant by its name.
        finished: Whether an earlier `create` has finished the update. Then a refusal of the gateway is an answer too, since
            the tokens of that `create` may be elsewhere, or revoked.
    """

    context: Context
    provider: Provider
    urls: dict[str, str]
    finished: bool = False

    def silent(self) -> list[str]:
        """Return the tenants that do not answer, up to the first one."""
        for tenant in self.urls:
            if not self._is_answer(self.status(tenant)):
                return [tenant]
        return []

    def status(self, tenant: str) -> int | None:
        """Return the status that the gateway answers for a tenant, None where it does not answer."""
        file = token_file(tenant)
        token = file.read_text() if file.exists() else None
        return self.context.http_status(self.provider, self.urls[tenant], token)

    def _is_answer(self, status: int | None) -> bool:
        return status == OK or (self.finished and status == WITHOUT_TOKEN)


def await_answers(waiting: Waiting, missing: Callable[[], Sequence[str]]) -> None:
    """Wait until the gateway answers each tenant. Print what `missing` returns, whenever that changes.

    Raises `UserError` with what is missing after the context's `first_answers.total` seconds.
    """
    patience, started = waiting.context.first_answers, time.monotonic()
    shown: Sequence[str] = []
    look = started if waiting.finished else started + patience.before
    with waiting.context.terminal.step("waiting for the tenants' first answers", 5):
        while silent := waiting.silent():
            now = time.monotonic()
            if now >= look:
                lines = missing()
                for line in lines if lines != shown else ():
                    note(f"  … missing: {line}")
                shown, look = lines, now + patience.between
            if now - started > patience.total:
                raise UserError(_in_vain(waiting, silent[0], patience.total, missing()))
            time.sleep(POLL_SECONDS if now - started < patience.before else SLOW_POLL_SECONDS)


def _in_vain(waiting: Waiting, tenant: str, seconds: float, lines: Sequence[str]) -> str:
    answer = waiting.status(tenant)
    found = f"Missing: {'; '.join(lines)}" if lines else "Certificates, delegation, targets and pods are in order"
    return (
        f"{waiting.urls[tenant]} did not answer 200 in {seconds / 60:.0f} min, but {answer or 'not at all'}. {found}. "
        "The update succeeded: run the same command again, and it waits again"
    )
