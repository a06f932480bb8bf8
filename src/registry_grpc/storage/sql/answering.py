"""Connections to PostgreSQL that give up on a server which keeps the line open and says nothing.

A dead host is noticed by TCP. A frozen server, or a proxy before a dead one, goes on acknowledging bytes, and no limit
that the server itself keeps can end the wait: without a bound here the thread that asked would be lost for ever.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg

if TYPE_CHECKING:
    from collections.abc import Generator

    from psycopg.abc import PQGen

R = TypeVar("R")

ANSWER_S = 6.0
"""Longest wait for the answer to one statement. Above `statement_timeout`: a server that lives speaks first."""


class AnsweringConnection(psycopg.Connection[Any]):
    """A connection whose every exchange ends: with the answer, or closed after `ANSWER_S`."""

    def wait(self, gen: PQGen[R], *args: Any, **kwargs: Any) -> R:  # noqa: ANN401 - psycopg's, which grow
        """What `gen` returns.

        Raises: psycopg.OperationalError, with the connection closed, when the server did not answer in time.
        """
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: PQGen[R]) -> Generator[Any, Any, R]:
        deadline = time.monotonic() + ANSWER_S
        try:
            wanted = next(gen)
            while True:
                # psycopg comes back at least every tenth of a second, with 0 when nothing was heard.
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    self.pgconn.finish()
                    msg = f"no answer within {ANSWER_S:g} s"
                    raise psycopg.OperationalError(msg)
                wanted = gen.send(ready)
        except StopIteration as done:
            found: R = done.value
            return found
