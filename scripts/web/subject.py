"""The instance that a page shows: its files, read again when they change, and the clients of its account and cluster."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from components.config.stack import stack_name
from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.locate import own_file, settings_in_instance

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from components.config.stack import StackConfig
    from components.config.tenant import TenantSettings
    from scripts.context.context import Context, Target


Stamp = tuple[int, int]
"""When a file was changed, in nanoseconds, and its size in bytes."""


def _stamp(file: Path) -> Stamp | None:
    """Return the stamp of a file; None where it is gone since the folder was read, and for a link to nothing."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size


class Subject:
    """An instance of a provider. Threads may share it."""

    def __init__(self, context: Context, provider_name: str, instance: str) -> None:
        self.context, self.provider_name, self.instance = context, provider_name, instance
        self._lock = threading.Lock()  # of what files have
        self._target_lock = threading.Lock()  # held while an account does not answer
        self._config: StackConfig | None = None
        self._config_stamps: dict[str, Stamp] = {}  # of the files from which it was read
        self._own: dict[str, TenantSettings] = {}  # of each tenant's own file, without the defaults of the instance
        self._own_stamps: dict[str, Stamp] = {}
        self._settings: dict[str, TenantSettings] | None = None  # of all, with defaults
        self._target: Target | None = None

    def config(self) -> StackConfig:
        """Return the configuration of the instance; raises `UserError` where its file is missing or invalid."""
        with self._lock:
            return self._read_config()

    def settings(self) -> Mapping[str, TenantSettings]:
        """Return the settings of all tenants of all files, `system` among them; raises as `config` does.

        A thousand files take half a second to read, so only changed ones are read again.
        """
        with self._lock:
            config = self._read_config()
            stamps = {tenant: stamp for tenant in self.own_stacks() if (stamp := self._own_stamp(tenant))}
            if self._settings is None or stamps != self._own_stamps:
                self._own = {tenant: self._own_settings(tenant, stamp) for tenant, stamp in stamps.items()}
                self._own_stamps = stamps
                own = {tenant: one.with_defaults(config.tenant_defaults) for tenant, one in self._own.items()}
                self._settings = settings_in_instance(config) | own
            return self._settings

    def own_stacks(self) -> list[str]:
        """Return the tenants with stacks of their own."""
        return own_stack_tenants(self.context.stacks, self.instance)

    def _read_config(self) -> StackConfig:
        """Return the configuration. A file with a thousand tenants takes a fifth of a second to read, so only a changed one is."""
        folder = self.context.stacks
        files = [*folder.glob(f"Pulumi.{self.instance}.yaml"), *folder.glob("revoked-tokens.*.txt")]
        stamps = {file.name: stamp for file in files if (stamp := _stamp(file))}
        if self._config is None or stamps != self._config_stamps:
            config = self.context.require_file(self.instance).config()
            self._config, self._config_stamps, self._settings = config, stamps, None
        return self._config

    def _own_stamp(self, tenant: str) -> Stamp | None:
        return _stamp(self.context.stacks / f"Pulumi.{stack_name(self.instance, tenant)}.yaml")

    def _own_settings(self, tenant: str, stamp: Stamp) -> TenantSettings:
        if self._own_stamps.get(tenant) == stamp:
            return self._own[tenant]
        return own_file(self.context, self.instance, tenant).tenant_stack().settings

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
