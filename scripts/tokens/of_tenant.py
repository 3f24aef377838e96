"""The valid tokens of a tenant: listed when it is added or removed, and revoked with its removal.

A token has only the name of its tenant, so it opens the next tenant of that name too. Only tokens that were issued on
this machine are known.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from components.config.stack import StackConfig
from components.core.errors import UserError
from components.core.scopes import is_token_id
from components.core.timestamps import format_rfc3339, instant
from scripts.stackfile.file import StackFile
from scripts.tokens.issued import chosen, entries, path
from scripts.tokens.pruning import prune
from scripts.ui.terminal import TERMINAL, Terminal, printable

Answer = Literal["revoke", "keep"]


@dataclass(frozen=True)
class LiveToken:
    """A token that the instance accepts by its stack file; `expires` is in seconds since the epoch."""

    id: str
    expires: int
    name: str | None

    def __str__(self) -> str:
        return f"  {self.id}  until {format_rfc3339(self.expires)}" + (f"  {printable(self.name)}" if self.name else "")


@dataclass(frozen=True)
class Tokens:
    """The live tokens of one tenant that were issued on this machine, the first to expire first.

    `unread` lines of the ledger are invalid, and may have been more of them. `terminal` shows them, and asks about them.
    """

    provider: str
    instance: str
    tenant: str
    live: Sequence[LiveToken]
    unread: int = 0
    terminal: Terminal = TERMINAL

    def sentence(self, one: str, many: str) -> str:
        """Return a sentence with the number of tokens and the verb for one or for many."""
        count = len(self.live)
        return f"1 token of {self.tenant} {one}" if count == 1 else f"{count} tokens of {self.tenant} {many}"

    def listed(self) -> str:
        """Return a line for each token."""
        return "\n".join(map(str, self.live))

    def revocation(self, *, anywhere: bool = False) -> str:
        """Return the command that revokes them. With `anywhere`, it works on machines without this ledger."""
        ids = " ".join(token.id for token in self.live)
        end = f" --expires {format_rfc3339(self.live[-1].expires)}" if anywhere else ""
        return f"./opstrace ta-revoke-token {self.provider} {self.instance} {ids}{end}"

    def plain(self, *, revoked: bool = False) -> list[dict[str, Any]]:
        """Return them in the form of `--json`."""
        return [
            {"id": token.id, "expires": format_rfc3339(token.expires), "name": token.name, "revoked": revoked}
            for token in self.live
        ]

    def tell_of_next(self) -> None:
        """Warn, when a tenant is added, of earlier tokens with its name."""
        if self.live:
            opens = self.sentence(
                "was issued here before, and opens this one", "were issued here before, and open this one"
            )
            self.terminal.note(f"Warning: {opens}:\n{self.listed()}\nIf that is not meant: {self.revocation()}")


def live_tokens(
    provider: str, instance: str, tenant: str, config: StackConfig, terminal: Terminal = TERMINAL
) -> Tokens:
    """Return the tokens of a tenant that were issued here and are neither expired nor revoked, alone or with their key."""
    listed, broken = entries()
    api, now = config.data_api, time.time()
    live: dict[str, LiveToken] = {}
    for entry in chosen(listed, instance, tenant):
        token = _of_entry(entry["id"], entry["expires"], entry.get("name"))
        if token is None:
            broken += 1
        elif token.expires > now and token.id not in api.revoked_tokens and entry["key"] in api.public_keys:
            live[token.id] = token
    if broken:
        terminal.note(f"skipped lines of {path()} that are no entries, perhaps because a command was killed: {broken}")
    by_end = sorted(live.values(), key=lambda token: (token.expires, token.id))
    return Tokens(provider, instance, tenant, by_end, broken, terminal)


def _of_entry(token_id: str, expires: str, name: object) -> LiveToken | None:
    try:
        end = instant(expires)
    except ValueError:
        return None
    return LiveToken(token_id, end, str(name) if name else None) if is_token_id(token_id) else None


@dataclass(frozen=True)
class Decision:
    """Whether the tokens of a removed tenant are revoked. `alone`: the tenant has a stack of its own."""

    tokens: Tokens
    revoke: bool
    alone: bool = False

    def write(self, file: StackFile) -> None:
        """Add them to the revoked tokens of the instance's file, if so decided. Entries of expired tokens are removed."""
        if self.revoke:
            listed = file.revoked_tokens()
            prune(listed, time.time())
            listed |= {token.id: format_rfc3339(token.expires) for token in self.tokens.live}
            file.set_revoked_tokens(listed)

    def tell(self) -> None:
        """Report the result."""
        if self.revoke:
            self.tokens.terminal.note(f"{self.tokens.sentence('is revoked', 'are revoked')}.")
        elif self.tokens.live:
            stays = self.tokens.sentence("stays valid, and opens", "stay valid, and open")
            whose = f"The administrator of {self.tokens.instance} revokes" if self.alone else "To revoke"
            self.tokens.terminal.note(
                f"Warning: {stays} any later tenant of this name. {whose}: {self.tokens.revocation(anywhere=self.alone)}"
            )

    def plain(self) -> list[dict[str, Any]]:
        """Return the tokens in the form of `--json`."""
        return self.tokens.plain(revoked=self.revoke)


def decide(
    tokens: Tokens, answer: Answer | None, *, yes: bool, alone: bool, read: Callable[[str], StackFile]
) -> Decision:
    """List the tokens, and ask whether to revoke them unless an option or `yes` decides.

    Raises `UserError` where they cannot be revoked. That is so if the tenant has a stack of its own, or if the list is full
    or partly unreadable. `read` returns a new copy of an instance's stack file.
    """
    if answer == "revoke" and tokens.unread:
        raise UserError(
            f"--revoke-tokens: {tokens.unread} lines of {path()} cannot be read. A token of {tokens.tenant} may be among them and "
            "would stay valid. Repair or remove these lines, or use --keep-tokens and revoke tokens by their ids"
        )
    if not tokens.live:
        if yes or answer == "revoke":
            tokens.terminal.note(
                f"No live token of {tokens.tenant} is known on this machine; tokens made elsewhere stay valid."
            )
        return Decision(tokens, revoke=False, alone=alone)
    valid = tokens.sentence("is valid and was issued here", "are valid and were issued here")
    tokens.terminal.note(f"{valid}:\n{tokens.listed()}")
    if alone and answer == "revoke":
        raise UserError(
            f"{tokens.tenant} has a stack of its own, so its removal does not edit the file of {tokens.instance}, which lists "
            f"revoked tokens. Revoke them first (`{tokens.revocation(anywhere=True)}`), or use --keep-tokens"
        )
    if alone or yes or answer:
        revoke = answer == "revoke"
    else:
        question = "Revoke with this removal? (--revoke-tokens or --keep-tokens answers)"
        revoke = tokens.terminal.ask(question)
    decision = Decision(tokens, revoke, alone)
    if revoke:  # before any change, because the list may be full
        copy = read(tokens.instance)
        decision.write(copy)
        copy.check()
    return decision
