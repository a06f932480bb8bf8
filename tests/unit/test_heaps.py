"""Memory that lies free between things in use goes back to the system."""

import subprocess
import sys

import pytest

# Every second block stays, so that nothing of what is free lies at the end of the heap.
SCRIPT = """
from pathlib import Path
from registry_grpc.server.heaps import give_back, share_heaps

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / (1 << 20)

share_heaps()
blocks = [bytearray(b"x" * (1 << 18)) for _ in range(512)]
del blocks[::2]
before = resident_mib()
give_back()
print(before - resident_mib())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_what_is_free_between_what_is_used_is_given_back():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 48, "64 MiB were free"
