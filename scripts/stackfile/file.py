"""Stack files: settings read and changed in memory, checked, compared and written."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock
from ruamel.yaml.comments import CommentedMap

from components.config.load import TenantStack, from_settings, tenant_stack
from components.config.stack import PREFIX, StackConfig
from components.core.errors import UserError
from components.core.scopes import UNLIMITED, KeyLimits, limits_as_settings
from components.core.timestamps import format_rfc3339
from localcloud.folders import state_folder
from scripts.stackfile import revoked_tokens
from scripts.stackfile.document import Document, comparable, literal, quoted, round_trip
from scripts.stackfile.engine_view import project_defaults
from scripts.stackfile.environment_size import check_size
from scripts.stackfile.texts import TextFile

__all__ = [
    "ROOT",
    "STACKS",
    "StackFile",
    "key_entry",
    "literal",
    "own_stack_tenants",
    "quoted",
    "require",
    "round_trip",
    "to_edit",
]

ROOT = Path(__file__).parent.parent.parent
STACKS = ROOT / "stacks"
# The keys in which the engine records how it encrypts secrets, beside `config`.
SECRETS_PROVIDER, ENCRYPTED_KEY, SALT = "secretsprovider", "encryptedkey", "encryptionsalt"


class StackFile:
    """`Pulumi.<instance>.yaml` in `folder`, changed in memory until `write`."""

    def __init__(self, instance: str, folder: Path = STACKS) -> None:
        self.instance = instance
        self.path = folder / f"Pulumi.{instance}.yaml"
        self.list_path = revoked_tokens.list_path(folder, instance)
        self._file = TextFile(self.path)
        self._list = revoked_tokens.ListFile(self.list_path)
        self._document = Document(self.path, self._file.text, project_defaults(folder))
        self._settings_on_disk = None if self._file.text is None else comparable(self.settings())

    def exists(self) -> bool:
        """Tell whether the file exists."""
        return self.path.exists()

    @property
    def owner(self) -> str:
        """The instance to which this stack belongs, itself or as the stack of a tenant."""
        return self.instance.split(".")[0]

    @property
    def is_tenants(self) -> bool:
        """Whether this is the stack of one tenant."""
        return "." in self.instance

    def settings(self) -> dict[str, Any]:
        """Return the settings under `opstrace:`, without that prefix, as plain values."""
        return self._document.settings()

    @property
    def section(self) -> Any:
        """The mapping of all settings itself, with prefixes in their names, to be changed in place."""
        return self._document.section

    def key(self, name: str) -> str:
        """Return the key of `opstrace:<name>` in `section`, which may have it without the prefix."""
        return self._document.key(name)

    def entry(self, name: str) -> Any:
        """Return the value of `opstrace:<name>` itself, to be changed in place."""
        value = self._document.to_edit(name)
        if value is None:
            raise KeyError(PREFIX + name)
        return value

    def set(self, name: str, value: Any) -> None:
        """Set `opstrace:<name>` to a value."""
        self.section[self.key(name)] = literal(value)

    def part(self, name: str) -> Any:
        """Return the mapping `opstrace:<name>` itself, to be changed in place; it is created if missing."""
        mapping = self._document.to_edit(name)
        if mapping is None and self.key(name) not in self.section:
            mapping = self.section[self.key(name)] = CommentedMap()
        return self._document.require_mapping(mapping, f"{PREFIX}{name}:")

    def public_keys(self) -> Any:
        """Return the mapping of key ids to PEM texts or `key_entry`s itself, to be changed in place."""
        mapping = self.part("dataApi").setdefault("publicKeys", CommentedMap())
        return self._document.require_mapping(mapping, f"{PREFIX}dataApi.publicKeys:")

    def revoked_tokens(self) -> dict[str, str]:
        """Return a copy of the list of revoked tokens, ids to ends, from this file or from its own."""
        self._list.begin()
        value = self._document.require_mapping(self.settings().get("dataApi", {}), f"{PREFIX}dataApi:")
        value = value.get(revoked_tokens.FIELD, {})
        if isinstance(value, str):
            listed = self.config().data_api.revoked_tokens
            return {token_id: format_rfc3339(end) for token_id, end in listed.items()}
        mapping = self._document.require_mapping(value, f"{PREFIX}dataApi.{revoked_tokens.FIELD}:")
        return {str(key): str(end) for key, end in mapping.items()}

    def set_revoked_tokens(self, listed: Mapping[str, str]) -> None:
        """Replace the list of revoked tokens, ids to ends. `write` writes a long list into a file of its own."""
        self._list.begin()
        text = revoked_tokens.replace(self.part("dataApi"), listed, self.list_path)
        if text is not None:
            self._list.text = text

    def secrets(self) -> dict[str, str]:
        """Return what the engine recorded about the stack's secrets provider, by its keys in the file."""
        found = {key: self._document.value(key) for key in (SECRETS_PROVIDER, ENCRYPTED_KEY, SALT)}
        return {key: value for key, value in found.items() if value is not None}

    @property
    def secrets_provider(self) -> str | None:
        """The stack's secrets provider: a URL, or `passphrase`; None if the file has none, as with Pulumi Cloud."""
        return self._document.value(SECRETS_PROVIDER) or ("passphrase" if self._document.value(SALT) else None)

    def forget_stack(self, *, secrets_provider: bool = False) -> None:
        """Remove salt and encrypted key, which are of no use without the stack; with `secrets_provider`, its URL too."""
        for key in (SALT, ENCRYPTED_KEY, *((SECRETS_PROVIDER,) if secrets_provider else ())):
            self._document.drop(key)

    def config(self) -> StackConfig:
        """Return the typed configuration; raises `ConfigError` with every problem."""
        check_size(self.path, self.settings())
        return from_settings(self.settings(), self.instance, self._read)

    def tenant_stack(self) -> TenantStack:
        """Return the typed configuration of a tenant's own stack; raises `ConfigError` with every problem."""
        return tenant_stack(self.settings(), self.instance)

    def check(self) -> None:
        """Raise `ConfigError` with every problem of the file, which is an instance's or a tenant's."""
        if self.is_tenants:
            self.tenant_stack()
        else:
            self.config()

    def _read(self, name: str) -> str:
        """Return the text that a file beside this one will have after `write`."""
        if name == self.list_path.name and self._list.text is not None:
            return self._list.text
        return (self.path.parent / name).read_text("utf-8")

    def require_editable(self) -> None:
        """Raise `UserError` if aliases or merge keys let an edit change more, or less, than intended."""
        alias = self._document.alias_among_settings()
        if alias:
            raise UserError(
                f"{self.path.name} is not edited: line {alias.line} takes a value from another place (`{alias.text}`). An "
                "edit could change that place too, or nothing; write the value out where it is used, then run this again"
            )

    def text(self) -> str:
        """Return the text that `write` writes."""
        return self._document.text()

    def difference(self) -> str:
        """Return the changes that `write` makes as a unified diff, of a long list too; empty if there are none."""
        return self._file.difference(self.text()) + self._list.difference()

    def changes(self) -> dict[str, str]:
        """Return the changes to the file since it was read, as a unified diff by its name; empty if there are none."""
        differences = {self.path.name: self._file.change(), self.list_path.name: self._list.change()}
        return {name: difference for name, difference in differences.items() if difference}

    def write(self) -> None:
        """Replace the file, and the file of revoked tokens if it changed. Each is replaced atomically.

        Raises `UserError` if another program changed the file since it was read, or if the new text would not read
        back as the settings.
        """
        if comparable(self.settings()) != self._settings_on_disk:
            self.require_editable()
        text = self.text()
        misread = self._document.misread_settings(text)
        if misread:
            raise UserError(
                f"{self.path.name} is not written: after this edit, {', '.join(PREFIX + name for name in misread)} would "
                "read back as another value; edit the file by hand"
            )
        with self._locked():
            self.require_unchanged()
            self._list.write()
            self._file.write(text)
        self._settings_on_disk = comparable(self.settings())

    def require_unchanged(self) -> None:
        """Raise `UserError` if another program changed the file, or a long list to write, since it was read."""
        for path, file in ((self.path, self._file), (self.list_path, self._list)):
            if file.has_changed():
                raise UserError(f"{path.name} was changed by another program, and is not written. Run this again")

    def _locked(self) -> FileLock:
        """Return the lock of this file's writers: of two commands that run at once, the second sees the first's edit."""
        locks = state_folder() / "stack-files"
        locks.mkdir(parents=True, exist_ok=True, mode=0o700)
        name = hashlib.sha256(str(self.path.resolve()).encode()).hexdigest()[:16]
        return FileLock(locks / f"{name}.lock", mode=0o600, fallback_to_soft=False)

    def remove(self) -> None:
        """Delete the file and the file of revoked tokens."""
        self.path.unlink()
        self.list_path.unlink(missing_ok=True)


def require(instance: str, folder: Path = STACKS) -> StackFile:
    """Return the stack file of an instance in `folder`; raises `UserError` if it does not exist."""
    file = StackFile(instance, folder)
    if not file.exists():
        paths = folder.glob("Pulumi.*.yaml")
        instances = sorted({path.name.split(".")[1] for path in paths if "example" not in path.name})
        remedy = f"there are {', '.join(instances)}" if instances else "`./opstrace create` creates one"
        raise UserError(f"there is no instance {instance}: {file.path.name} is not in stacks/; {remedy}")
    return file


def own_stack_tenants(folder: Path, instance: str) -> list[str]:
    """Return the tenants of an instance that have a stack file of their own in `folder`, sorted."""
    return sorted(path.name.split(".")[2] for path in folder.glob(f"Pulumi.{instance}.*.yaml"))


def to_edit(instance: str, folder: Path = STACKS) -> StackFile:
    """Return the stack file of an instance as `require` does; raises `UserError` also if it cannot be edited."""
    file = require(instance, folder)
    file.require_editable()
    return file


def key_entry(pem: str, limits: KeyLimits) -> Any:
    """Return a public key's entry in a stack file: its PEM text, or a mapping of that text and its limits."""
    if limits == UNLIMITED:
        return literal(pem + "\n")
    entry = literal({"pem": pem + "\n"} | limits_as_settings(limits))
    if limits.not_after is not None:
        entry["notAfter"] = quoted(format_rfc3339(limits.not_after))
    return entry
