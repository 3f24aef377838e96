"""The configuration that the gateway's pods have loaded: their keys, and whether they have the latest change."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.core.labels import selector
from components.core.names import GATEWAY_NAMESPACE
from components.core.public_keys import is_sound
from components.gateway.envoy import ADMIN_QUERIES
from components.gateway.settings import ADMIN_PORT
from components.gateway.tails.listener import TAILS, lists_in, lists_of
from components.gateway.watched_files import ACCESS, TOKEN, WATCHED, WatchedFile, filter_in, key_ids_in, keys_in
from scripts.clients.kubernetes import Cluster

LISTENERS = "listener_manager.lds"  # what Envoy's counters of listeners from files begin with


@dataclass(frozen=True)
class Configuration:
    """What Envoy reads from files.

    Attributes:
        filters: The configurations of filters by name, without those that are not valid.
        lists: The version of the lists for log tails; None without a valid listener.
    """

    filters: dict[str, Any]
    lists: str | None


@dataclass(frozen=True)
class PodState:
    """The configuration of a pod. `current`: everything in the ConfigMaps is in force.

    `refused`: Envoy refused the latest file and keeps its configuration, or it skipped a key of the set and uses those
    in `key_ids`. `key_ids` is None if a refusal hides them: Envoy reports the latest file that it read, not the one
    that it uses. `tails_refused`: Envoy refused the listener of log tails, so open tails go on.
    """

    key_ids: list[str] | None
    current: bool
    refused: bool
    tails_refused: bool = False

    def facts(self) -> dict[str, Any]:
        """Return the state for `status --json`."""
        return {"keyIds": self.key_ids, "current": self.current, "refused": self.refused}

    def in_words(self) -> str:
        """Return the state in words. `status` prints them to stdout, so they stay as they are."""
        if self.key_ids is None:
            return "has the keys that it had before: it REFUSED what came last, and its log says why"
        keys = f"has {', '.join(self.key_ids) or 'no key'}"
        if self.current:
            return keys
        if self.tails_refused:
            return f"{keys}; it REFUSED the listener of log tails that came last, so open tails go on"
        return f"{keys}; {'it REFUSED what came last' if self.refused else 'a change is still on its way to it'}"


def gateway_pods(cluster: Cluster, instance: str) -> dict[str, PodState | None]:
    """Return the state of each of the gateway's pods by name, None for a pod that does not answer.

    Raises `UserError` as `Cluster.get` does.
    """
    expected = _expected(cluster)
    return {
        name: _state(cluster, name, expected) for name in cluster.pods(GATEWAY_NAMESPACE, selector("gateway", instance))
    }


def _expected(cluster: Cluster) -> Configuration:
    files = (*WATCHED, TAILS)
    maps = {
        part: cluster.get("v1", "ConfigMap", f"gateway-{part}", GATEWAY_NAMESPACE)
        for part in {watched.part for watched in files}
    }
    return configuration_in(
        {watched: (maps[watched.part] or {}).get("data", {}).get(watched.file, "") for watched in files}
    )


def configuration_in(files: Mapping[WatchedFile, str]) -> Configuration:
    """Return the configuration in the files. What is not valid is left out."""
    filters, lists = {}, None
    for watched, file in files.items():
        with suppress(ValueError, LookupError, TypeError):  # edited by hand
            if watched == TAILS:
                lists = lists_in(file)
                continue
            name, config = filter_in(file)
            filters[name] = config
    return Configuration(filters, lists)


def _state(cluster: Cluster, pod: str, expected: Configuration) -> PodState | None:
    filters, listeners, counters = (cluster.ask(GATEWAY_NAMESPACE, pod, ADMIN_PORT, path, {}) for path in ADMIN_QUERIES)
    if filters is None or counters is None:
        return None
    # A pod of an older version does not answer for its listeners, and has no current one.
    return pod_state(filters, listeners or "{}", counters, expected)


def pod_state(filters: str, listeners: str, counters: str, expected: Configuration) -> PodState:
    """Return a pod's state from Envoy's answers to `ADMIN_QUERIES`, and the expected configuration."""
    read = {entry["ecds_filter"]["name"]: entry for entry in json.loads(filters).get("configs", [])}
    loaded = {name: entry["ecds_filter"]["typed_config"] for name, entry in read.items()}
    refused = {name for name in read if _is_refused(read[name]["last_updated"], counters, name)}
    failed = any(_has_failed(counters, f"http_filter.{name}") for name in read)
    has_lists = expected.lists is not None and _loaded_lists(listeners) == expected.lists
    tails_refused = not has_lists and _has_failed(counters, LISTENERS)
    same = len(loaded) == len(WATCHED) and loaded == expected.filters
    keys = keys_in(loaded[TOKEN.filter]) if TOKEN.filter in loaded else []
    # Envoy skips invalid keys as long as one key of the set is valid.
    sound = {key["kid"] for key in keys if is_sound(key)}
    skipped = len(sound) < len(keys)
    with_limits = key_ids_in(loaded[ACCESS.filter]) if ACCESS.filter in loaded else set()
    return PodState(
        None if refused & {TOKEN.filter, ACCESS.filter} else sorted(sound & with_limits),
        current=same and has_lists and not refused and not skipped,
        refused=bool(refused) or skipped or (failed and not same) or tails_refused,
        tails_refused=tails_refused,
    )


def _loaded_lists(listeners: str) -> str | None:
    """Return the version of the lists in the listener that takes log tails, None without one."""
    for entry in json.loads(listeners).get("configs", []):
        if "active_state" in entry and entry["name"] == TAILS.filter:
            return lists_of(entry["active_state"]["listener"])
    return None


def _is_refused(last_read: str, counters: str, filter_name: str) -> bool:
    return _milliseconds(last_read) > _counter(counters, f"http_filter.{filter_name}", "update_time")


def _has_failed(counters: str, source: str) -> bool:
    return any(_counter(counters, source, kind) for kind in ("update_rejected", "update_failure"))


def _counter(counters: str, source: str, kind: str) -> int:
    match = re.search(rf"{re.escape(source)}\.{kind}: (\d+)", counters)
    return int(match[1]) if match else 0


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
