"""Revoking single tokens: the tokens, the ends of their entries, and the edit of the list."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from components.core.errors import UserError
from components.core.names import token_audience
from components.core.scopes import KeyLimits, is_token_id
from components.core.timestamps import format_rfc3339, instant
from scripts.tokens.issued import entries
from scripts.tokens.parse import Token, looks_like_token, token_in
from scripts.tokens.pruning import PRUNE_AFTER_SECONDS, prune
from scripts.tokens.verify import in_words, signature_problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from components.config.data_api import DataApiConfig
    from scripts.tenants.apply import InstanceEdit
    from scripts.ui.terminal import Terminal

LAST_INSTANT = instant("9999-12-31T23:59:59Z")  # the last one that RFC 3339 can write
OWN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)  # as `ta-create-token` makes them
LEDGER = "the ledger of issued tokens"
LIST_IDS = "`./opstrace ta-tokens-list` lists the ids of tokens that were made here"


@dataclass(frozen=True)
class Revoked:
    """A token to be refused: its id, and its end in seconds since the epoch."""

    id: str
    expires: int


@dataclass(frozen=True)
class Revocation:
    """The common data of all tokens of one command; times in seconds since the epoch.

    Attributes:
        instance: The instance that is to refuse the tokens.
        api: Its keys and its list of revoked tokens.
        expires: The end that the user gives for tokens whose end is unknown; None where none is given.
        now: The time of the command.
        terminal: Where it is told how ends are found.
    """

    instance: str
    api: DataApiConfig
    expires: int | None
    now: float
    terminal: Terminal

    def of_argument(self, name: str) -> Revoked:
        """Return the token that an argument names, by its id or by a file; raises `UserError` where its end is unknown."""
        return self._of_id(name) if _is_id(name) else self._of_file(name)

    def _of_file(self, name: str) -> Revoked:
        """Return the token in a file, with a trustworthy end.

        Raises `UserError` where the token has no id or no end, belongs to another instance, or where only an untrusted
        signature vouches for its end.
        """
        token = token_in(name, f"check the path, or name the token by its id: {LIST_IDS}")
        audience = token.claims.get("aud")
        if token_audience(self.instance) not in (audience if isinstance(audience, list) else [audience]):
            raise UserError(f"{name}: this token is for {audience!r}, not for {token_audience(self.instance)!r}")
        problem = signature_problem(token, self.api.pems)
        token_id, end = self._id_and_end(name, token, problem)
        issued = _issued_end(token_id, self.instance)
        ends = [certain for certain in (issued, self.expires) if certain is not None]
        doubt = problem or _doubt(str(token.kid), self.api.limits[str(token.kid)], self.now)
        if doubt:
            self._require_end(f"{name}: {doubt}", token_id, issued)
        if end is not None and problem is None:  # the gateway accepts a token with a valid signature until then
            ends.append(min(end, LAST_INSTANT))
        return Revoked(token_id, max(ends))

    def _id_and_end(self, name: str, token: Token, problem: str | None) -> tuple[str, int | None]:
        """Return a token's id and its end; raises `UserError` where it has no id to list, or is signed and has no end."""
        token_id, end = token.text_of("jti"), token.seconds_of("exp")
        if token_id is not None and is_token_id(token_id) and (end is not None or problem is not None):
            return token_id, end
        remedy = f"`./opstrace ta-pubkeys-remove PROVIDER {self.instance} {token.kid}`"
        raise UserError(
            f"{name}: this token has no id that can be listed, or no end; "
            + (f"and {problem}" if problem else f"only the removal of its key revokes it: {remedy}")
        )

    def _require_end(self, doubt: str, token_id: str, issued: int | None) -> None:
        """Tell the source of the end of a doubtful token; raises `UserError` where there is none."""
        if issued is None and self.expires is None:
            raise UserError(
                f"{doubt}, so the end that it states cannot be trusted, and {LEDGER} does not have its id. "
                "Give --expires with an instant that is surely later"
            )
        source = "--expires" if issued is None else LEDGER
        both = " or --expires, whichever is later" if issued is not None and self.expires is not None else ""
        self.terminal.note(f"{doubt}; the end of {token_id} is taken from {source}{both}")

    def _of_id(self, token_id: str) -> Revoked:
        """Return the token of an id; raises `UserError` where its end is unknown."""
        is_file = Path(token_id).exists()
        if is_file:
            self.terminal.note(f"{token_id} is read as an id; ./{token_id} is the file of that name")
        issued = _issued_end(token_id, self.instance)
        ends = [end for end in (issued, self.expires) if end is not None]
        if not ends:
            reading = "is read as an id, and is not the id" if is_file else "is no file, and no id"
            file = f"./{token_id} for the file of that name" if is_file else "the token's file"
            raise UserError(
                f"{token_id} {reading} of a token of {self.instance} that was issued here, so its end is unknown. "
                f"{LIST_IDS}. Give {file}, or --expires with an instant that is surely later"
            )
        return Revoked(token_id, max(ends))


def revoke_tokens(edit: InstanceEdit, names: Sequence[str], expires: int | None) -> None:
    """Let an instance refuse the tokens that `names` name by id or file, and apply that.

    Entries of tokens that have ended are removed from the list. `expires` is in seconds since the epoch. Raises
    `UserError` before anything changes where the end of a token is unknown.
    """
    file = edit.file
    now = time.time()
    api = file.config().data_api
    revocation = Revocation(edit.instance, api, expires, now, edit.context.terminal)
    named = [revocation.of_argument(name) for name in names]
    # The holder of a trusted key can sign a second token with the id of the first and an earlier end.
    tokens = [Revoked(entry.id, max(entry.expires, api.revoked_tokens.get(entry.id, 0))) for entry in named]
    listed = file.revoked_tokens()
    pruned = prune(listed, now)
    live = [entry for entry in tokens if entry.expires > now - PRUNE_AFTER_SECONDS]
    for entry in live:
        if entry.expires > api.revoked_tokens.get(entry.id, 0):
            listed[entry.id] = format_rfc3339(entry.expires)
    file.set_revoked_tokens(listed)
    edit.apply()
    _note_result(tokens, live, pruned, edit.context.terminal)


def _is_id(name: str) -> bool:
    """Tell whether an argument is an id. One in the form of our own ids always is: somebody may have put a file there."""
    if name == "-" or not is_token_id(name):
        return False
    return bool(OWN_ID.fullmatch(name)) or not (Path(name).exists() or looks_like_token(name))


def _doubt(kid: str, limits: KeyLimits, now: float) -> str | None:
    """Return why the end in a token of this key is not trusted; None where it is.

    The holder of a limited key could otherwise sign a second token with the id of another tenant's token and an early end.
    The entry of the revoked token would then be removed early.
    """
    if limits.tenants is not None or limits.scopes is not None:
        return f"the key {kid} that signed it is limited to some tenants or scopes"
    if limits.not_after is not None and limits.not_after <= now:
        return f"the key {kid} that signed it is no longer accepted since {in_words(limits.not_after)}"
    return None


def _issued_end(token_id: str, instance: str) -> int | None:
    """Return the end of a token by the ledger of issued tokens, None where the ledger does not have it."""
    ends = [entry["expires"] for entry in entries()[0] if (entry["id"], entry["instance"]) == (token_id, instance)]
    return max(map(instant, ends), default=None)


def _note_result(tokens: Iterable[Revoked], live: list[Revoked], pruned: int, terminal: Terminal) -> None:
    for entry in live:
        terminal.note(f"{entry.id} is revoked; its entry can go after {format_rfc3339(entry.expires)}")
    for entry in tokens:
        if entry not in live:
            terminal.note(f"{entry.id} ended at {format_rfc3339(entry.expires)}, so there is nothing to revoke")
    if pruned:
        terminal.note(f"entries of tokens that have ended, now taken out of the list: {pruned}")
