"""Resolve over real servers: every way to ask, and how fresh the answer is."""

import time

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from registry_grpc.v1 import server_pb2, stages_pb2
from tests.kit.catalogue import MIN_REVISION, REVISION, Catalogue
from tests.kit.deployments import DEPLOYMENTS, deployed, two_replicas
from tests.kit.refusals import from_status, refused
from tests.kit.waiting import metric, until

FULL = stages_pb2.RESOLVE_VIEW_FULL


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def server(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        yield server


@pytest.fixture(scope="module")
def api(server):
    api = server.api()
    yield api
    api.close()


@pytest.fixture
def catalogue(api):
    return Catalogue(api)


def test_every_selector_finds_the_version_and_says_how_to_pin_it(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    promoted = catalogue.bring(one.name, "production")
    pointed = catalogue.alias(model, champion=1)
    two = catalogue.ready(model)
    current = catalogue.version(one.name)
    for question, revision in (
        ({"stage": "production"}, promoted.revision),
        ({"reference": "production"}, promoted.revision),
        ({"alias": "champion"}, pointed.revision),
        ({"reference": "champion"}, pointed.revision),
        ({"version": 1}, current.revision),
        ({"manifest_digest": one.manifest_digest}, current.revision),
    ):
        answer = catalogue.resolve(model, **question)
        assert (answer.version, answer.version_number, answer.version_uid) == (one.name, 1, one.uid)
        assert (answer.manifest_digest, answer.location) == (one.manifest_digest, one.location)
        assert (answer.file_count, answer.total_size_bytes) == (1, one.total_size_bytes)
        assert (answer.stage, answer.pointer_revision) == ("production", revision), question
        assert answer.max_age.seconds == 3600
        assert answer.HasField("assign_time")
        assert (answer.stale, answer.unchanged, answer.yanked, len(answer.artifacts)) == (False, False, False, 0)
    for question in ({"alias": "latest"}, {"reference": "latest"}):
        assert catalogue.resolve(model, **question).version == two.name


def test_what_is_not_there_is_named_as_precisely_as_it_is_absent(catalogue):
    model = catalogue.model()
    draft = catalogue.draft(model)
    for question, code, reason in (
        ({"stage": "production"}, "NOT_FOUND", "STAGE_VACANT"),
        ({"stage": "canary"}, "NOT_FOUND", "STAGE_NOT_FOUND"),
        ({"reference": "production"}, "NOT_FOUND", "STAGE_VACANT"),
        ({"reference": "canary"}, "NOT_FOUND", "ALIAS_NOT_FOUND"),
        ({"alias": "champion"}, "NOT_FOUND", "ALIAS_NOT_FOUND"),
        ({"alias": "latest"}, "NOT_FOUND", "ALIAS_NOT_FOUND"),
        ({"version": draft.number}, "FAILED_PRECONDITION", "VERSION_STATE"),
        ({"version": 9}, "NOT_FOUND", "VERSION_NOT_FOUND"),
        ({"manifest_digest": "sha256:" + "0" * 64}, "NOT_FOUND", "VERSION_NOT_FOUND"),
    ):
        absent = refused(catalogue.resolve, model, **question)
        assert (absent.code, absent.reason) == (code, reason), question
    missing = refused(catalogue.resolve, f"{catalogue.parent}/models/none", stage="production")
    assert (missing.code, missing.reason) == ("NOT_FOUND", "MODEL_NOT_FOUND")


def test_of_two_versions_with_the_same_content_the_digest_finds_the_newer(catalogue):
    model = catalogue.model()
    one, two = catalogue.ready(model, b"same"), catalogue.ready(model, b"same")
    assert one.manifest_digest == two.manifest_digest
    assert catalogue.resolve(model, manifest_digest=one.manifest_digest).version_number == 2
    catalogue.delete(two.name)
    assert catalogue.resolve(model, manifest_digest=one.manifest_digest).version_number == 1


def test_a_poller_by_digest_is_told_when_the_version_it_has_was_deleted(catalogue):
    model = catalogue.model()
    one, two = catalogue.ready(model, b"same"), catalogue.ready(model, b"same")
    question = {"manifest_digest": two.manifest_digest}
    seen = catalogue.resolve(model, **question).pointer_revision
    assert catalogue.resolve(model, **question, if_changed_since=seen).unchanged
    catalogue.delete(two.name)
    # The one that is found now is older than what was seen.
    assert catalogue.resolve(model, **question, if_changed_since=seen).version == one.name


def test_a_poller_is_told_unchanged_until_the_pointer_moves(catalogue):
    model = catalogue.model()
    one, two = catalogue.readies(model, 2)
    catalogue.bring(one.name, "production")
    catalogue.alias(model, champion=1)
    questions = ({"stage": "production"}, {"alias": "champion"}, {"version": 1}, {"stage": "production", "view": FULL})
    for question in questions:
        seen = catalogue.resolve(model, **question).pointer_revision
        same = catalogue.resolve(model, **question, if_changed_since=seen)
        assert same == stages_pb2.ResolveResponse(unchanged=True, pointer_revision=seen)
        assert catalogue.resolve(model, **question, if_changed_since=seen - 1).version == one.name
    seen = catalogue.resolve(model, stage="production").pointer_revision
    catalogue.bring(two.name, "production")
    assert catalogue.resolve(model, stage="production", if_changed_since=seen).version == two.name


def test_an_alias_says_in_which_stage_its_version_is_now(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    before = catalogue.alias(model, champion=1)
    for stage in ("staging", "production", "archived"):
        catalogue.promote(one.name, stage)
        answer = catalogue.resolve(model, alias="champion")
        assert (answer.stage, answer.pointer_revision) == (stage, before.revision)
        assert catalogue.resolve(model, alias="latest").stage == stage


def test_the_full_view_has_the_files(catalogue):
    model = catalogue.model()
    draft = catalogue.draft(model)
    for path in ("b/weights.bin", "a.json"):
        catalogue.upload(draft.name, path, path.encode())
    catalogue.finalize(draft.name)
    answer = catalogue.resolve(model, alias="latest", view=FULL)
    assert [(a.path, a.digest.size_bytes) for a in answer.artifacts] == [("a.json", 6), ("b/weights.bin", 13)]
    assert (answer.file_count, answer.version) == (2, draft.name)
    answer.ClearField("artifacts")
    assert answer == catalogue.resolve(model, alias="latest")


def test_a_batch_mixes_answers_and_errors_in_the_order_asked(catalogue):
    model, empty = catalogue.model(), catalogue.model()
    one = catalogue.ready(model)
    catalogue.bring(one.name, "production")
    ask = stages_pb2.ResolveRequest
    requests = [
        ask(name=model, stage="production"),
        ask(name=empty, stage="production"),
        ask(name=model, version=1, view=FULL),
        ask(name=f"{catalogue.parent}/models/none", alias="latest"),
        ask(name=model, alias="latest", as_of=Timestamp(seconds=1)),
    ] * 20
    batch = stages_pb2.BatchResolveRequest(parent=catalogue.parent, requests=requests)
    results = catalogue.api.stages.BatchResolve(batch).results
    assert len(results) == 100
    for start in range(0, 100, 5):
        found, vacant, full, absent, wrong = results[start : start + 5]
        assert found.response == catalogue.resolve(model, stage="production")
        assert full.response.artifacts[0].path == "weights.bin"
        assert [from_status(each.error).reason for each in (vacant, absent, wrong)] == [
            "STAGE_VACANT",
            "MODEL_NOT_FOUND",
            "INVALID_FIELD",
        ]
    foreign = stages_pb2.BatchResolveRequest(parent="projects/default", requests=requests[:1])
    seen = refused(catalogue.api.stages.BatchResolve, foreign)
    assert (seen.reason, seen.fields) == ("INVALID_FIELD", ("requests[0].name",))
    for count, reason in ((0, "INVALID_FIELD"), (101, "INVALID_FIELD")):
        batch = stages_pb2.BatchResolveRequest(parent=catalogue.parent, requests=requests[:1] * count)
        assert refused(catalogue.api.stages.BatchResolve, batch).reason == reason


def settled(counted):
    time.sleep(0.1)
    return counted("cache"), counted("db")


def test_the_hot_path_answers_from_memory(catalogue, server):
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.bring(one.name, "production")
    catalogue.alias(model, champion=1)

    def counted(source):
        return metric(server.metrics_port, "registry_resolve_total", source=source, result="ok")

    # Counts are shown in batches: wait for those of what came before.
    before = until(lambda: (seen := (counted("cache"), counted("db"))) == settled(counted) and seen, within_s=5)
    for question in ({"stage": "production"}, {"alias": "champion"}, {"alias": "latest"}, {"reference": "champion"}):
        catalogue.resolve(model, **question)
    catalogue.resolve(model, version=1)
    until(lambda: (counted("cache"), counted("db")) == (before[0] + 4, before[1] + 1), within_s=5)


def test_a_revision_from_the_future_is_refused_at_once(catalogue):
    model = catalogue.model()
    one = catalogue.ready(model)
    catalogue.bring(one.name, "production")
    head, uid = catalogue.revision(), catalogue.api.server.GetServerInfo(server_pb2.GetServerInfoRequest()).registry_uid
    stage = stages_pb2.ResolveRequest(name=model, stage="production", min_revision=head + 1000)
    number = stages_pb2.ResolveRequest(name=model, version=1)
    batch = stages_pb2.BatchResolveRequest(parent=catalogue.parent, requests=[number] * 50)
    header = ((MIN_REVISION, str(head + 1000)),)
    get = stages_pb2.GetStageRequest(name=f"{model}/stages/production")
    for call, request, metadata in (
        (catalogue.api.stages.Resolve, stage, ()),
        (catalogue.api.stages.Resolve, number, header),
        (catalogue.api.stages.GetStage, get, header),
    ):
        began = time.monotonic()
        late = refused(call, request, metadata=metadata)
        assert (late.code, late.reason) == ("OUT_OF_RANGE", "REVISION_UNKNOWN")
        assert late.facts == {
            "registryUid": uid,
            "requestedRevision": str(head + 1000),
            "currentRevision": str(head),
        }
        assert time.monotonic() - began < 1
    # A wish of the call is one for all; one of a question is that question's.
    assert refused(catalogue.api.stages.BatchResolve, batch, metadata=header).reason == "REVISION_UNKNOWN"
    batch.requests[7].CopyFrom(stage)
    results = catalogue.api.stages.BatchResolve(batch).results
    assert [from_status(each.error).reason for each in results if each.HasField("error")] == ["REVISION_UNKNOWN"]
    assert results[7].HasField("error")
    stage.min_revision = head
    assert catalogue.api.stages.Resolve(stage).version == one.name


def test_as_of_equals_what_was_answered_then(catalogue):
    model = catalogue.model()
    one, two, three = catalogue.readies(model, 3)
    story = []

    def step(action, *arguments, **fields):
        action(*arguments, **fields)
        stages = {
            stage: catalogue.holder(model, stage) for stage in ("development", "staging", "production", "archived")
        }
        # The time of the registry, between this change and the next.
        newest = catalogue.history(model)[0].assign_time
        story.append((newest, stages))

    step(catalogue.promote, one.name, "staging")
    step(catalogue.promote, one.name, "production")
    step(catalogue.promote, two.name, "staging")
    step(catalogue.promote, two.name, "production")
    step(catalogue.rollback, model)
    step(catalogue.promote, three.name, "staging")
    step(catalogue.vacate, model)
    step(catalogue.rollback, model)
    step(catalogue.promote, three.name, "production")
    step(catalogue.promote, two.name, "staging")
    step(catalogue.delete, one.name)
    step(catalogue.undelete, one.name)
    step(catalogue.rollback, model, target_version=2)
    assert [stages["production"] for _, stages in story] == [0, 1, 1, 2, 1, 1, 0, 1, 3, 3, 3, 3, 2]
    for when, stages in story:
        for stage, number in stages.items():
            for moment in (when, Timestamp(seconds=when.seconds, nanos=when.nanos + 999)):
                ask = {"stage": stage, "as_of": moment}
                if number:
                    answer = catalogue.resolve(model, **ask)
                    assert (answer.version_number, answer.stage) == (number, stage), (when, stage)
                    assert answer.assign_time.ToNanoseconds() <= when.ToNanoseconds()
                else:
                    assert refused(catalogue.resolve, model, **ask).reason == "STAGE_VACANT", (when, stage)
    first = story[0][0]
    before = Timestamp(seconds=first.seconds - 3600)
    assert refused(catalogue.resolve, model, stage="staging", as_of=before).reason == "STAGE_VACANT"
    assert catalogue.resolve(model, reference="production", as_of=story[3][0]).version == two.name


def test_another_replica_sees_a_promotion_within_two_seconds(service_environment):
    with two_replicas(service_environment) as (first, second):
        here = Catalogue(first.api())
        there = here.on(second.api())
        model = here.model()
        for version in here.readies(model, 3):
            here.bring(version.name, "production")
            here.alias(model, champion=version.number)
            wanted = version.number
            until(lambda wanted=wanted: there.holder(model) == wanted, within_s=2)
            until(lambda wanted=wanted: there.resolve(model, alias="champion").version_number == wanted, within_s=2)
        answer, call = there.api.stages.Resolve.with_call(stages_pb2.ResolveRequest(name=model, stage="production"))
        assert not answer.stale
        assert int(dict(call.trailing_metadata())[REVISION]) <= here.revision()
        # Not only by asking the database: its own feed brings it.
        ask = {"model": model, "stage": "production"}
        cached = {"source": "cache", "result": "ok"}
        until(
            lambda: there.resolve(**ask) and metric(second.metrics_port, "registry_resolve_total", **cached), within_s=5
        )
        here.api.close()
        there.api.close()
