"""Making tokens: one, or a batch, into new files or for standard output."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.core.errors import UserError
from components.core.scopes import Scope
from scripts.tokens.issued import issued
from scripts.tokens.key_files import read_key_pair, write_secret
from scripts.tokens.signing import Grant, Signer, check_names
from scripts.ui.regular_files import reason


@dataclass(frozen=True)
class Output:
    """Where tokens go: a new file, a folder with a file for each, or neither."""

    file: Path | None = None
    folder: Path | None = None

    def require_room(self, count: int) -> None:
        """Raise `UserError` where `count` tokens cannot go to this output."""
        if self.file and self.folder:
            raise UserError("--out and --out-dir exclude each other; give one of them")
        if self.folder is None and count > 1:
            raise UserError(f"{count} tokens do not go to one output: --out-dir FOLDER takes a file for each")

    def free_files(self, instance: str, tenants: Sequence[str], count: int) -> list[Path]:
        """Return the new files, `count` for each tenant; none for standard output. The folder is created.

        Raises `UserError` before anything is signed, where a file exists or cannot be made.
        """
        if self.folder:
            return _free_files(self.folder, instance, tenants, count)
        return _free_file(self.file) if self.file else []


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Equal tokens, `count` for each of the tenants; the other fields are those of `Grant`."""

    instance: str
    tenants: Sequence[str]
    count: int
    seconds: int
    scopes: tuple[Scope, ...] | None = None
    not_before: int | None = None
    name: str | None = None

    def grants(self) -> list[Grant]:
        """Return the grants of the tokens, tenant by tenant; raises `UserError` where they would never be valid."""
        grants = [
            Grant(
                instance=self.instance,
                tenant=tenant,
                seconds=self.seconds,
                scopes=self.scopes,
                not_before=self.not_before,
                name=self.name,
            )
            for tenant in self.tenants
            for _ in range(self.count)
        ]
        if self.not_before is not None and self.not_before >= grants[0].expires:
            raise UserError(
                "--not-before is later than the token's end (--expires-in counts from now): it would never be valid"
            )
        return grants


def create_tokens(
    batch: Batch, output: Output, keypair_file: Path, passphrase: Callable[[Path], bytes], *, ledger: bool
) -> str | None:
    """Sign the tokens of a batch and write them to the output; return the token where it goes to no file.

    `passphrase` is called where the key pair is encrypted. With `ledger`, the ledger of issued tokens gets an entry for
    each token before anybody has it. Raises `UserError` before anything is signed where a name is invalid, where a token
    would never be valid, or where the output cannot take the tokens.
    """
    check_names(batch.instance, batch.tenants, batch.name)
    output.require_room(len(batch.tenants) * batch.count)
    grants = batch.grants()
    files = output.free_files(batch.instance, batch.tenants, batch.count)
    signer = Signer(read_key_pair(keypair_file, passphrase))
    tokens = issued(signer, grants) if ledger else [signer.token(grant) for grant in grants]
    for file, token in zip(files, tokens, strict=False):
        write_secret(file, token.encode())
    return None if files else tokens[0]


def _free_file(file: Path) -> list[Path]:
    if file.exists() or file.is_symlink():
        raise UserError(f"{file} exists already and is not overwritten; name another file, or move it away")
    if not file.parent.is_dir():
        raise UserError(f"{file} cannot be written: there is no folder {file.parent}; make it, or name another file")
    return [file]


def _free_files(folder: Path, instance: str, tenants: Sequence[str], count: int) -> list[Path]:
    suffixes = [""] if count == 1 else [f"-{number:0{len(str(count))}}" for number in range(1, count + 1)]
    files = [folder / f"{instance}-{tenant}{suffix}.jwt" for tenant in tenants for suffix in suffixes]
    taken = [file for file in files if file.exists()]
    if taken:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UserError(f"{taken[0]}{more} exists already and is not overwritten; name another folder")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made: {reason(error)}") from error
    return files
