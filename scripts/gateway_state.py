"""What the gateway's pods have really loaded: the keys, and whether all that is to be in force there is."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from components.gateway_config import (
    ACCESS_FILE,
    ADMIN_COUNTERS,
    ADMIN_FILTERS,
    ADMIN_PORT,
    KEYS_FILE,
    access_code_of,
    discovered_filter,
    key_set_of,
)
from components.gateway_lua import keys_of
from components.names import GATEWAY_NAMESPACE
from components.workload import selector
from scripts.cluster import Cluster

FILES = {"gateway-keys": KEYS_FILE, "gateway-access": ACCESS_FILE}  # of the ConfigMaps


@dataclass(frozen=True)
class Filters:
    """The two filters that Envoy takes from files: a JSON Web Key Set, and the code with limits and revocations."""

    key_set: str
    access_code: str

    @classmethod
    def of(cls, configs: Mapping[str, Any]) -> "Filters | None":
        """Return those of `configs`, which maps a filter's name to its configuration; None until there are both."""
        if not {"token", "access"} <= {*configs}:
            return None
        return cls(key_set_of(configs["token"]), access_code_of(configs["access"]))

    @property
    def key_ids(self) -> list[str]:
        """The keys whose tokens are let in: in both."""
        return sorted({key["kid"] for key in json.loads(self.key_set)["keys"]} & keys_of(self.access_code))


@dataclass(frozen=True)
class PodState:
    """What a pod has. `current`: all that the ConfigMaps hold is in force.

    `refused`: Envoy would not take what came last, and what it had before stays in force. `key_ids` is None where that
    hides which keys these are: Envoy tells of the last file that it read, not of the last that it took.
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


def _wanted(cluster: Cluster) -> Filters | None:
    found = [(cluster.get("v1", "ConfigMap", name, GATEWAY_NAMESPACE), file) for name, file in FILES.items()]
    return filters_in([config_map["data"].get(file, "") for config_map, file in found if config_map])


def filters_in(files: Iterable[str]) -> Filters | None:
    """Return the filters that are in these files, None where one of them is no such file."""
    try:
        return Filters.of(dict(discovered_filter(file) for file in files))
    except (ValueError, LookupError, TypeError):  # somebody edited it
        return None


def _state(cluster: Cluster, pod: str, wanted: Filters | None) -> PodState | None:
    questions = (ADMIN_FILTERS, ADMIN_COUNTERS)
    dump, counters = (cluster.ask(GATEWAY_NAMESPACE, pod, ADMIN_PORT, path, {}) for path in questions)
    return None if dump is None or counters is None else pod_state(dump, counters, wanted)


def pod_state(dump: str, counters: str, wanted: Filters | None) -> PodState:
    """Return what Envoy's answers to `ADMIN_FILTERS` and `ADMIN_COUNTERS` say, beside what it should have."""
    read = {entry["ecds_filter"]["name"]: entry for entry in json.loads(dump).get("configs", [])}
    loaded = Filters.of({name: entry["ecds_filter"]["typed_config"] for name, entry in read.items()})
    hidden = any(
        _milliseconds(entry["last_updated"]) > _counter(counters, name, "update_time") for name, entry in read.items()
    )
    failed = any(_counter(counters, name, kind) for name in read for kind in ("update_rejected", "update_failure"))
    same = loaded is not None and loaded == wanted
    return PodState(
        None if hidden else loaded.key_ids if loaded else [],
        current=same and not hidden,
        refused=hidden or (failed and not same),
    )


def _counter(counters: str, filter_name: str, kind: str) -> int:
    found = re.search(rf"http_filter\.{filter_name}\.{kind}: (\d+)", counters)
    return int(found[1]) if found else 0


def _milliseconds(time: str) -> int:
    return round(datetime.fromisoformat(time).timestamp() * 1000)
