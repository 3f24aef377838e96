"""`ta-create-keypair` and `ta-create-token`: what an administrator does without any cloud."""

import time
from pathlib import Path

import click
import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from components.errors import UserError
from components.keys import TOKEN_ISSUER, key_id
from components.names import SYSTEM, instance_name_problem, tenant_name_problem, token_audience, token_subject
from scripts.keyfiles import read_key_pair, write_key_pair

TOKEN_SECONDS = 315_576_000  # the original's life: 10 years of 365.25 days


def sign(key: RSAPrivateKey, instance: str, tenant: str, *, now: int | None = None) -> str:
    """Return a tenant API token: a JWT signed with RS256 (RFC 7519). `now` is in seconds since the epoch."""
    issued = int(time.time()) if now is None else now
    claims = {
        "iat": issued,
        "exp": issued + TOKEN_SECONDS,
        "aud": token_audience(instance),
        "iss": TOKEN_ISSUER,
        "sub": token_subject(tenant),
    }
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": key_id(key.public_key())})


@click.command(short_help="Make a key pair in a new file.")
@click.argument("keypair_file", type=click.Path(path_type=Path))
def ta_create_keypair(keypair_file: Path) -> None:
    """Make an RSA key pair in a new file KEYPAIR_FILE that only you can read."""
    write_key_pair(keypair_file)


@click.command(short_help="Print a token for a tenant.")
@click.argument("instance")
@click.argument("tenant")
@click.argument("keypair_file", type=click.Path(path_type=Path))
def ta_create_token(instance: str, tenant: str, keypair_file: Path) -> None:
    """Print a token with which clients reach TENANT of INSTANCE, signed with the key pair in KEYPAIR_FILE."""
    problems = [instance_name_problem(instance), None if tenant == SYSTEM else tenant_name_problem(tenant)]
    found = [problem for problem in problems if problem]
    if found:
        raise UserError("; ".join(found))
    click.echo(sign(read_key_pair(keypair_file), instance, tenant), nl=False)
