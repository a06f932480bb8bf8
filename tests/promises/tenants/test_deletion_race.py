"""Writers in a project that is deleted meanwhile: what comes after its deletion in the log is not theirs. P14."""

import threading

import pytest

from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.events import Action
from registry_grpc.domain.names import ModelName, ProjectName
from registry_grpc.domain.resources import Project
from registry_grpc.server.ids import RandomIds
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.models import CreateModel, UpdateModel
from registry_grpc.usecases.project_deletion import DeleteProject, UndeleteProject
from registry_grpc.usecases.projects import CreateProject, UpdateProject
from registry_grpc.usecases.quotas import RepairUsage
from registry_grpc.usecases.versions import CreateVersion
from tests.kit.waiting import until
from tests.promises.tenants.stores import DAY, NoDrift, call, store

__all__ = ["store"]
MODELS = 4
DELETIONS = 12
NAME = ProjectName("p")
EXPECTED = {"PROJECT_NOT_FOUND", "PROJECT_DELETED", "TRANSACTION_CONFLICT"}


class Writers:
    """Threads that create and change what they can, and note how they were refused."""

    def __init__(self, store, models):
        self._create, self._update = CreateVersion(store, RandomIds(), DAY), UpdateModel(store)
        self._more, self._rename = CreateModel(store, RandomIds()), UpdateProject(store)
        self._models = models
        self.ended = threading.Event()
        self.refused = set()
        self.done = 0
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(len(models))]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def let_some_through(self):
        """Wait until each could have written."""
        enough = self.done + MODELS
        until(lambda: self.done >= enough, within_s=30)

    def _write(self, number):
        turn = 0
        while not self.ended.is_set():
            turn += 1
            try:
                self._one(number, turn)
                self.done += 1
            except RegistryError as error:
                self.refused.add(error.reason.value)

    def _one(self, number, turn):
        match (turn + number) % 4:
            case 0:
                self._create(call(), self._models[number], {})
            case 1:
                self._update(call(), self._models[number], "", {"owner": str(turn)})
            case 2:
                self._more(call(), ModelName("p", f"m{number}-{turn}"), {})
            case _:
                self._rename(call(), NAME, "", {"description": str(turn)})


@pytest.mark.promise("P14", "purge race")
def test_no_write_in_a_project_follows_its_deletion_in_the_log(store):
    CreateProject(store, RandomIds())(call(), NAME, {})
    models = [ModelName("p", f"m{number}") for number in range(MODELS)]
    for model in models:
        CreateModel(store, RandomIds())(call(), model, {})
    with Writers(store, models) as writers:
        for _ in range(DELETIONS):
            DeleteProject(store, (PointerHolders(),), DAY)(call(), NAME, "", force=True)
            UndeleteProject(store)(call(), NAME, "")
            writers.let_some_through()
    assert writers.refused <= EXPECTED

    is_deleted, deletions = False, 0
    for event in store.read(lambda reader: list(reader.feed.after(0, 1_000_000))):
        if isinstance(event.after, Project) and event.after.name == NAME:
            is_deleted = event.action is Action.DELETED
            deletions += is_deleted
        elif getattr(event.after.name, "project", "") == "p":
            assert not is_deleted, event
    assert deletions == DELETIONS
    assert RepairUsage(store, NoDrift())() == 0
