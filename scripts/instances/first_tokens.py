"""The token files of `create` in the current folder, and the checks before it replaces those of an earlier `create`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from components.core.errors import TokenError, UserError
from components.core.names import token_audience
from scripts.tokens import issued
from scripts.tokens.key_files import write_secret
from scripts.tokens.parse import Token, read_token
from scripts.tokens.signing import Grant, Signer
from scripts.tokens.verify import signature_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scripts.stackfile.file import StackFile


def token_file(tenant: str) -> Path:
    """Return the file that `create` writes a tenant's token to, in the current folder."""
    return Path(f"tenant-api-token-{tenant}")


def write_first_tokens(signer: Signer, instance: str, tenants: list[str]) -> None:
    """Write a token file for each tenant. Files of an earlier `create` are replaced; `earlier_keys` has checked them."""
    tokens = issued.issued(
        signer, [Grant(instance=instance, tenant=tenant, name=_purpose(instance)) for tenant in tenants]
    )
    for tenant, token in zip(tenants, tokens, strict=True):
        token_file(tenant).unlink(missing_ok=True)
        write_secret(token_file(tenant), token.encode())


def earlier_keys(tenants: Iterable[str], file: StackFile) -> set[str]:
    """Return the ids of the trusted keys of an earlier `create`, by its token files in the current folder.

    The claims in a file are no proof. A trusted key must have signed its token, and the ledger of issued tokens must name
    `create` as its maker. Raises `UserError` where a file is something else, which would be lost.
    """
    pems, kids = file.config().data_api.pems, set()
    for path in filter(Path.exists, map(token_file, tenants)):
        token = _earlier_token(path, file.instance)
        if token.kid not in pems:
            continue  # the instance refuses the token, so it may be overwritten
        problem = signature_problem(token, pems)
        if problem:
            raise UserError(
                f"{path} exists and states that it is a token of {file.instance}, but {problem}. It would be "
                "overwritten; move it away, or run this in another folder"
            )
        if not _is_made_by_create(token, file.instance):
            raise UserError(
                f"{path} exists, and {file.instance} accepts it, but the ledger of issued tokens, {issued.path()}, does not have "
                "it as made by `create`. It would be overwritten; move it away, or run this in another folder. The key "
                f"{token.kid} then stays trusted"
            )
        kids.add(token.kid)
    return kids


def _earlier_token(path: Path, instance: str) -> Token:
    """Return the token in a file, not verified; raises `UserError` where it is no token of the instance."""
    try:
        token = read_token(path.read_text())
        if token.claims.get("aud") == token_audience(instance):
            return token
    except (TokenError, UnicodeDecodeError):
        pass
    raise UserError(
        f"{path} exists and is no token of {instance}: it would be overwritten; move it away, or run this in another folder"
    )


def _is_made_by_create(token: Token, instance: str) -> bool:
    """Tell whether the ledger of issued tokens has the token as one that `create` made for the instance."""
    fields = {"id": token.text_of("jti"), "instance": instance, "key": token.kid, "name": _purpose(instance)}
    return any(all(entry.get(name) == value for name, value in fields.items()) for entry in issued.entries()[0])


def _purpose(instance: str) -> str:
    return f"create {instance}"
