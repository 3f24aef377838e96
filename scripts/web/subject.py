"""The instance that a page shows: its files, read again when they change, and the clients of its account and cluster."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from scripts.stackfile.file import own_stack_tenants
from scripts.tenants.locate import all_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from components.config.stack import StackConfig
    from components.config.tenant import TenantSettings
    from scripts.context.context import Context, Target


class Subject:
    """An instance of a provider. Threads may share it."""

    def __init__(self, context: Context, provider_name: str, instance: str) -> None:
        self.context, self.provider_name, self.instance = context, provider_name, instance
        self._lock = threading.Lock()
        self._stamp: dict[str, tuple[int, int]] | None = None
        self._config: StackConfig | None = None
        self._settings: dict[str, TenantSettings] = {}
        self._own_stacks: list[str] = []
        self._target: Target | None = None

    def config(self) -> StackConfig:
        """Return the configuration of the instance; raises `UserError` where its file is missing or invalid."""
        return self._read()[0]

    def settings(self) -> Mapping[str, TenantSettings]:
        """Return the settings of all tenants of all files, `system` among them; raises as `config` does."""
        return self._read()[1]

    def own_stacks(self) -> list[str]:
        """Return the tenants with stacks of their own."""
        return self._read()[2]

    def _read(self) -> tuple[StackConfig, Mapping[str, TenantSettings], list[str]]:
        """Return what the files have. A thousand tenants take a second to read, so only changed files are read again."""
        with self._lock:
            stamp = self._current_stamp()
            if self._config is None or stamp != self._stamp:
                file = self.context.require_file(self.instance)
                config = file.config()
                self._settings = all_settings(self.context, file, config)
                self._own_stacks = own_stack_tenants(self.context.stacks, self.instance)
                self._config, self._stamp = config, stamp
            return self._config, self._settings, self._own_stacks

    def _current_stamp(self) -> dict[str, tuple[int, int]]:
        files = [
            *self.context.stacks.glob(f"Pulumi.{self.instance}*.yaml"),
            *self.context.stacks.glob("revoked-tokens.*.txt"),
        ]
        status = {file.name: file.stat() for file in files}
        return {name: (one.st_mtime_ns, one.st_size) for name, one in status.items()}

    def target(self) -> Target:
        """Return the instance with its clients, which are made once; raises `UserError` where it does not answer."""
        config = self.config()
        with self._lock:
            if self._target is None:
                self._target = self.context.target(self.provider_name, self.instance, config)
            return self._target

    def forget_target(self) -> None:
        """Make the clients anew at their next use, after an error: credentials may have expired."""
        with self._lock:
            self._target = None
