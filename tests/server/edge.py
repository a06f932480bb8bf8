"""Builders for tests of the edge: a real server on loopback, servicers whose behaviour a test chooses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status
from grpc import aio
from grpc_reflection.v1alpha import reflection_pb2_grpc

from registry_grpc.auth.authenticator import Authenticator
from registry_grpc.auth.view import AccessView, Snapshot
from registry_grpc.domain.access import RoleBinding
from registry_grpc.domain.access_names import RoleBindingName, RoleName
from registry_grpc.domain.identity import Token, token_text
from registry_grpc.server.app import Server
from registry_grpc.server.composition import Composition, Foundation
from registry_grpc.server.settings import Settings
from registry_grpc.v1 import artifacts_pb2_grpc, server_pb2, server_pb2_grpc

NOW = datetime(2026, 11, 21, tzinfo=UTC)
TEXT = token_text(b"\x01" * 9, b"\x02" * 32)
BEARER = (("authorization", f"Bearer {TEXT}"),)
UNARY = "/registry_grpc.v1.ServerService/GetServerInfo"
UPLOAD = "/registry_grpc.v1.ArtifactService/WriteUpload"
READ = "/registry_grpc.v1.ArtifactService/ReadArtifact"
BIDI = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


def token(**changes: Any) -> Token:
    values = {"id": TEXT.id, "secret_hash": TEXT.hash(), "principal": "user:ada", "create_time": NOW}
    return Token(**(values | changes))


def everything_to(*members: str) -> AccessView:
    """A view in which they administer the registry."""
    view = AccessView()
    name, role = RoleBindingName("", "", "admin"), RoleName("admin")
    binding = RoleBinding(uid="u", name=name, role=role, members=members, create_time=NOW, update_time=NOW)
    view.load(Snapshot(1, (), (binding,), (), ()))
    return view


async def nowhere(denials: Any) -> None:
    """Keeps nothing."""


Behaviour = Callable[[Any, Any], Awaitable[Any]]


async def answer_info(request: Any, context: Any) -> Any:
    return server_pb2.ServerInfo(server_version="test")


class OneMethod(server_pb2_grpc.ServerServiceServicer):
    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    async def GetServerInfo(self, request, context):  # noqa: N802
        return await self.behaviour(request, context)


class Streams(artifacts_pb2_grpc.ArtifactServiceServicer):
    def __init__(self, write: Any, read: Any) -> None:
        self.write, self.read = write, read

    async def WriteUpload(self, request_iterator, context):  # noqa: N802
        return await self.write(request_iterator, context)

    async def ReadArtifact(self, request, context):  # noqa: N802
        async for reply in self.read(request, context):
            yield reply


class Bidi(reflection_pb2_grpc.ServerReflectionServicer):
    def __init__(self, talk: Any) -> None:
        self.talk = talk

    async def ServerReflectionInfo(self, request_iterator, context):  # noqa: N802
        async for reply in self.talk(request_iterator, context):
            yield reply


@dataclass
class Edge:
    server: Server
    channel: aio.Channel
    tokens: dict[str, Token] = field(default_factory=dict)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server.ports[0]}"

    async def raw(self, path: str, data: bytes = b"", metadata: Any = BEARER, **options: Any) -> bytes:
        """A unary call with these very bytes."""
        return await self.channel.unary_unary(path)(data, metadata=metadata, **options)

    async def metric(self, name: str, **labels: str) -> float:
        """The value of a sample once it stops being 0: the server may count after the client has its answer."""
        value = self.server.metrics.registry.get_sample_value(name, labels) or 0.0
        for _ in range(50):
            if value:
                break
            await asyncio.sleep(0.02)
            value = self.server.metrics.registry.get_sample_value(name, labels) or 0.0
        return value

    async def handled(self, path: str, kind: str, code: str) -> float:
        service, _, method = path[1:].partition("/")
        return await self.metric(
            "grpc_server_handled_total",
            grpc_type=kind,
            grpc_service=service,
            grpc_method=method,
            grpc_code=code,
        )


@asynccontextmanager
async def edge(  # noqa: PLR0913 - whatever a test chooses
    directory: Path,
    *,
    unary: Behaviour = answer_info,
    write: Any = None,
    read: Any = None,
    talk: Any = None,
    probes: Any = None,
    shortcuts: Any = None,
    access: AccessView | None = None,
    denied: Any = None,
    **settings: Any,
) -> AsyncIterator[Edge]:
    tokens = {TEXT.id: token()}

    async def lookup(token_id: str) -> tuple[Token | None, datetime]:
        return tokens.get(token_id), NOW

    async def compose(foundation: Foundation) -> Composition:
        adders = [
            lambda server: server_pb2_grpc.add_ServerServiceServicer_to_server(OneMethod(unary), server),
            lambda server: artifacts_pb2_grpc.add_ArtifactServiceServicer_to_server(Streams(write, read), server),
        ]
        if talk is not None:
            adders.append(lambda server: reflection_pb2_grpc.add_ServerReflectionServicer_to_server(Bidi(talk), server))
        authenticator = Authenticator(lookup, foundation.metrics)
        return Composition(
            servicers=adders,
            authenticator=authenticator,
            access=access or everything_to("user:ada"),
            record_occurrences=denied or nowhere,
            probes=probes or {},
            shortcuts=shortcuts or {},
        )

    values = {
        "data_dir": directory,
        "listen": ("127.0.0.1:0",),
        "metrics_listen": "off",
        "reflection": talk is None,
        "drain_s": 1.0,
    }
    server = await Server.build(Settings(**(values | settings)), compose)
    await server.start()
    channel = aio.insecure_channel(f"127.0.0.1:{server.ports[0]}")
    try:
        yield Edge(server, channel, tokens)
    finally:
        await channel.close()
        await server.stop()


def status_in(error: aio.AioRpcError) -> Status:
    trailers = dict(error.trailing_metadata())
    return Status.FromString(trailers["grpc-status-details-bin"])


def info_in(error: aio.AioRpcError) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    assert any(detail.Unpack(info) for detail in status_in(error).details)
    return info


CODES = grpc.StatusCode
