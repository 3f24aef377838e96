"""Local copies of collections of the API server, kept current by its watch requests."""

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
SETTLE_SECONDS = 0.05  # changes come in groups


class Mirror(threading.Thread):
    """A copy of one collection of the API server; sets `changed` after each change."""

    def __init__(self, cluster: Cluster, path: str, changed: threading.Event) -> None:
        super().__init__(daemon=True)
        self._cluster, self._path, self._changed = cluster, path, changed
        self._objects: dict[str, Object] | None = None

    def objects(self) -> list[Object] | None:
        """Return the objects, None before the first answer of the API server."""
        return None if self._objects is None else list(self._objects.values())

    def run(self) -> None:
        """Follow the collection until the process ends. An unexpected error ends the process; its supervisor restarts it."""
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
            changed = event["object"]
            if event["type"] == "ERROR":  # the server no longer has the events since the version
                return
            if event["type"] == "DELETED":
                self._objects.pop(changed["metadata"]["uid"], None)
            else:
                self._objects[changed["metadata"]["uid"]] = changed
            self._changed.set()


def follow(cluster: Cluster, paths: Sequence[str], settle: Callable[..., None]) -> None:
    """Call `settle` with the objects of each path after every change, until the process ends.

    The first call comes once all collections are known. After an `OSError`, such as one of urllib, `settle` is called
    again.
    """
    changed = threading.Event()
    mirrors = [Mirror(cluster, path, changed) for path in paths]
    for mirror in mirrors:
        mirror.start()
    while changed.wait():
        time.sleep(SETTLE_SECONDS)
        changed.clear()
        collections = [mirror.objects() for mirror in mirrors]
        if any(objects is None for objects in collections):
            continue
        try:
            settle(*collections)
        except OSError as error:
            logging.warning("%s", error)
            time.sleep(RETRY_SECONDS)
            changed.set()
