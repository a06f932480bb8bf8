"""Lines of calls of several workers in one pipe."""

import json
import os
import subprocess
import sys
import time
from collections import Counter

WRITERS, BATCHES, LINES = 2, 40, 512
_WRITER = f"""
import sys
from registry_grpc.observability.access_log import AccessLog, Who
who = Who("StageService.Resolve", "OK", sys.argv[1] * 40)
log = AccessLog(sys.stderr, json=True)
for batch in range({BATCHES}):
    log.write([(1.0, who, f"{{batch}}-{{number}}", 0.001, "") for number in range({LINES})])
"""


def test_lines_of_two_processes_in_one_pipe_are_whole():
    readable, writable = os.pipe()
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, name], stderr=writable) for name in ("a", "b")[:WRITERS]
    ]
    os.close(writable)
    text = bytearray()
    with os.fdopen(readable, "rb", buffering=0) as pipe:
        # A pipe that is full, as it is before a collector that is busy, is what tears long writes apart.
        while data := pipe.read(1 << 14):
            text += data
            time.sleep(0.0005)
    assert [each.wait(10) for each in writers] == [0] * WRITERS
    counted = Counter(json.loads(line)["principal"][0] for line in text.decode().splitlines())
    assert counted == {"a": BATCHES * LINES, "b": BATCHES * LINES}
