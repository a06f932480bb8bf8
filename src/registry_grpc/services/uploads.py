"""WriteUpload: from the first message to the answer, measured by what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from registry_grpc.domain.artifacts import UploadState
from registry_grpc.domain.calls import Call
from registry_grpc.domain.errors import Reason, RegistryError, invalid_field
from registry_grpc.domain.names import UploadName
from registry_grpc.services.codec.artifacts import WriteMessage, upload_to_wire
from registry_grpc.services.context import call_context
from registry_grpc.services.transfer_room import TransferRoom
from registry_grpc.services.upload_stream import PARTS_IN_FLIGHT, UploadStream, WaitObserver
from registry_grpc.usecases.upload_session import Session
from registry_grpc.usecases.uploaders import Uploader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from registry_grpc.domain.artifacts import Upload
    from registry_grpc.services.context import CallContext
    from registry_grpc.services.edge import Pool
    from registry_grpc.usecases.upload_writer import UploadWriter

WRITE = "uploads.write"
COMPLETING_POLL_S = 0.1
IDLE_S = 60.0
"""A stream that sends nothing for so long is ended; the upload can be resumed."""
AFTER_FINISH_S = 0.1
"""What a client sent behind `finish_write` is here by then; most have ended their stream."""


def uploader_of(context: CallContext, permission: str) -> Uploader:
    """The caller, about to do something to an upload that needs `permission` on the model it goes into."""
    return Uploader(
        context.principal.name,
        lambda model: context.require(permission, model),
        lambda model: context.may("uploads.administer", model),
    )


class UploadObserver(WaitObserver, Protocol):
    """Told how uploads go."""

    def upload_began(self) -> None:
        """A stream opened."""

    def upload_received(self, size_bytes: int) -> None:
        """So many bytes came."""

    def upload_ended(self, outcome: str, size_bytes: int, seconds: float, waited_s: float) -> None:
        """A stream ended. `outcome` is committed, deduplicated, or what went wrong; `size_bytes` came in it.

        For `waited_s` of its seconds the client was waited for.
        """


@dataclass(slots=True, kw_only=True)
class Uploads:
    """Receives upload streams."""

    writer: UploadWriter
    transfer: Pool
    control: Pool
    observer: UploadObserver
    max_open: int
    """Most streams at once: each holds up to three parts and a quarter in memory."""
    idle_s: float = IDLE_S
    min_bytes_per_s: float = 0.0
    """A stream that brings less over `idle_s` is ended. 0 for any rate."""
    leave_after_s: float = 0.0
    """How long streams may go on once the server drains; then they are told to go on elsewhere."""
    _room: TransferRoom = field(init=False)
    _leaving: bool = False
    _waits: set[asyncio.Timeout] = field(default_factory=set)
    """Of streams that wait for their client."""
    _finishing: set[asyncio.Task[Upload]] = field(default_factory=set)
    """Completions under way; the loop itself holds tasks only weakly."""

    def __post_init__(self) -> None:
        """For no more parts than there are threads that store them: one more would only wait, in memory."""
        self._room = TransferRoom(self.transfer.threads, PARTS_IN_FLIGHT)

    async def receive(self, messages: AsyncIterator[WriteMessage]) -> Upload:
        """The upload as it is when the stream ends: COMMITTED after `finish_write`, else ACTIVE and resumable.

        Raises: TOO_MANY_STREAMS, UPLOAD_NOT_FOUND, UPLOAD_CLOSED, STREAM_IDLE, DRAINING, and what
            `UploadStream` raises.
        """
        if self._room.streams >= self.max_open:
            raise RegistryError(
                Reason.TOO_MANY_STREAMS,
                f"this server takes {self.max_open} uploads at once; retry, or ask another replica",
                retry_after_s=2.0,
                limit=self.max_open,
            )
        with self._room.stream():
            return await self._receive(messages)

    async def _receive(self, messages: AsyncIterator[WriteMessage]) -> Upload:
        began, received, waited_s = time.monotonic(), 0, 0.0
        outcome = "client_aborted"
        self.observer.upload_began()
        try:
            first = _require_first(await self._next(messages))
            waited_s = time.monotonic() - began
            opened = await self._take_over(UploadName.parse(first.request.name))
            if not isinstance(opened, Session):
                outcome = "deduplicated"
                return opened
            context = call_context()
            context.grant = context.hold(WRITE, str(opened.upload.version.parent))
            pace = Pace(self.idle_s, self.min_bytes_per_s)
            stream = UploadStream(opened, self.transfer, self.control, self.observer, self._room)
            message: WriteMessage | None = first
            while message is not None:
                _require_same_name(message, first)
                came = await stream.take(message)
                received += came
                self.observer.upload_received(came)
                if message.request.finish_write:
                    await _require_end(messages)
                    upload = await self._finish(stream, message)
                    outcome = "deduplicated" if upload.deduplicated else "committed"
                    return upload
                began_waiting = time.monotonic()
                message = await self._next(messages, stream)
                paused_s = time.monotonic() - began_waiting
                waited_s += paused_s
                pace.judge(paused_s, came, opened.persisted_size)
            await stream.settle()
            return opened.upload
        except RegistryError as error:
            outcome = _OUTCOMES.get(error.reason, "client_invalid")
            raise
        except Exception:
            outcome = "internal"
            raise
        finally:
            self.observer.upload_ended(outcome, received, time.monotonic() - began, waited_s)

    async def _take_over(self, name: UploadName) -> Upload | Session:
        """A session, or the upload once it is COMMITTED. Waits while another call, or replica, completes it."""
        uploader = uploader_of(call_context(), WRITE)
        while True:
            opened = await self.transfer.run(self.writer.open, name, uploader)
            if isinstance(opened, Session) or opened.state is UploadState.COMMITTED:
                return opened
            await asyncio.sleep(COMPLETING_POLL_S)

    async def _next(
        self, messages: AsyncIterator[WriteMessage], stream: UploadStream | None = None
    ) -> WriteMessage | None:
        began = time.monotonic()
        message, patience = None, asyncio.timeout(0 if self._leaving else self.idle_s)
        self._waits.add(patience)
        try:
            async with patience:
                message = await anext(messages, None)
        except TimeoutError:
            if not self._leaving:
                raise RegistryError(
                    Reason.STREAM_IDLE,
                    f"nothing came for {self.idle_s:g} s; resume with a new WriteUpload call at persisted_size",
                    persistedSize=stream.persisted_size if stream else None,
                ) from None
        finally:
            self._waits.discard(patience)
            self.observer.upload_waited("client", time.monotonic() - began)
        if message is None and self._leaving:
            # Also when the stream just ended: the transport cuts what is left when the time to drain is over.
            raise await _draining(stream)
        return message

    async def _finish(self, stream: UploadStream, message: WriteMessage) -> Upload:
        context = call_context()
        call: Call[Upload] = Call(
            principal=context.principal,
            method=context.method,
            grant=context.grant,
            encode=lambda upload: upload_to_wire(upload).SerializeToString(),
        )
        # From here on the client may go away: completing must not be torn in the middle. It can ask by GetUpload.
        task = asyncio.create_task(stream.finish(message.request, call), name="finish-upload")
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        upload = await asyncio.shield(task)
        if upload.artifact is not None:
            context.revision = upload.artifact.revision
        return upload

    async def drain(self) -> None:
        """Wait for the completions under way; the other streams have `leave_after_s` from now on."""
        asyncio.get_running_loop().call_later(self.leave_after_s, self._leave)
        if self._finishing:
            await asyncio.wait(set(self._finishing))

    def _leave(self) -> None:
        self._leaving = True
        for each in self._waits:
            if not each.expired():
                each.reschedule(0)


async def _draining(stream: UploadStream | None) -> RegistryError:
    """What a client is told whose stream this server will not see to its end. The parts that came are kept first.

    Raises: whatever storing them came to.
    """
    if stream is not None:
        await stream.settle()
    return RegistryError(
        Reason.DRAINING,
        "this server is shutting down; resume with a new WriteUpload call at persisted_size, at another one",
        persistedSize=stream.persisted_size if stream else None,
    )


class Pace:
    """Whether a stream brings its bytes fast enough. Only the time spent waiting for the client counts."""

    def __init__(self, window_s: float, min_bytes_per_s: float) -> None:
        """Judged whenever the waiting adds up to `window_s`."""
        self._window_s = window_s
        self._min_bytes_per_s = min_bytes_per_s
        self._waited_s = 0.0
        self._came = 0

    def judge(self, waited_s: float, came: int, persisted_size: int) -> None:
        """Take into account a message of `came` bytes and the wait behind it.

        Raises: STREAM_IDLE.
        """
        self._waited_s += waited_s
        self._came += came
        if not came:
            # A sign of life: the client has nothing to send yet, and says so. Their number is limited.
            self._waited_s, self._came = 0.0, 0
        if self._waited_s < self._window_s:
            return
        if self._came < self._min_bytes_per_s * self._waited_s:
            raise RegistryError(
                Reason.STREAM_IDLE,
                f"{self._came} bytes came in {self._waited_s:.0f} s; the least is {self._min_bytes_per_s:g} bytes/s; "
                "resume with a new WriteUpload call at persisted_size",
                persistedSize=persisted_size,
            )
        self._waited_s, self._came = 0.0, 0


async def _require_end(messages: AsyncIterator[WriteMessage]) -> None:
    """Refuse what follows `finish_write`. A client that leaves its side of the stream open is waited for no longer.

    Raises: INVALID_FIELD.
    """
    more = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(AFTER_FINISH_S):
            more = await anext(messages, None)
    if more is not None:
        raise invalid_field("finish_write", "must be set in the last message only; nothing may follow it")


_OUTCOMES = {
    Reason.STORAGE_UNAVAILABLE: "storage_error",
    Reason.DATABASE_UNAVAILABLE: "internal",
    Reason.QUOTA_EXCEEDED: "quota",
    Reason.ARTIFACT_CORRUPT: "integrity_error",
    Reason.INTERNAL: "internal",
    Reason.STREAM_IDLE: "client_aborted",
    Reason.UPLOAD_SUPERSEDED: "client_aborted",
    Reason.DRAINING: "drained",
}


def _require_first(message: WriteMessage | None) -> WriteMessage:
    if message is None:
        raise invalid_field("name", "the stream ended without a message; begin with the name of an upload")
    return message


def _require_same_name(message: WriteMessage, first: WriteMessage) -> None:
    name = message.request.name
    if name and name != first.request.name:
        raise invalid_field("name", f"changed within the stream to {name!r}; open another stream")
