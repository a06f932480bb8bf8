"""Chunks of a part that are hashed and sent with rests in between, while several uploads are under way."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from registry_grpc.domain.artifacts import MIB, Bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from registry_grpc.services.transfer_room import TransferRoom

REST_S = 0.003
"""For each MiB; hashing one takes 1 ms, sending it to a store on the same machine 1 to 2."""
_SHORTEST_S = 0.001
"""Below this a rest is put off to the next chunk: a thread that only just sleeps has cost more than it gave."""


class Unhurried(Sequence[Bytes]):
    """Whoever goes over it, on a thread, rests after each chunk while more than one stream is open.

    A whole part at a stretch keeps a core busy here and one in the store, for some 30 ms each, and every call that
    comes meanwhile waits its turn at each of its steps. Rests between whole parts do not help: it is the stretches.
    By index, and in a slice, there is no rest, for those who only look.
    """

    def __init__(
        self, chunks: Sequence[Bytes], room: TransferRoom, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        """A view of `chunks`; `room` says how many streams there are."""
        self._chunks = chunks
        self._room = room
        self._sleep = sleep

    def __len__(self) -> int:
        return len(self._chunks)

    @overload
    def __getitem__(self, index: int) -> Bytes: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Bytes]: ...

    def __getitem__(self, index: int | slice) -> Bytes | Sequence[Bytes]:
        return self._chunks[index]

    def __iter__(self) -> Iterator[Bytes]:
        owed_s = 0.0
        for chunk in self._chunks:
            yield chunk
            if self._room.streams > 1:
                owed_s += REST_S * len(chunk) / MIB
            if owed_s >= _SHORTEST_S:
                self._sleep(owed_s)
                owed_s = 0.0
