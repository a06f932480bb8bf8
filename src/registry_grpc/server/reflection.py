"""Server reflection, for tools such as grpcurl. It needs a token like any other call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grpc_reflection.v1alpha import reflection_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha._async import ReflectionServicer  # type: ignore[import-untyped]

SERVICE = "grpc.reflection.v1alpha.ServerReflection"


def add_reflection(server: Any, services: Iterable[str]) -> None:  # noqa: ANN401 - a server, or what stands in for one
    """Describe `services`, and reflection itself.

    `enable_server_reflection` chooses by the type of the server and would give ours the blocking servicer.
    """
    servicer = ReflectionServicer(service_names=[*services, SERVICE])
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(servicer, server)
