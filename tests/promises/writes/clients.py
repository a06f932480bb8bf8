"""A client that changes and asks at random, for histories."""

import random
import time

from registry_grpc.v1 import models_pb2, stages_pb2
from tests.kit.catalogue import request_id

VERSIONS = 3


class Client:
    """Changes and asks at random, through either replica, and remembers the newest revision it was told."""

    def __init__(self, number, history, models, apis, pause_s=0.0):
        """`pause_s`: between two calls."""
        self.number, self.history, self.models, self.apis = number, history, models, apis
        self.random = random.Random(number)
        self.seen = 0
        self.pause_s = pause_s

    def run(self, stop):
        while not stop.wait(self.pause_s):
            (self.write if self.random.random() < 0.5 else self.read)()

    def write(self):
        model, number = self.random.choice(self.models), self.random.randint(1, VERSIONS)
        version, asked = f"{model}/versions/{number}", request_id()
        stage = f"{model}/stages/production"
        service, method, request = self.random.choice(
            [
                *[
                    ("stages", "PromoteVersion", stages_pb2.PromoteVersionRequest(name=version, stage=each))
                    for each in ("archived", "staging", "production", "production")
                ],
                ("stages", "RollbackStage", stages_pb2.RollbackStageRequest(name=stage)),
                ("stages", "VacateStage", stages_pb2.VacateStageRequest(name=stage)),
                ("models", "UpdateAliases", models_pb2.UpdateAliasesRequest(parent=model, set={"champion": number})),
            ]
        )
        request.request_id = asked
        wanted = None
        if method == "PromoteVersion":
            wanted = ((model, request.stage), number)
        elif method == "UpdateAliases":
            wanted = ((model, "champion"), number)
        self.history.write(self.number, request, self.calls(service, method), wanted=wanted)

    def calls(self, service, method):
        """Through one replica, then the other, with time between for a broken one to come back."""
        first = self.random.randrange(2)
        for tries in range(4):
            if tries:
                time.sleep(0.2)
            yield getattr(getattr(self.apis[(first + tries) % 2], service), method)

    def read(self):
        model, api = self.random.choice(self.models), self.random.choice(self.apis)
        what = self.random.choice([{"stage": "production"}, {"stage": "staging"}, {"alias": "champion"}])
        wanted = self.seen if self.random.random() < 0.5 else 0
        request = stages_pb2.ResolveRequest(name=model, min_revision=wanted, **what)
        read = self.history.read(self.number, request, api.stages.Resolve)
        if read is not None:
            self.seen = max(self.seen, read.revision, read.pointer_revision)
