"""The four shapes of a call, each wrapped so that its whole life has one outcome.

Streams of replies are written by us and never returned as a generator: the outcome must see the iteration, a
cancelled write included, which a suspended generator does not.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from registry_grpc.server.interceptors.calls import Call
from registry_grpc.server.interceptors.desk import Desk
from registry_grpc.server.interceptors.methods import Handler, Method, serialize


def wrapped(desk: Desk, method: Method) -> Handler:
    """The handler grpc runs instead of the servicer's own. It reads and writes bytes only."""
    handler = method.handler
    if handler.request_streaming and handler.response_streaming:
        return grpc.stream_stream_rpc_method_handler(_replies(desk, method, handler.stream_stream))
    if handler.request_streaming:
        return grpc.stream_unary_rpc_method_handler(_reply(desk, method, handler.stream_unary))
    if handler.response_streaming:
        return grpc.unary_stream_rpc_method_handler(_replies(desk, method, handler.unary_stream))
    return grpc.unary_unary_rpc_method_handler(_unary(desk, method, handler.unary_unary))


def _unary(desk: Desk, method: Method, serve: Callable[..., Awaitable[Any]]) -> Any:  # noqa: ANN401
    """The hot path: no time limit object unless the caller's own deadline is missing or too long."""
    parse, meter = method.parse, method.meter

    async def answer(raw: bytes, context: Any) -> bytes:  # noqa: ANN401
        call = Call(desk, method, context)
        meter.received += 1
        try:
            await call.enter()
            request = parse(raw)
            call.authorize(request)
            if call.deadline_s is None:
                data = serialize(await serve(request, context))
            else:
                async with asyncio.timeout(call.deadline_s):
                    data = serialize(await serve(request, context))
        except BaseException as error:  # noqa: BLE001 - the one place where every outcome is judged
            await call.fail(error)
        meter.sent += 1
        call.succeed()
        return data

    return answer


def _reply(desk: Desk, method: Method, serve: Callable[..., Awaitable[Any]]) -> Any:  # noqa: ANN401
    """Many requests, one reply."""
    meter = method.meter

    async def answer(raws: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: ANN401
        call = Call(desk, method, context)
        try:
            await call.enter()
            async with asyncio.timeout(call.deadline_s):
                data = serialize(await serve(_parsed(desk, method, call, raws), context))
            _require_caller(context)
        except BaseException as error:  # noqa: BLE001 - the one place where every outcome is judged
            await call.fail(error)
        meter.sent += 1
        call.succeed()
        return data

    return answer


def _replies(desk: Desk, method: Method, serve: Callable[..., Any]) -> Any:  # noqa: ANN401
    """One request or many, many replies."""
    streams_in = method.handler.request_streaming

    async def answer(incoming: Any, context: Any) -> None:  # noqa: ANN401
        call = Call(desk, method, context)
        try:
            await call.enter()
            if streams_in:
                request: Any = _parsed(desk, method, call, incoming)
            else:
                method.meter.received += 1
                request = method.parse(incoming)
                call.authorize(request)
            async with asyncio.timeout(call.deadline_s):
                await _write_all(serve, request, _Writer(desk, method, call, context))
            _require_caller(context)
        except BaseException as error:  # noqa: BLE001 - the one place where every outcome is judged
            await call.fail(error)
        call.succeed()

    return answer


async def _write_all(serve: Callable[..., Any], request: Any, writer: _Writer) -> None:  # noqa: ANN401
    """Send every reply of an async generator, which is closed whatever happens."""
    replies = serve(request, writer)
    if inspect.isawaitable(replies):
        await replies
        return
    try:
        async for reply in replies:
            await writer.write(reply)
    finally:
        await replies.aclose()


class _Writer:
    """The context with `write` counted. Some servicers, grpc's own, write their replies themselves."""

    def __init__(self, desk: Desk, method: Method, call: Call, context: Any) -> None:  # noqa: ANN401
        self._call = call
        self._context = context
        self._meter = method.meter
        self._touch = desk.recorder.touch_message

    async def write(self, reply: Any) -> None:  # noqa: ANN401
        self._call.writing = True
        try:
            await self._context.write(serialize(reply))
        finally:
            self._call.writing = False
        self._call.require_open()
        self._meter.sent += 1
        self._touch()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._context, name)


async def _parsed(desk: Desk, method: Method, call: Call, raws: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    """Requests as they come. The end of this says nothing: a stream that was cut ends the same way."""
    receive, meter, touch = method.receive, method.meter, desk.recorder.touch_message
    is_first = True
    async for raw in raws:
        meter.received += 1
        touch()
        request, item = receive(raw)
        if is_first:
            call.authorize(request)
            is_first = False
        yield item


def _require_caller(context: Any) -> None:  # noqa: ANN401
    """A stream that was cut looks finished to its servicer; to the outcome it must not."""
    if context.cancelled():
        raise asyncio.CancelledError
