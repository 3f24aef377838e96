"""`ta-create-keypair` and `ta-create-token`: what an administrator does without any cloud."""

from collections.abc import Sequence
from pathlib import Path

import click

from components.access import Scope
from components.errors import UserError
from components.keys import MAXIMUM_BITS, MINIMUM_BITS
from components.names import SYSTEM, doubles, instance_name_problem, tenant_name_problem
from scripts.durations import Duration, Moment
from scripts.keyfiles import KEY_BITS, read_key_pair, write_key_pair, write_secret
from scripts.ledger import issued
from scripts.passphrase import PASSPHRASE_FILE, of_new_key, reader
from scripts.scopes import SCOPE
from scripts.signing import Grant, Signer

NAME_LENGTH = 100


EXPIRES_IN = click.option(
    "--expires-in", "seconds", type=Duration(), default="1y", show_default=True, help="Life: 12h, 90d, 1y; 10y at most."
)

BITS = click.option(
    "--bits",
    type=click.IntRange(MINIMUM_BITS, MAXIMUM_BITS),
    default=KEY_BITS,
    show_default=True,
    help="Size of the key.",
)


@click.command(short_help="Make a key pair in a new file.")
@click.argument("keypair_file", type=click.Path(path_type=Path))
@BITS
@click.option("--encrypt", is_flag=True, help="Ask for a passphrase, and encrypt the file with it.")
@PASSPHRASE_FILE
def ta_create_keypair(keypair_file: Path, bits: int, encrypt: bool, passphrase_file: Path | None) -> None:
    """Make an RSA key pair in a new file KEYPAIR_FILE that only you can read.

    Where a passphrase is given, by a file or the environment, the key pair is encrypted with it.
    """
    write_key_pair(keypair_file, bits, of_new_key(keypair_file, passphrase_file, ask=encrypt))


@click.command(short_help="Print a token for a tenant.")
@click.argument("instance")
@click.argument("tenant", metavar="TENANT[,TENANT...]")
@click.argument("keypair_file", type=click.Path(path_type=Path))
@EXPIRES_IN
@SCOPE
@click.option("--not-before", type=Moment(), help="When it becomes valid: an instant (RFC 3339), or 12h from now.")
@click.option("--name", help="What it is for, in your own words; stands in the list of issued tokens.")
@click.option("--count", type=click.IntRange(1, 100_000), default=1, help="How many for each tenant.")
@click.option("--out-dir", type=click.Path(path_type=Path), help="Write files into this folder instead, a token each.")
@PASSPHRASE_FILE
@click.option("--no-ledger", is_flag=True, help="Leave it out of the list that `ta-tokens-list` prints.")
def ta_create_token(
    instance: str,
    tenant: str,
    keypair_file: Path,
    seconds: int,
    scopes: tuple[Scope, ...] | None,
    not_before: int | None,
    name: str | None,
    count: int,
    out_dir: Path | None,
    passphrase_file: Path | None,
    no_ledger: bool,
) -> None:
    """Print a token with which clients reach TENANT of INSTANCE, signed with the key pair in KEYPAIR_FILE.

    Several tokens, of several tenants or by --count, go into files of --out-dir: INSTANCE-TENANT.jwt, or with a
    number at the end. Without --scope a token opens everything of its tenant.
    """
    tenants = tenant.split(",")
    check_names(instance, tenants, name)
    if out_dir is None and len(tenants) * count > 1:
        raise UserError(
            f"{len(tenants) * count} tokens do not go to one output: --out-dir FOLDER takes a file for each"
        )
    grants = [Grant(instance, each, seconds, scopes, not_before, name) for each in tenants for _ in range(count)]
    if not_before is not None and not_before >= grants[0].expires:
        raise UserError(
            "--not-before is later than the token's end (--expires-in counts from now): it would never be valid"
        )
    files = [] if out_dir is None else _free_files(out_dir, instance, tenants, count)
    signer = Signer(read_key_pair(keypair_file, reader(passphrase_file)))
    made = [signer.token(grant) for grant in grants] if no_ledger else issued(signer, grants)
    if out_dir is None:
        click.echo(made[0], nl=False)
    for file, token in zip(files, made, strict=False):
        write_secret(file, token.encode())


def check_names(instance: str, tenants: Sequence[str], name: str | None) -> None:
    """Raise `UserError` with everything that is wrong with the names."""
    problems = [instance_name_problem(instance)]
    problems += [tenant_name_problem(tenant) for tenant in tenants if tenant != SYSTEM]
    twice = doubles(tenants)
    problems += [f"tenant given more than once: {', '.join(twice)}"] if twice else []
    if name is not None and not (0 < len(name) <= NAME_LENGTH and name.isprintable()):
        problems.append(f"--name {name!r}: must be 1 to {NAME_LENGTH} characters that can be printed")
    found = [problem for problem in problems if problem]
    if found:
        raise UserError("; ".join(found))


def _free_files(folder: Path, instance: str, tenants: Sequence[str], count: int) -> list[Path]:
    """Return the files for a batch, none of which is there; the folder is made where it is not.

    Raises `UserError` before anything is signed.
    """
    ends = [""] if count == 1 else [f"-{number:0{len(str(count))}}" for number in range(1, count + 1)]
    files = [folder / f"{instance}-{tenant}{end}.jwt" for tenant in tenants for end in ends]
    taken = [file for file in files if file.exists()]
    if taken:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UserError(f"{taken[0]}{more} is there already and is not overwritten; name another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return files
