"""The tokens of an integration: checked before a client gets them, or made for it."""

import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.config.stack import StackConfig
from components.core.errors import UserError
from components.core.names import SUBJECT_PREFIX, TENANT_PATTERN, token_subject
from components.core.scopes import SCOPES, UNLIMITED, Scope
from scripts.tokens.parse import Token, token_in
from scripts.tokens.verify import refusals


def granted_scopes(token: Token, config: StackConfig) -> tuple[Scope, ...]:
    """Return the scopes that a token has, within the limits of its key."""
    own = {*SCOPES} if "scope" not in token.claims else {*(token.text_of("scope") or "").split(" ")}
    limits = config.data_api.limits.get(token.kid or "", UNLIMITED).scopes
    return tuple(scope for scope in SCOPES if scope in own and (limits is None or scope in limits))


def tokens_by_tenant(files: Sequence[Path], tenants: Sequence[str]) -> dict[str, tuple[Path, Token]]:
    """Return the token file of each tenant and its token, by the subjects of the tokens.

    Raises `UserError` where a tenant has no token, or two, and for a token of any other tenant.
    """
    found: dict[str, tuple[Path, Token]] = {}
    for file in files:
        token = token_in(str(file))
        subject = token.text_of("sub") or ""
        tenant = subject.removeprefix(SUBJECT_PREFIX)
        if subject != token_subject(tenant) or tenant not in tenants:
            # Nobody has verified the token yet: its subject may be anything.
            is_name = subject == token_subject(tenant) and re.fullmatch(TENANT_PATTERN, tenant)
            owner = tenant if is_name else f"the subject {subject!r}"
            raise UserError(
                f"{file} is a token of {owner}, but this integration is for {', '.join(tenants)}; name a token of that tenant"
            )
        if tenant in found:
            raise UserError(f"{found[tenant][0]} and {file} are both tokens of {tenant}; name one of them")
        found[tenant] = (file, token)
    missing = [tenant for tenant in tenants if tenant not in found]
    if missing:
        raise UserError(
            f"there is no token for {', '.join(missing)}; name its file with --token-file, or use --create-token KEYPAIR_FILE"
        )
    return found


def require_readable(tokens: Mapping[str, tuple[Path, Token]], program: str, *, bare: bool) -> None:
    """Raise `UserError` for a token file with white space that a client would take for a part of the token.

    Clients drop white space behind the token, except where the file must be `bare`.
    """
    for file, token in tokens.values():
        content, text = file.read_bytes(), token.text.encode()
        if not content.startswith(text) or (bare and content != text):
            raise UserError(
                f"{file} has a line break or a blank {'beside' if bare else 'before'} the token, which {program} takes for a "
                "part of it; write the token alone into the file"
            )


def require_accepted(  # noqa: PLR0913 the tokens, and what they must fit
    tokens: Mapping[str, tuple[Path, Token]],
    needed: Sequence[Scope],
    config: StackConfig,
    instance: str,
    *,
    alone: Sequence[str],
    key_pair: Path | None = None,
) -> None:
    """Raise `UserError` with every reason for which an instance refuses a token, or what the token may not do.

    `alone` are the tenants with stacks of their own. The tokens are new ones of `key_pair`, or in their files.
    """
    for file, token in tokens.values():
        problems = "; ".join(refusals(token, config, instance, time.time(), alone))
        if problems and key_pair:
            raise UserError(
                f"{instance} would refuse a token of the key pair {key_pair}: {problems}; use another key pair, or let the "
                "instance trust this one with `./opstrace ta-pubkeys-add`"
            )
        if problems:
            raise UserError(
                f"{instance} refuses the token in {file}: {problems}; name another token, or use --create-token KEYPAIR_FILE"
            )
        granted = granted_scopes(token, config) if config.data_api.authentication else SCOPES
        lacking = ", ".join(scope for scope in needed if scope not in granted)
        if lacking and key_pair:
            raise UserError(f"the key pair {key_pair} is limited to scopes without {lacking}; use another key pair")
        if lacking:
            raise UserError(
                f"the token in {file} lacks {lacking}; make one with `./opstrace ta-create-token … --scope "
                f"{','.join(needed)}`, or use --create-token KEYPAIR_FILE"
            )
