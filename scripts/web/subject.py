"""The instance that a page shows: its files, read again when they change, and the clients of its account and cluster."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from scripts.tenants.locate import own_file, settings_in_instance

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from components.config.stack import StackConfig
    from components.config.tenant import TenantSettings
    from scripts.context.context import Context, Target

Stamp = tuple[int, int]
"""When a file was changed, in nanoseconds, and its size in bytes."""


def stamp(file: Path | os.DirEntry[str]) -> Stamp | None:
    """Return the stamp of a file; None where it has none: it is gone since the folder was read, or a link to nothing."""
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def _stamps(folder: Path, key: Callable[[str], str | None]) -> dict[str, Stamp]:
    """Return the stamps of files by what `key` makes of their names; those are left out for which it returns None.

    To make a path of each of a thousand names takes several times as long.
    """
    found: dict[str, Stamp] = {}
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            name = key(entry.name)
            if name is not None and (one := stamp(entry)) is not None:
                found[name] = one
    return found


def _is_revocations(name: str) -> bool:
    return name.startswith("revoked-tokens.") and name.endswith(".txt")


class Subject:
    """An instance of a provider. Threads may share it.

    Attributes:
        version: Grows when `settings` or `own_stacks` find that a file has changed.
    """

    def __init__(self, context: Context, provider_name: str, instance: str) -> None:
        self.context, self.provider_name, self.instance = context, provider_name, instance
        self.version = 0
        self._lock = threading.Lock()  # of what files have
        self._target_lock = threading.Lock()  # held while an account does not answer
        self._file, self._prefix = f"Pulumi.{instance}.yaml", f"Pulumi.{instance}."
        self._seen: tuple[dict[str, Stamp], dict[str, Stamp]] = ({}, {})  # what the last look has found
        self._own_stacks: Sequence[str] = ()
        self._config: StackConfig | None = None
        self._config_stamps: dict[str, Stamp] = {}  # of the files from which it was read
        self._own: dict[str, TenantSettings] = {}  # of each tenant's own file, without the defaults of the instance
        self._own_stamps: dict[str, Stamp] = {}
        self._settings: dict[str, TenantSettings] | None = None  # of all, with defaults
        self._target: Target | None = None

    def config(self) -> StackConfig:
        """Return the configuration of the instance; raises `UserError` where its file is missing or invalid."""
        with self._lock:
            return self._read_config(self._look_at_config())

    def settings(self) -> Mapping[str, TenantSettings]:
        """Return the settings of all tenants of all files, `system` among them; raises as `config` does.

        A thousand files take half a second to read, so only changed ones are read again.
        """
        with self._lock:
            of_config, of_tenants = self._look()
            config = self._read_config(of_config)
            if self._settings is None or of_tenants != self._own_stamps:
                own = {tenant: self._own_settings(tenant, one) for tenant, one in of_tenants.items()}
                settings = settings_in_instance(config) | self._with_defaults(own, config.tenant_defaults)
                self._own, self._own_stamps, self._settings = own, of_tenants, settings
            return self._settings

    def own_stacks(self) -> Sequence[str]:
        """Return the tenants with stacks of their own, sorted."""
        with self._lock:
            self._look()
            return self._own_stacks

    def _look(self) -> tuple[dict[str, Stamp], dict[str, Stamp]]:
        """Return the stamps of the files that configure the instance, and those of tenants' own files by tenant."""
        found = self._look_at_config(), _stamps(self.context.stacks, self._tenant_of)
        if found != self._seen:
            self._seen, self._own_stacks = found, tuple(sorted(found[1]))
            self.version += 1
        return found

    def _look_at_config(self) -> dict[str, Stamp]:
        """Return the stamps of the files that configure the instance, by name. It costs less than a look at all files."""
        return _stamps(self.context.stacks, lambda name: name if name == self._file or _is_revocations(name) else None)

    def _tenant_of(self, name: str) -> str | None:
        """Return the tenant to which a file belongs; None for another file."""
        is_own = name.startswith(self._prefix) and name.endswith(".yaml") and name != self._file
        return name.split(".")[2] if is_own else None

    def _read_config(self, stamps: dict[str, Stamp]) -> StackConfig:
        """Return the configuration. A file with a thousand tenants takes a fifth of a second to read, so only a changed one is."""
        if self._config is None or stamps != self._config_stamps:
            config = self.context.require_file(self.instance).config()
            self._config, self._config_stamps, self._settings = config, stamps, None
        return self._config

    def _own_settings(self, tenant: str, one: Stamp) -> TenantSettings:
        if self._own_stamps.get(tenant) == one:
            return self._own[tenant]
        return own_file(self.context, self.instance, tenant).tenant_stack().settings

    def _with_defaults(self, own: Mapping[str, TenantSettings], defaults: TenantSettings) -> dict[str, TenantSettings]:
        """Return the settings of tenants with stacks of their own; those that have not changed since the last time are kept."""
        kept = self._settings or {}
        return {
            tenant: kept[tenant] if kept and self._own.get(tenant) is one else one.with_defaults(defaults)
            for tenant, one in own.items()
        }

    def target(self) -> Target:
        """Return the instance with its clients, which are made once, for reads.

        Raises `UserError` where it does not answer.
        """
        config = self.config()
        with self._target_lock:
            if self._target is None:
                self._target = self.context.hurried().target(self.provider_name, self.instance, config)
            return self._target

    def forget_target(self) -> None:
        """Make the clients anew at their next use, after an error: credentials may have expired."""
        with self._target_lock:
            self._target = None
