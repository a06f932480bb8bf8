"""How the C library keeps the memory of this process."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import sys
from typing import TYPE_CHECKING, Any

from registry_grpc.domain.errors import RegistryError

if TYPE_CHECKING:
    from registry_grpc.server.pools import Pool

MIB = 1 << 20
HEAPS = 2
KEPT_BYTES = 32 * MIB
"""Free memory a heap keeps at its end: two blocks of an artifact."""
LARGE_BYTES = 8 * MIB
"""From this size on an allocation is a mapping of its own. Chunks and parts are below, what is odd is above."""
GIVE_BACK_S = 60.0
# Numbers of the parameters in glibc's malloc.h, and the variables by which an operator sets them.
_ARENA_MAX = (-8, "MALLOC_ARENA_MAX")
_TRIM_THRESHOLD = (-1, "MALLOC_TRIM_THRESHOLD_")
_MMAP_THRESHOLD = (-3, "MALLOC_MMAP_THRESHOLD_")


def share_heaps() -> None:
    """Have glibc share two heaps between all threads, and keep what chunks will need again.

    The threads of gRPC take turns at reading what clients upload, and each leaves a heap of the size of its turn
    behind: measured, up to 200 MiB after four uploads, against 20 to 50 with two heaps. Left to itself glibc also gives
    the memory of each block back and asks for it anew, page by page: a third of a download's CPU time. Call it before
    there are threads: heaps they have stay. Other C libraries are left alone, and so is what an operator set.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is None:
        return
    wanted = ((_ARENA_MAX, HEAPS), (_TRIM_THRESHOLD, KEPT_BYTES), (_MMAP_THRESHOLD, LARGE_BYTES))
    for (parameter, variable), value in wanted:
        if variable not in os.environ:
            mallopt(parameter, value)


def give_back() -> None:
    """Return to the system what is free between things in use, which glibc does not do by itself.

    After an hour of uploads and faults that was 60 MiB. What a heap keeps at its end for the next blocks stays.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(ctypes.c_size_t(KEPT_BYTES))


async def give_back_often(pool: Pool) -> None:
    """Call `give_back` once a minute in a thread of `pool`, for ever."""
    while True:
        await asyncio.sleep(GIVE_BACK_S)
        with contextlib.suppress(RegistryError):  # a pool that is full: in a minute, then
            await pool.run(give_back)


def _of_glibc(name: str) -> Any:  # noqa: ANN401 - a C function
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
