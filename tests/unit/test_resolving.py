"""The revision an answer from memory is told with."""

import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest

from registry_grpc.domain.calls import Principal
from registry_grpc.services import context as contexts
from registry_grpc.services.resolving import Resolver
from registry_grpc.services.stages import StageServicer
from registry_grpc.v1 import stages_pb2
from registry_grpc.watch.projection import Projection
from tests.server.edge import everything_to
from tests.unit.test_projection import NAMES, assigned

VERBS = ["get", "list_stages", "history", "promote", "rollback", "vacate", "evaluate", "freeze", "unfreeze"]


class Nobody:
    """Counts nothing."""

    def resolved(self, *_): ...


@pytest.fixture
def resolver():
    """It has news of revision 7 of a pointer, and its feed has read everything up to 5."""
    projection = Projection(lambda pointer: str(pointer.number).encode())
    projection.apply(assigned(7, 2))
    feed = SimpleNamespace(revision=5)
    feed.fresh_revision = lambda: feed.revision
    edge = SimpleNamespace(feed=feed)
    return Resolver(edge, projection, None, timedelta(seconds=1), Nobody(), Nobody())


async def test_an_answer_is_never_told_with_the_revision_of_a_commit_that_came_while_it_was_looked_up(
    resolver, monkeypatch
):
    """Commits come from other threads, so between any two steps."""
    stage = resolver.projection.stage

    def stage_then_commit(model, stage_id):
        entry = stage(model, stage_id)
        resolver.projection.apply(assigned(9, 3))
        resolver.edge.feed.revision = 9
        return entry

    monkeypatch.setattr(resolver.projection, "stage", stage_then_commit)
    request = stages_pb2.ResolveRequest(name=str(NAMES[0]), stage="production")
    answer = resolver.shortcut(request, "user:ada")
    assert answer(None) == (b"2", 7)
    assert answer(None) == (b"3", 9)


@pytest.mark.parametrize("last", [7, 9])
async def test_a_batch_is_told_with_the_youngest_revision_of_its_answers_whichever_came_last(last):
    first = asyncio.Event()

    class Answers:
        async def answer(self, request):
            if request.min_revision == last:
                await first.wait()
            contexts.call_context().revision = request.min_revision
            first.set()
            return b""

    context = contexts.CallContext("StageService.BatchResolve", "id", Principal("user:ada"))
    contexts.enter(context)
    servicer = StageServicer(
        SimpleNamespace(feed=SimpleNamespace(revision=0)), None, Answers(), None, **dict.fromkeys(VERBS)
    )
    requests = [stages_pb2.ResolveRequest(name=str(NAMES[0]), min_revision=revision) for revision in (7, 9)]
    batch = await servicer.BatchResolve(
        stages_pb2.BatchResolveRequest(parent="projects/default", requests=requests), None
    )
    assert len(batch.results) == 2
    assert context.revision == 9


@pytest.mark.parametrize(("read_to", "told"), [(5, 7), (9, 9)])
async def test_an_answer_is_told_with_the_revision_of_its_news_when_that_is_younger(resolver, read_to, told):
    resolver.edge.feed.revision = read_to
    request = stages_pb2.ResolveRequest(name=str(NAMES[0]), stage="production", min_revision=7)
    context = contexts.CallContext(
        "StageService.Resolve", "id", Principal("user:ada"), authority=everything_to("user:ada")
    )
    contexts.enter(context)

    assert await resolver.answer(request) == b"2"
    assert context.revision == told
    assert resolver.shortcut(request, "user:ada")(None) == (b"2", told)
