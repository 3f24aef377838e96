"""`ta-inspect-token`: what a token is for, and whether an instance would accept it."""

import sys
import time
from pathlib import Path

import click

from components.errors import TokenError, UserError
from scripts.acceptance import in_words, refusals
from scripts.placing import own_files
from scripts.providers import PROVIDERS
from scripts.stackfile import require
from scripts.token_reader import LONGEST, Token, looks_like_token, read_token

AUDIENCE, SUBJECT = "opstrace-cluster-", "tenant-"


@click.command(short_help="Say in words what a token is for.")
@click.argument("file", default="-")
@click.argument("provider_name", metavar="[PROVIDER", required=False, type=click.Choice(PROVIDERS))
@click.argument("instance", metavar="INSTANCE]", required=False)
def ta_inspect_token(file: str, provider_name: str | None, instance: str | None) -> None:
    """Say what the token in FILE is for, until when, and signed by which key; `-` is standard input.

    With PROVIDER and INSTANCE also whether that instance accepts it, by its stack's file as it is now; the command
    fails where it does not. A token is never given as an argument: other users would see it in the process list.
    """
    if provider_name and not instance:
        raise click.UsageError("name the INSTANCE too")
    token = token_in(file)
    for name, words in _words(token, time.time()).items():
        click.echo(f"{name + ':':<13}{words}")
    if instance:
        config = require(instance).config()
        found = refusals(token, config, instance, time.time(), own_files(instance))
        if found:
            raise UserError(f"{instance} refuses this token: {'; '.join(found)}")
        words = "accepts it" if config.data_api.authentication else "looks at no token (authentication: false)"
        click.echo(f"{instance} {words}, as far as stacks/Pulumi.{instance}.yaml is applied")


def token_in(file: str) -> Token:
    """Return the token in a file, or in standard input (`-`); raises `TokenError`, which never shows any of it."""
    if looks_like_token(file):
        raise TokenError(
            "that is a token itself: others may have seen it in the process list, and it is in your shell's history; "
            "put it into a file that only you can read, and name that"
        )
    try:
        text = sys.stdin.read(2 * LONGEST) if file == "-" else Path(file).read_bytes()[: 2 * LONGEST].decode()
    except OSError as error:
        raise TokenError(f"{file}: {error.strerror}") from error
    except ValueError:
        raise TokenError(f"{file}: no token, but something that is no text") from None
    try:
        return read_token(text)
    except TokenError as error:
        raise TokenError(f"{'standard input' if file == '-' else file}: {error}") from None


def _words(token: Token, now: float) -> dict[str, str]:
    """Return what the token says of itself, by the name of each line."""
    audience, subject = token.text_of("aud") or "", token.text_of("sub") or ""
    scope = token.claims.get("scope", "everything of its tenant, for it has no scope")
    start, issued = token.seconds_of("nbf"), token.seconds_of("iat")
    return {
        "tenant": repr(subject.removeprefix(SUBJECT)) if subject.startswith(SUBJECT) else f"none (sub {subject!r})",
        "instance": repr(audience.removeprefix(AUDIENCE))
        if audience.startswith(AUDIENCE)
        else f"none (aud {audience!r})",
        "allows": scope if isinstance(scope, str) and scope.isprintable() else repr(scope),
        "issued": "unknown" if issued is None else in_words(issued),
        **({} if start is None else {"valid from": in_words(start)}),
        "valid until": _end(token.seconds_of("exp"), now),
        "id": repr(token.claims["jti"]) if "jti" in token.claims else "none: it can be taken back with its key alone",
        "signed by": f"key {token.kid!r}, by its own word, with {token.header.get('alg')!r}",
    }


def _end(expires: int | None, now: float) -> str:
    if expires is None:
        return "for ever: no instance accepts that"
    days = abs(expires - now) / 86_400
    return f"{in_words(expires)} ({f'in {days:.0f} days' if expires > now else f'{days:.0f} days ago'})"
