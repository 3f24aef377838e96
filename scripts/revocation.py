"""`ta-revoke-token`: single tokens are refused from now on, whoever holds them."""

import time
from collections.abc import Iterable, MutableMapping
from dataclasses import dataclass
from pathlib import Path

import click

from components.access import is_token_id
from components.errors import UserError
from components.instants import instant, written
from components.names import token_audience
from scripts.apply import NO_APPLY, finish
from scripts.durations import Moment
from scripts.inspection import token_in
from scripts.ledger import entries
from scripts.providers import PROVIDER
from scripts.stackfile import require
from scripts.terminal import note
from scripts.token_reader import looks_like_token

PRUNE_AFTER_SECONDS = 300  # a token that ended so long ago is refused by every clock


@dataclass(frozen=True)
class Revoked:
    """A token that is to be refused: its id, and its end in seconds since the epoch."""

    id: str
    expires: int


@click.command(short_help="Refuse single tokens from now on.")
@PROVIDER
@click.argument("instance")
@click.argument("tokens", metavar="JTI|FILE...", nargs=-1, required=True)
@click.option("--expires", type=Moment(), help="End of tokens of which only the id is known: an instant (RFC 3339).")
@NO_APPLY
def ta_revoke_token(
    provider_name: str, instance: str, tokens: tuple[str, ...], expires: int | None, no_apply: bool
) -> None:
    """Let INSTANCE refuse tokens, named by their ids or by files that hold them; `-` is standard input.

    An id's end comes from the list of tokens that were issued here, or from --expires. Entries of tokens that have
    ended are taken out of the list.
    """
    file = require(instance)
    now = time.time()
    found = [_of_id(name, instance, expires) if _is_id(name) else _of_file(name, instance) for name in tokens]
    listed = file.revoked_tokens()
    gone = prune(listed, now)
    kept = [entry for entry in found if entry.expires > now - PRUNE_AFTER_SECONDS]
    for entry in kept:
        listed[entry.id] = written(entry.expires)
    file.set_revoked_tokens(listed)
    finish(file, provider_name, no_apply=no_apply)
    _tell(found, kept, gone)


def _is_id(name: str) -> bool:
    return name != "-" and is_token_id(name) and not Path(name).exists() and not looks_like_token(name)


def _of_file(name: str, instance: str) -> Revoked:
    """Return the token in a file; raises `UserError` where it has no id, no end, or is another instance's."""
    token = token_in(name)
    audience = token.claims.get("aud")
    if token_audience(instance) not in (audience if isinstance(audience, list) else [audience]):
        raise UserError(f"{name}: this token is for {audience!r}, not for {token_audience(instance)!r}")
    token_id, expires = token.text_of("jti"), token.seconds_of("exp")
    if token_id is None or expires is None or not is_token_id(token_id):
        raise UserError(
            f"{name}: this token has no id that could be listed, or no end; it can be taken back with its key alone: "
            f"`./opstrace ta-pubkeys-remove PROVIDER {instance} {token.kid}`"
        )
    return Revoked(token_id, expires)


def _of_id(token_id: str, instance: str, expires: int | None) -> Revoked:
    """Return the token of an id; raises `UserError` where its end is not known."""
    known = [entry for entry in entries()[0] if entry["id"] == token_id and entry["instance"] == instance]
    if known:
        return Revoked(token_id, instant(known[-1]["expires"]))
    if expires is None:
        raise UserError(
            f"{token_id} is no file, and no id of a token of {instance} that was issued here: when it ends is not known; "
            "give the token's file, or --expires with an instant that is surely later"
        )
    return Revoked(token_id, expires)


def prune(listed: MutableMapping[str, str], now: float) -> int:
    """Take the entries of tokens that have ended out of the list; return how many. Others are not touched."""
    gone = [token_id for token_id, end in listed.items() if _has_ended(end, now)]
    for token_id in gone:
        del listed[token_id]
    return len(gone)


def _has_ended(end: str, now: float) -> bool:
    try:
        return instant(end) < now - PRUNE_AFTER_SECONDS
    except ValueError:  # the check of the whole file names it
        return False


def _tell(found: Iterable[Revoked], kept: list[Revoked], gone: int) -> None:
    for entry in kept:
        note(f"{entry.id} is revoked; its entry can go after {written(entry.expires)}")
    for entry in found:
        if entry not in kept:
            note(f"{entry.id} ended at {written(entry.expires)}: nobody accepts it, and there is nothing to revoke")
    if gone:
        note(f"entries of tokens that have ended, now taken out of the list: {gone}")
