"""The thread through which a worker speaks to its parent outlives whatever a question meets, but not the parent."""

import json
import signal
import socket
import subprocess
import sys

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

link = Link(socket.socket(fileno=int(sys.argv[1])).makefile("rw", encoding="utf-8", newline="\\n"))
link.serve()
link.started(Server())
signal.pause()
"""


def test_a_question_that_cannot_be_answered_leaves_the_worker_its_voice():
    ours, theirs = socket.socketpair()
    with theirs:
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(theirs.fileno())], pass_fds=[theirs.fileno()], stderr=subprocess.PIPE
        )
    with worker, ours:
        ours.settimeout(20)
        answers = []
        with ours.makefile("rw") as parent:
            for question in (READY, HEALTH, HEALTH):
                parent.write(question + "\n")
                parent.flush()
                answers.append(json.loads(parent.readline()))
        assert answers == [{"ports": [7470]}, None, {"database": "gone"}]
        ours.close()
        assert worker.wait(10) == -signal.SIGTERM
        assert worker.stderr is not None
        assert b"dictionary changed size" in worker.stderr.read()
