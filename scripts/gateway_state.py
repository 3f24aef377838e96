"""What the gateway's pods have really loaded: the keys, and whether all that is to be in force there is."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.gateway_config import ADMIN_COUNTERS, ADMIN_FILTERS, ADMIN_PORT
from components.gateway_files import ACCESS, TOKEN, WATCHED, filter_in, key_ids_in, keys_in
from components.keys import is_sound
from components.labels import selector
from components.names import GATEWAY_NAMESPACE
from scripts.cluster import Cluster

Filters = dict[str, Any]
"""The filters that Envoy takes from files: name to configuration."""


@dataclass(frozen=True)
class PodState:
    """What a pod has. `current`: all that the ConfigMaps hold is in force.

    `refused`: Envoy would not take what came last, and what it had before stays in force; or it passed over a key of the
    set, and those in `key_ids` are in force. `key_ids` is None where that hides which keys these are: Envoy tells of the
    last file that it read, not of the last that it took.
    """

    key_ids: list[str] | None
    current: bool
    refused: bool

    def facts(self) -> dict[str, Any]:
        """Return the state for `status --json`."""
        return {"keyIds": self.key_ids, "current": self.current, "refused": self.refused}

    def in_words(self) -> str:
        """Return what an administrator has to know of the pod."""
        if self.key_ids is None:
            return "has the keys that it had before: it REFUSED what came last, and its log says why"
        keys = f"has {', '.join(self.key_ids) or 'no key'}"
        if self.current:
            return keys
        return f"{keys}; {'it REFUSED what came last' if self.refused else 'a change is still on its way to it'}"


def gateway_pods(cluster: Cluster, instance: str) -> dict[str, PodState | None]:
    """Return the state of each of the gateway's pods by name, None for one that does not tell.

    Raises `UserError` as `Cluster.get` does.
    """
    wanted = _wanted(cluster)
    return {
        name: _state(cluster, name, wanted) for name in cluster.pods(GATEWAY_NAMESPACE, selector("gateway", instance))
    }


def _wanted(cluster: Cluster) -> Filters:
    parts = {watched.part for watched in WATCHED}
    maps = {part: cluster.get("v1", "ConfigMap", f"gateway-{part}", GATEWAY_NAMESPACE) for part in parts}
    return filters_in((maps[watched.part] or {}).get("data", {}).get(watched.file, "") for watched in WATCHED)


def filters_in(files: Iterable[str]) -> Filters:
    """Return the filters that are in these files, without those of files that are none."""
    found = {}
    for file in files:
        try:
            name, config = filter_in(file)
        except (ValueError, LookupError, TypeError):  # somebody edited it
            continue
        found[name] = config
    return found


def _state(cluster: Cluster, pod: str, wanted: Filters) -> PodState | None:
    questions = (ADMIN_FILTERS, ADMIN_COUNTERS)
    dump, counters = (cluster.ask(GATEWAY_NAMESPACE, pod, ADMIN_PORT, path, {}) for path in questions)
    return None if dump is None or counters is None else pod_state(dump, counters, wanted)


def pod_state(dump: str, counters: str, wanted: Filters) -> PodState:
    """Return what Envoy's answers to `ADMIN_FILTERS` and `ADMIN_COUNTERS` say, beside what it should have."""
    read = {entry["ecds_filter"]["name"]: entry for entry in json.loads(dump).get("configs", [])}
    loaded = {name: entry["ecds_filter"]["typed_config"] for name, entry in read.items()}
    refused = {name for name in read if _is_refused(read[name]["last_updated"], counters, name)}
    failed = any(_counter(counters, name, kind) for name in read for kind in ("update_rejected", "update_failure"))
    same = len(loaded) == len(WATCHED) and loaded == wanted
    keys = keys_in(loaded[TOKEN.filter]) if TOKEN.filter in loaded else []
    # Envoy passes over keys that it cannot read, if there is one that it can.
    sound = {key["kid"] for key in keys if is_sound(key)}
    passed_over = len(sound) < len(keys)
    known = key_ids_in(loaded[ACCESS.filter]) if ACCESS.filter in loaded else set()
    return PodState(
        None if refused & {TOKEN.filter, ACCESS.filter} else sorted(sound & known),
        current=same and not refused and not passed_over,
        refused=bool(refused) or passed_over or (failed and not same),
    )


def _is_refused(last_read: str, counters: str, filter_name: str) -> bool:
    return _milliseconds(last_read) > _counter(counters, filter_name, "update_time")


def _counter(counters: str, filter_name: str, kind: str) -> int:
    found = re.search(rf"http_filter\.{filter_name}\.{kind}: (\d+)", counters)
    return int(found[1]) if found else 0


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
