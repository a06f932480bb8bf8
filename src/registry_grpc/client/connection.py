"""Calls: credentials, deadlines, idempotent retries, read-your-writes, typed errors.

Concurrency: one Connection serves any number of threads.
"""

from __future__ import annotations

import random
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import grpc
from google.protobuf.message import Message

from registry_grpc.client.channel import open_channel
from registry_grpc.client.errors import Cancelled, Conflict, OutOfRange, RegistryError, ResourceExhausted
from registry_grpc.client.status import REQUEST_ID_KEY, error_from_rpc
from registry_grpc.v1 import (
    access_pb2_grpc,
    artifacts_pb2,
    artifacts_pb2_grpc,
    audit_pb2_grpc,
    catalogue_pb2_grpc,
    deployments_pb2_grpc,
    events_pb2_grpc,
    evidence_pb2_grpc,
    governance_pb2_grpc,
    lineage_pb2_grpc,
    models_pb2_grpc,
    projects_pb2_grpc,
    server_pb2_grpc,
    stages_pb2_grpc,
    webhooks_pb2_grpc,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry_grpc.client.settings import Settings

REVISION_KEY = "x-registry-revision"
MIN_REVISION_KEY = "x-registry-min-revision"
MAX_ATTEMPTS = 5
_FIRST_PAUSE_S = 0.1
_FORGETS = 3
"""Other threads may write between a refusal and the next attempt."""
_REPEATABLE = {"TRANSACTION_CONFLICT", "RATE_LIMITED"}

_Request = TypeVar("_Request", bound=Message)
_Answer = TypeVar("_Answer", bound=Message)


class Stubs:
    """The services of one channel."""

    def __init__(self, channel: grpc.Channel) -> None:
        self.server = server_pb2_grpc.ServerServiceStub(channel)
        self.projects = projects_pb2_grpc.ProjectServiceStub(channel)
        self.models = models_pb2_grpc.ModelServiceStub(channel)
        self.stages = stages_pb2_grpc.StageServiceStub(channel)
        self.artifacts = artifacts_pb2_grpc.ArtifactServiceStub(channel)
        # Its messages are written by hand, with one copy of the bytes in them.
        self.write_upload: grpc.StreamUnaryMultiCallable[bytes, artifacts_pb2.Upload] = channel.stream_unary(
            "/registry_grpc.v1.ArtifactService/WriteUpload", response_deserializer=artifacts_pb2.Upload.FromString
        )
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)
        self.events = events_pb2_grpc.EventServiceStub(channel)
        self.deployments = deployments_pb2_grpc.DeploymentServiceStub(channel)
        self.access = access_pb2_grpc.AccessServiceStub(channel)
        self.catalogue = catalogue_pb2_grpc.CatalogueServiceStub(channel)
        self.evidence = evidence_pb2_grpc.EvidenceServiceStub(channel)
        self.lineage = lineage_pb2_grpc.LineageServiceStub(channel)
        self.governance = governance_pb2_grpc.GovernanceServiceStub(channel)
        self.webhooks = webhooks_pb2_grpc.WebhookServiceStub(channel)


class Connection:
    """A lazily opened channel and what has to be remembered between calls."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._stubs: Stubs | None = None
        self.written_revision = 0
        """What our writes have reached, and reads ask for; 0 when there is nothing to ask for."""
        self._registry_uid = ""

    @property
    def stubs(self) -> Stubs:
        """The services; opens the channel, which connects on the first call."""
        with self._lock:
            if self._stubs is None:
                self._channel = open_channel(self.settings)
                self._stubs = Stubs(self._channel)
            return self._stubs

    @property
    def channel(self) -> grpc.Channel:
        """The channel itself, for services outside this contract (health)."""
        self.stubs  # noqa: B018 -- opens it
        assert self._channel is not None  # noqa: S101 -- for the type checker
        return self._channel

    def close(self) -> None:
        """End the channel; calls still open are cancelled. The next call opens a new one."""
        with self._lock:
            channel, self._channel, self._stubs = self._channel, None, None
        if channel is not None:
            channel.close()

    def metadata(self, *, read: bool, call_id: str) -> list[tuple[str, str]]:
        """Metadata of a call: who asks, and how fresh a read must be.

        Raises: Unauthenticated when the token file cannot be used.
        """
        pairs = [(REQUEST_ID_KEY, call_id)]
        if token := self.settings.tokens.token():
            pairs.append(("authorization", f"Bearer {token}"))
        if read and self.written_revision:
            pairs.append((MIN_REVISION_KEY, str(self.written_revision)))
        return pairs

    def read(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        *,
        timeout_s: float | None = None,
    ) -> _Answer:
        """The answer to a read, at least as fresh as the last write through this connection.

        Raises: RegistryError.
        """
        for _ in range(_FORGETS):
            wished = self.written_revision
            try:
                return self._call(method, request, read=True, timeout_s=timeout_s)
            except OutOfRange as error:
                if not self.forgets(error, wished):
                    raise
        return self._call(method, request, read=True, timeout_s=timeout_s)

    def write(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        *,
        timeout_s: float | None = None,
    ) -> _Answer:
        """The answer to a mutation, which gets a request_id here so that it can be sent again safely.

        Raises: RegistryError.
        """
        fields: Any = request
        if "request_id" in request.DESCRIPTOR.fields_by_name and not fields.request_id:
            fields.request_id = str(uuid.uuid4())
        return self._call(method, request, read=False, timeout_s=timeout_s)

    def _call(
        self,
        method: grpc.UnaryUnaryMultiCallable[_Request, _Answer],
        request: _Request,
        *,
        read: bool,
        timeout_s: float | None,
    ) -> _Answer:
        deadline = time.monotonic() + (timeout_s or self.settings.timeout_s)
        call_id = str(uuid.uuid4())
        channel = self._channel
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                answer, call = method.with_call(
                    request,
                    timeout=max(0.001, deadline - time.monotonic()),
                    metadata=tuple(self.metadata(read=read, call_id=call_id)),
                )
            except grpc.RpcError as error:
                failure = error_from_rpc(error, call_id)
                wait_s = None if self._channel is not channel else _pause_s(failure, attempt)
                if wait_s is None or attempt == MAX_ATTEMPTS or time.monotonic() + wait_s >= deadline:
                    raise failure from error
                time.sleep(wait_s)
                continue
            if not read:
                self.note_write(call)
            return answer
        raise AssertionError("unreachable")

    def note_write(self, call: grpc.Call) -> None:
        """Remember the revision a write of ours reached."""
        for key, value in call.trailing_metadata() or ():
            if key == REVISION_KEY and str(value).isdecimal():
                with self._lock:
                    self.written_revision = max(self.written_revision, int(value))

    def forgets(self, error: RegistryError, wished: int) -> bool:
        """Whether a read that asked for `wished` failed because of that, and is worth sending again without.

        Another registry, or an older copy of this one, answers now: what we wrote is not in it.
        """
        if error.reason != "REVISION_UNKNOWN" or not wished:
            return False
        with self._lock:
            # Else another thread found out before, and may have written since.
            if self.written_revision == wished:
                self.written_revision = 0
        return True

    def note_registry(self, registry_uid: str) -> None:
        """Forget our writes when another registry answers now: revisions compare only within one."""
        with self._lock:
            if self._registry_uid and self._registry_uid != registry_uid:
                self.written_revision = 0
            self._registry_uid = registry_uid


def _pause_s(error: RegistryError, attempt: int) -> float | None:
    """Seconds to wait before the call is sent again; None when it must not be."""
    if isinstance(error, Cancelled):
        # Not by us, who cannot cancel a call that is waited for: a call that comes in the very moment a server stops
        # is refused by gRPC in this way. Another replica answers, or this one when it is back.
        backoff_s = _FIRST_PAUSE_S * 2.0 ** (attempt - 1)
    elif isinstance(error, (Conflict, ResourceExhausted)) and error.reason in _REPEATABLE:
        backoff_s = error.retry_after_s or _FIRST_PAUSE_S * 2.0 ** (attempt - 1)
    else:
        return None
    return backoff_s * random.uniform(0.8, 1.2)  # noqa: S311 -- spreads retries, guards nothing


class Pages(Generic[_Answer]):
    """Iterates over the items of a list call, fetching pages as they are needed."""

    def __init__(self, fetch: Callable[[str], Any], field: str) -> None:
        self._fetch = fetch
        self._field = field

    def __iter__(self) -> Iterator[_Answer]:
        token = ""
        while True:
            page = self._fetch(token)
            yield from getattr(page, self._field)
            token = page.next_page_token
            if not token:
                return
