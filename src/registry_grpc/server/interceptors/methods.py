"""What is known of one method before its first call, worked out once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError, Message

from registry_grpc.auth.authorization import targets_of
from registry_grpc.auth.permissions import RULES
from registry_grpc.domain.errors import Reason, RegistryError
from registry_grpc.observability.rpc_metrics import Meter, RpcMetrics
from registry_grpc.server.interceptors.repeats import Repeats
from registry_grpc.services.codec.artifacts import WriteMessage
from registry_grpc.services.validation import refusal, validator_for
from registry_grpc.v1.artifacts_pb2 import WriteUploadRequest
from registry_grpc.wire import without_content

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler
Receive: TypeAlias = Callable[[bytes], tuple[Message, Any]]
OWN_PACKAGE = "registry_grpc."
HOT = frozenset({"/registry_grpc.v1.StageService/Resolve", "/registry_grpc.v1.StageService/GetStage"})
WRITE_UPLOAD = "/registry_grpc.v1.ArtifactService/WriteUpload"
REMEMBERED_BYTES = 512
"""Longest request worth keeping; with `repeats.KEPT` it bounds the memory to a few MiB."""
LIFTED_BYTES = 16 * 1024
"""Smaller messages are copied in less time than they are looked at."""
MAX_REST_BYTES = 1024
"""Of a message may be kept with its content: a view keeps all of it, and unknown fields may be as long as one likes."""


class Method:
    """One method: names, shape, metric children, and how its requests are read."""

    __slots__ = (
        "handler", "meter", "name", "parse", "path", "public", "quiet", "receive", "rule", "streams", "targets",
    )  # fmt: skip

    def __init__(self, path: str, handler: Any, metrics: RpcMetrics) -> None:  # noqa: ANN401 - grpc's handler is an untyped tuple
        """`path` is the full one, `/package.Service/Method`."""
        service, _, method = path.lstrip("/").partition("/")
        self.path = path
        self.name = f"{service.rpartition('.')[2]}.{method}"
        self.handler = handler
        self.rule = RULES[path]
        self.public = self.rule.public
        self.targets = targets_of(path, handler.request_deserializer.__self__.DESCRIPTOR)
        """What a request needs; fails at start for a row that does not fit."""
        # Probes come every few seconds from everywhere; only those that fail are worth a line.
        self.quiet = service == "grpc.health.v1.Health"
        self.meter: Meter = metrics.meter(
            service,
            method,
            client_streams=handler.request_streaming,
            server_streams=handler.response_streaming,
        )
        self.streams = bool(handler.request_streaming or handler.response_streaming)
        own = service.startswith(OWN_PACKAGE)
        parse = _parser(handler.request_deserializer, validated=own)
        self.parse = _remembering(parse) if path in HOT else parse
        self.receive = _lifting(parse) if path == WRITE_UPLOAD else _twice(parse)
        """One message of a stream: as authorization sees it, and as the servicer gets it."""


class InvalidRequestError(Exception):
    """A request that breaks the contract, with the refusal it gets: the audit trail tells what it was about."""

    def __init__(self, request: Message, refusal: RegistryError) -> None:
        """Of a message that could be read."""
        super().__init__(refusal.message)
        self.request = request
        self.refusal = refusal


def _parser(from_string: Any, *, validated: bool) -> Callable[[bytes], Message]:  # noqa: ANN401
    """Reads and checks a request. grpcio's own deserialiser would answer garbage with UNKNOWN and protobuf's text."""
    collect = validator_for(from_string.__self__.DESCRIPTOR).collect if validated else lambda *_: None

    def parse(raw: bytes) -> Message:
        try:
            message: Message = from_string(raw)
        except DecodeError:
            raise RegistryError(
                Reason.MALFORMED_REQUEST, "the request bytes are no message of the expected type"
            ) from None
        faults: list[Any] = []
        collect(message, "", faults)
        if faults:
            raise InvalidRequestError(message, refusal(faults[:20]))
        return message

    return parse


def _twice(parse: Callable[[bytes], Message]) -> Receive:
    def receive(raw: bytes) -> tuple[Message, Any]:
        request = parse(raw)
        return request, request

    return receive


def _lifting(parse: Callable[[bytes], Message]) -> Receive:
    """Reads messages of WriteUpload; the bytes of a large chunk are not copied."""

    def receive(raw: bytes) -> tuple[Message, WriteMessage]:
        lifted = without_content(raw, WriteUploadRequest.CHUNK_FIELD_NUMBER) if len(raw) >= LIFTED_BYTES else None
        rest, content = lifted if lifted and len(lifted[0]) <= MAX_REST_BYTES else (raw, None)
        request = parse(rest)
        assert isinstance(request, WriteUploadRequest)  # noqa: S101 -- for the type checker
        return request, WriteMessage(request, request.chunk.content if content is None else content)

    return receive


def _remembering(parse: Callable[[bytes], Message]) -> Callable[[bytes], Message]:
    """Keeps requests that were parsed and checked before, by their bytes: controllers repeat theirs word for word.

    Servicers of these methods must not change their request. Parsing and checking one anew costs more than answering.
    """
    requests: Repeats[bytes, Message] = Repeats()
    known = requests.get

    def recall(raw: bytes) -> Message:
        message = known(raw)
        if message is None:
            message = parse(raw)
            if len(raw) <= REMEMBERED_BYTES and requests.is_worth(raw):
                requests.keep(raw, message)
        return message

    return recall


def serialize(reply: Any) -> bytes:  # noqa: ANN401 - a message, or bytes made before
    """The bytes of a reply; prebuilt ones go out as they are."""
    if type(reply) is bytes:
        return reply
    data: bytes = reply.SerializeToString()
    return data


def code_of(context: Any) -> grpc.StatusCode:  # noqa: ANN401
    """The code someone else set on `context` before aborting."""
    code = context.code()
    if isinstance(code, grpc.StatusCode):
        return code
    return next((each for each in grpc.StatusCode if each.value[0] == code), grpc.StatusCode.UNKNOWN)
