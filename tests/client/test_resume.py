import hashlib
import os
import subprocess
import sys
import time

import pytest

from registry_grpc.client import Phase, Registry
from registry_grpc.v1 import versions_pb2

MIB = 1 << 20
SIZE = 200 * MIB
PART = 16 * MIB
PUSH = """
import sys
from registry_grpc.client import Phase, Registry

def report(progress):
    if progress.phase is Phase.UPLOAD:
        print(progress.done_bytes, flush=True)

with Registry(sys.argv[1], token=sys.argv[2]) as registry:
    registry.push("resumed", sys.argv[3], progress=report)
"""


@pytest.fixture
def big(tmp_path):
    path = tmp_path / "weights.bin"
    block = os.urandom(MIB)
    with path.open("wb") as stream:
        for number in range(SIZE // MIB):
            stream.write(number.to_bytes(4, "big") + block[4:])
    return path


def killed_half_way(server, path):
    """Push in a process of its own, killed when half of the bytes had been taken from it; returns how many were."""
    process = subprocess.Popen(
        [sys.executable, "-c", PUSH, server.endpoint, server.token, str(path)], stdout=subprocess.PIPE, text=True
    )
    taken = 0
    assert process.stdout is not None
    for line in process.stdout:
        taken = int(line)
        if taken >= SIZE // 2:
            process.kill()
            break
    taken = max([taken, *(int(line) for line in process.stdout if line.strip().isdigit())])
    process.stdout.close()
    assert process.wait() == -9
    return taken


def test_a_push_whose_process_was_killed_sends_only_the_rest(server, registry, big):
    taken = killed_half_way(server, big)
    (draft,) = registry.list_versions("resumed", states=["draft"])
    (upload,) = registry.list_uploads(draft.name)
    assert upload.persisted_size > 0

    sent = []

    def count(progress):
        if progress.phase is Phase.UPLOAD and (not sent or progress.done_bytes != sent[-1]):
            sent.append(progress.done_bytes)

    begin = time.monotonic()
    version = registry.push("resumed", big, progress=count)
    took_s = time.monotonic() - begin
    resent = SIZE - (sent[0] - MIB)
    again = f"persisted {upload.persisted_size / MIB:.0f}, sent again {resent / MIB:.0f}, {took_s:.1f} s"
    print(f"of {SIZE / MIB:.0f} MiB taken {taken / MIB:.0f}, {again}")
    assert version.name == draft.name
    assert version.state == versions_pb2.VERSION_STATE_READY
    assert sent == list(range(sent[0], SIZE + 1, MIB))
    assert resent <= SIZE - upload.persisted_size
    assert resent <= SIZE - taken + PART + 6 * MIB, "more than one part and what the transport held was sent twice"
    (artifact,) = registry.list_artifacts(version.name)
    with big.open("rb") as stream:
        assert artifact.digest.sha256 == hashlib.file_digest(stream, "sha256").hexdigest()


def test_a_push_outlives_a_restart_of_the_server(server, registry, tmp_path):
    path = tmp_path / "weights.bin"
    path.write_bytes(os.urandom(48 * MIB))
    restarted = []

    def restart(progress):
        if progress.phase is Phase.UPLOAD and progress.done_bytes >= 24 * MIB and not restarted:
            restarted.append(progress.done_bytes)
            server.kill()
            server.start()

    version = registry.push("outlived", path, progress=restart)
    assert restarted
    assert version.total_size_bytes == 48 * MIB
    with Registry(server.endpoint, token=server.token, cache_dir=tmp_path / "c") as other:
        assert (other.pull("outlived") / "weights.bin").read_bytes() == path.read_bytes()
