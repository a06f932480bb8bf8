"""Takes the place of the server while servicers are added, and wraps each method once.

The wrappers go to grpc as one table. An interceptor would do the same per call, slower, and what raises inside one
ends in undefined behaviour; a method that is not in the table is UNIMPLEMENTED, however its path is spelt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import grpc
from grpc import aio

from registry_grpc.auth.permissions import check_table
from registry_grpc.observability.rpc_metrics import RpcMetrics
from registry_grpc.server.interceptors.desk import Desk
from registry_grpc.server.interceptors.methods import Handler, Method
from registry_grpc.server.interceptors.shapes import wrapped
from registry_grpc.server.interceptors.shortcuts import Shortcut, Shortened


class Registrar:
    """Pass it to `add_…Servicer_to_server` instead of a server, then `install` it on as many servers as there are."""

    def __init__(
        self, desk: Desk, metrics: RpcMetrics, shortcuts: Mapping[str, Shortcut] = MappingProxyType({})
    ) -> None:
        """`shortcuts` by full path of their method."""
        self._desk = desk
        self._shortcuts = shortcuts
        self._metrics = metrics
        self._wrappers: dict[str, Handler] = {}
        self._shortened: dict[str, Shortened] = {}

    @property
    def services(self) -> list[str]:
        """Full names of the services that were added."""
        return sorted({path.split("/")[1] for path in self._wrappers})

    def add_registered_method_handlers(self, service_name: str, method_handlers: Mapping[str, Handler]) -> None:
        """What generated code calls with the methods of a service.

        Raises: MissingPermissionError.
        """
        paths = {f"/{service_name}/{name}": each for name, each in method_handlers.items()}
        check_table(paths)
        for path, handler in paths.items():
            method = Method(path, handler, self._metrics)
            self._wrappers[path] = ordinary = wrapped(self._desk, method)
            if path in self._shortcuts:
                self._shortened[path] = Shortened(self._desk, method, self._shortcuts[path], ordinary)

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Sequence[Any]) -> None:
        """What generated code calls too; the handlers come once more by `add_registered_method_handlers`."""

    def install(self, server: aio.Server) -> None:
        """Give `server` every method."""
        server.add_generic_rpc_handlers((_Table(self._wrappers, self._shortened),))


class _Table(grpc.GenericRpcHandler):
    """Methods by path."""

    def __init__(self, wrappers: Mapping[str, Handler], shortened: Mapping[str, Shortened]) -> None:
        self._wrappers = dict(wrappers)
        self._shortened = dict(shortened)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """The method, or None."""
        path = handler_call_details.method
        shortened = self._shortened.get(path)
        if shortened is not None:
            return shortened.handler(handler_call_details.invocation_metadata)
        return self._wrappers.get(path)
