"""Follows the objects of one kind: what there is, then every change, over cuts and expired places."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import structlog

from registry_grpc.controller.kube import Kube, KubeError, Object, Resource
from registry_grpc.controller.queue import Key

FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 10.0
Told = Callable[[Key, Object | None], None]
"""Called with every object that is there or changed, and with None when it is gone."""
_logger: Any = structlog.get_logger("registry_grpc.controller")


def key_of(found: Object) -> Key:
    """The key of an object."""
    return Key(found["metadata"].get("namespace", ""), found["metadata"]["name"])


class Follower:
    """One kind, in one namespace or in all. `run` is for a thread of its own."""

    def __init__(self, kube: Kube, resource: Resource, namespace: str | None, told: Told) -> None:
        self._kube = kube
        self._resource = resource
        self._namespace = namespace
        self._told = told
        self._there: set[Key] = set()
        self.synced = threading.Event()
        """What there is was told once."""

    def run(self, stop: threading.Event) -> None:
        """Until told to stop."""
        place, pause_s = "", FIRST_PAUSE_S
        while not stop.is_set():
            try:
                if not place:
                    place = self._list()
                for kind, found in self._kube.watch(self._resource, self._namespace, place):
                    place = found["metadata"]["resourceVersion"]
                    if kind != "BOOKMARK":
                        self._take(kind, found)
                    if stop.is_set():
                        return
                pause_s = FIRST_PAUSE_S
            except KubeError as error:
                if error.is_expired:
                    _logger.info("watch_expired", kind=self._resource.kind, place=place)
                    place = ""
                    continue
                _logger.warning("watch_broken", kind=self._resource.kind, reason=error.reason, error=error.message)
                stop.wait(pause_s)
                pause_s = min(MAX_PAUSE_S, pause_s * 2)

    def _list(self) -> str:
        items, place = self._kube.list(self._resource, self._namespace)
        there = {key_of(each) for each in items}
        for gone in self._there - there:
            self._told(gone, None)
        for each in items:
            self._told(key_of(each), each)
        self._there = there
        self.synced.set()
        return place

    def _take(self, kind: str, found: Object) -> None:
        key = key_of(found)
        if kind == "DELETED":
            self._there.discard(key)
            self._told(key, None)
        else:
            self._there.add(key)
            self._told(key, found)
