"""The thread through which a worker speaks to its parent outlives whatever a question meets, but not the parent."""

import json
import signal
import socket
import subprocess
import sys

import pytest

from registry_grpc.server.worker import HEALTH, READY

_WORKER = """
import signal, socket, sys
from registry_grpc.server.worker import Link

class Health:
    looks = 0

    @property
    def failing(self):
        self.looks += 1
        if self.looks == 1:
            raise RuntimeError("dictionary changed size during iteration")
        return {"database": "gone"}

class Server:
    ports, health = [7470], Health()

link = Link(socket.socket(fileno=int(sys.argv[1])))
link.serve()
link.started(Server())
signal.pause()
"""


@pytest.fixture
def parent():
    """The parent's end of the socket to a worker, whose process is also there."""
    ours, theirs = socket.socketpair()
    with theirs:
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(theirs.fileno())], pass_fds=[theirs.fileno()], stderr=subprocess.PIPE
        )
    with worker, ours:
        ours.settimeout(20)
        yield ours, worker
        worker.kill()


def test_a_question_that_cannot_be_answered_leaves_the_worker_its_voice(parent):
    ours, worker = parent
    answers = []
    with ours.makefile("r") as lines:
        for question in (READY, HEALTH, HEALTH):
            ours.sendall(f"{question}\n".encode())
            answers.append(json.loads(lines.readline()))
    assert answers == [{"ports": [7470]}, None, {"database": "gone"}]
    ours.close()
    assert worker.wait(10) == -signal.SIGTERM
    assert b"dictionary changed size" in worker.stderr.read()


def test_questions_that_come_together_are_all_answered_and_in_their_order(parent):
    ours, _ = parent
    questions = [READY, HEALTH, READY, HEALTH, READY]
    # As after a worker was stopped, or was slow while a scrape and a probe asked at once.
    ours.sendall("".join(f"{each}\n" for each in questions).encode())
    with ours.makefile("r") as lines:
        answers = [json.loads(lines.readline()) for _ in questions]
    ports = {"ports": [7470]}
    assert answers == [ports, None, ports, {"database": "gone"}, ports]
