"""What the replica that is never killed runs: the server, and a thread that writes down what memory it has in use.

What a process has resident tells little of a leak: each heap keeps up to 32 MiB at its end, or not, for minutes
(`registry_grpc.server.heaps`). What is in use does not depend on that.
"""

import ctypes
import json
import os
import sys
import threading
import time
from pathlib import Path

BEGIN = "from tests.soak.steady import begin; begin()"
"""What comes before the program of a server."""
NAME = "in-use.json"
EVERY_S = 5.0
MIB = 1 << 20
_SIZES = ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost")


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of malloc.h, glibc 2.33 and later: sums over all heaps."""

    _fields_ = tuple((name, ctypes.c_size_t) for name in _SIZES)


def in_use() -> tuple[float, int]:
    """MiB that C has in use of its heaps and mappings, and how many small objects Python has in its own."""
    call = ctypes.CDLL(None).mallinfo2
    call.restype = _Mallinfo
    info = call()
    return (info.uordblks + info.hblkhd) / MIB, sys.getallocatedblocks()


def begin() -> None:
    """From now on write `in_use` to a file in the data directory every few seconds."""
    place = Path(os.environ["MREG_DATA_DIR"]) / NAME

    def write() -> None:
        while True:
            place.with_suffix(".new").write_text(json.dumps(in_use()))
            place.with_suffix(".new").rename(place)
            time.sleep(EVERY_S)

    threading.Thread(target=write, name="in-use", daemon=True).start()
