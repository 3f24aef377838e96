"""What the API server has, followed instead of asked for again and again."""

import http.client
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from localcloud.node.services import Cluster

Object = dict[str, Any]
RETRY_SECONDS = 1.0
SETTLE_SECONDS = 0.05  # changes come in crowds


class Mirror(threading.Thread):
    """The objects of one kind as the API server has them; `changed` is set whenever they are not what they were."""

    def __init__(self, cluster: Cluster, path: str, changed: threading.Event) -> None:
        super().__init__(daemon=True)
        self._cluster, self._path, self._changed = cluster, path, changed
        self._objects: dict[str, Object] | None = None

    def objects(self) -> list[Object] | None:
        """Return all that are there, None before that is known."""
        return None if self._objects is None else list(self._objects.values())

    def run(self) -> None:
        """Follow the API server until the process ends; what is not foreseen ends it, and its supervisor begins anew."""
        while True:
            try:
                self._follow()
            except (http.client.HTTPException, OSError, ValueError) as error:
                logging.warning("%s: %s", self._path, error)
            except Exception:
                logging.exception(self._path)
                os._exit(1)
            time.sleep(RETRY_SECONDS)

    def _follow(self) -> None:
        listed = self._cluster.call("GET", self._path)
        self._objects = {entry["metadata"]["uid"]: entry for entry in listed["items"]}
        self._changed.set()
        for event in self._cluster.watch(self._path, listed["metadata"]["resourceVersion"]):
            found = event["object"]
            if event["type"] == "ERROR":  # it has forgotten what was since
                return
            if event["type"] == "DELETED":
                self._objects.pop(found["metadata"]["uid"], None)
            else:
                self._objects[found["metadata"]["uid"]] = found
            self._changed.set()


def follow(cluster: Cluster, paths: Sequence[str], settle: Callable[..., None]) -> None:
    """Call `settle` with the objects of each path whenever some have changed, until the process ends.

    It begins once all are known, and is called again a little later where it raises an OSError, as urllib's are.
    """
    changed = threading.Event()
    mirrors = [Mirror(cluster, path, changed) for path in paths]
    for mirror in mirrors:
        mirror.start()
    while changed.wait():
        time.sleep(SETTLE_SECONDS)
        changed.clear()
        known = [mirror.objects() for mirror in mirrors]
        if any(objects is None for objects in known):
            continue
        try:
            settle(*known)
        except OSError as error:
            logging.warning("%s", error)
            time.sleep(RETRY_SECONDS)
            changed.set()
