"""Drafts that nobody touches expire by the store's clock, and can be brought back."""

from datetime import timedelta

import pytest

from registry_grpc.domain.calls import Call, Principal
from registry_grpc.domain.names import ModelName
from registry_grpc.server.ids import RandomIds
from registry_grpc.storage.sql import SqlStore
from registry_grpc.usecases.deletion import DeleteVersion, UndeleteVersion
from registry_grpc.usecases.holders import PointerHolders
from registry_grpc.usecases.models import CreateModel
from registry_grpc.usecases.sweeps import ExpireDrafts
from registry_grpc.usecases.versions import CreateVersion, GetVersion, UpdateVersion

WEEK, DAY = timedelta(days=7), timedelta(days=1)
MODEL = ModelName("default", "m")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    embedded = request.param == "sqlite"
    url = f"sqlite:///{tmp_path / 'registry.db'}" if embedded else request.getfixturevalue("postgres_url")
    store = SqlStore(url, auto_upgrade=True)
    yield store
    store.close()


def call():
    return Call(principal=Principal("user:ada"), method="Tests.Change")


def test_an_untouched_draft_expires_and_one_that_was_worked_on_does_not(store):
    CreateModel(store, RandomIds())(call(), MODEL, {})
    create = CreateVersion(store, RandomIds(), WEEK)
    rested, touched = (create(call(), MODEL, {}).get().name for _ in range(2))
    expire = ExpireDrafts(store, DeleteVersion(store, (PointerHolders(),), 30 * DAY))
    store.clock_offset = WEEK - DAY
    assert expire() == 0
    UpdateVersion(store, WEEK)(call(), touched, "", {"owner": "ada"})
    store.clock_offset = WEEK + DAY
    assert expire() == 1
    assert expire() == 0
    get = GetVersion(store)
    assert get(rested).delete_time
    assert not get(touched).delete_time
    back = UndeleteVersion(store, WEEK)(call(), rested, "").get()
    assert back.expire_time > store.now() + WEEK - DAY
    assert expire() == 0
    assert create(call(), MODEL, {}).get().name.number == 3
