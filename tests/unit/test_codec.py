"""What goes out and comes back is the same value, for anything the domain can hold."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from registry_grpc.domain import metadata as m
from registry_grpc.domain.artifacts import Artifact, Upload, UploadState
from registry_grpc.domain.digests import Digest
from registry_grpc.domain.errors import RegistryError
from registry_grpc.domain.names import ModelName, ProjectName, UploadName, VersionName
from registry_grpc.domain.pointers import Pointer, PointerKind, Target
from registry_grpc.domain.resources import Model, Project, StageDefinition, Version, VersionState
from registry_grpc.domain.tenancy import Quotas, Retention
from registry_grpc.services.codec import artifacts, models, pointers, projects, times, versions
from registry_grpc.v1 import metadata_pb2, versions_pb2

moments = st.datetimes(timezones=st.just(UTC))
maybe = st.one_of(st.none(), moments)
words = st.text(st.characters(codec="utf-8"), max_size=8)
ids = st.from_regex(r"[a-z]([a-z0-9]{0,5}[a-z0-9])?", fullmatch=True)
pairs = st.dictionaries(words, words, max_size=3)
numbers = st.integers(1, 10**12)
flags = st.booleans()
int64s = st.integers(-(2**63), 2**63 - 1)


def tuples(of, size=3):
    return st.lists(of, max_size=size).map(tuple)


def ends_after_it_began(run):
    """What the wire takes; the domain does not ask."""
    return run.start_time is None or run.end_time is None or run.start_time <= run.end_time


model_names = st.builds(ModelName, ids, ids)
version_names = st.builds(VersionName, ids, ids, numbers)
parameter = st.one_of(
    st.builds(m.Parameter, words, double=st.floats(allow_nan=False)),
    st.builds(m.Parameter, words, int64=int64s),
    st.builds(m.Parameter, words, boolean=flags),
    st.builds(m.Parameter, words, text=words),
)
parameters = st.lists(parameter, max_size=3, unique_by=lambda p: p.name).map(
    lambda items: tuple(sorted(items, key=lambda p: p.name))
)
tensor = st.builds(m.TensorSpec, words, st.sampled_from(m.DataType), tuples(st.integers(-1, 2**62)), flags)
code = st.builds(m.CodeRevision, words, words, words, flags)
metadata = st.builds(
    m.Metadata,
    framework=st.none() | st.builds(m.Framework, words, words),
    algorithm=words,
    task=words,
    domain=words,
    signature=st.none() | st.builds(m.Signature, tuples(tensor), tuples(tensor), tuples(tensor)),
    provenance=st.none()
    | st.builds(
        m.Provenance,
        st.none() | st.builds(m.TrainingRun, words, words, maybe, maybe, words).filter(ends_after_it_began),
        st.none() | code,
        tuples(
            st.builds(
                m.DatasetVersion,
                words,
                words,
                words,
                words,
                st.none() | st.sampled_from(m.DatasetRole),
            )
        ),
        tuples(st.builds(m.PreprocessingStep, words, words, st.none() | code, parameters)),
        tuples(st.builds(m.ParentModel, st.sampled_from(m.Relation), words, words, words)),
    ),
    parameters=parameters,
    dependencies=tuples(st.builds(m.Dependency, words, words, words, words)),
    metrics=tuples(
        st.builds(
            m.Metric,
            words,
            st.floats(allow_nan=False),
            words,
            words,
            words,
            st.none() | st.sampled_from(m.Direction),
            maybe,
        )
    ),
)
version = st.builds(
    Version,
    uid=words,
    model_uid=st.just(""),
    name=version_names,
    state=st.sampled_from(VersionState),
    stage=words,
    aliases=tuples(words),
    version_label=words,
    owner=words,
    description=words,
    model_card=words,
    card=st.none()
    | st.builds(m.ModelCard, words, words, words, words, words, tuples(words), words, tuples(words), words),
    tags=pairs,
    annotations=pairs,
    metadata=metadata,
    formats=tuples(st.builds(m.Format, words, flags, words, st.integers(0, 2**31 - 1))),
    file_count=st.integers(0, 2**31 - 1),
    total_size_bytes=numbers,
    manifest_digest=words,
    creator=words,
    copied_from=words,
    create_time=moments,
    update_time=moments,
    finalize_time=maybe,
    expire_time=maybe,
    delete_time=maybe,
    purge_time=maybe,
    revision=numbers,
)
model = st.builds(
    Model,
    uid=words,
    name=model_names,
    display_name=words,
    description=words,
    owner=words,
    tags=pairs,
    annotations=pairs,
    creator=words,
    create_time=moments,
    update_time=moments,
    delete_time=maybe,
    purge_time=maybe,
    revision=numbers,
)
spans = st.none() | st.timedeltas(timedelta(0), timedelta(days=3650))
project = st.builds(
    Project,
    uid=words,
    name=st.builds(ProjectName, ids),
    display_name=words,
    description=words,
    stages=tuples(st.builds(StageDefinition, words, words, flags, flags, flags, tuples(words), words)),
    tags=pairs,
    annotations=pairs,
    quotas=st.builds(Quotas, *[numbers] * 6),
    retention=st.builds(Retention, spans, spans),
    create_time=moments,
    update_time=moments,
    delete_time=maybe,
    purge_time=maybe,
    revision=numbers,
)


@given(version)
def test_a_version_survives_the_wire(value):
    message = versions.version_to_wire(value)
    again = type(message).FromString(message.SerializeToString())
    assert versions.version_from_wire(again) == value


@given(model)
def test_a_model_survives_the_wire(value):
    assert models.model_from_wire(models.model_to_wire(value)) == value


@given(project)
def test_a_project_survives_the_wire(value):
    assert projects.project_from_wire(projects.project_to_wire(value)) == value


@given(moments)
def test_a_time_survives_the_wire(value):
    wire = times.time_to_wire(value)
    assert times.time_from_wire(wire, "t") == value
    assert wire.ToDatetime(UTC) == value


@given(st.timedeltas(timedelta(days=-1000), timedelta(days=1000)))
def test_a_duration_survives_the_wire(value):
    wire = times.duration_to_wire(value)
    assert times.duration_from_wire(wire, "d") == value
    assert wire.ToTimedelta() == value


def test_nanoseconds_are_cut_off_and_not_rounded():
    found = times.time_from_wire(Timestamp(seconds=-1, nanos=999_999_999), "t")
    assert found == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@pytest.mark.parametrize("wire", [Duration(seconds=1, nanos=-1), Duration(nanos=10**9), Duration(seconds=2**62)])
def test_durations_that_contradict_themselves_are_refused(wire):
    with pytest.raises(RegistryError, match="ttl"):
        times.duration_from_wire(wire, "ttl")


def test_an_unknown_enum_names_its_path():
    wire = versions_pb2.ModelVersion(metrics=[metadata_pb2.Metric(name="a", direction=9)])
    with pytest.raises(RegistryError) as caught:
        versions.metadata_from_wire(wire)
    assert caught.value.violations[0].subject == "version.metrics[0].direction"


def test_changes_take_only_the_fields_asked_for():
    wire = versions_pb2.ModelVersion(owner="ada", description="x", algorithm="gbm", task="t")
    assert versions.version_changes(wire, {"owner", "algorithm"}) == {"owner": "ada"}
    assert versions.metadata_changes(wire, {"owner", "algorithm"}) == {"algorithm": "gbm"}


NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = ModelName("p", "m")
TARGET = Target(
    name=MODEL.version(3),
    uid="u",
    manifest_digest="sha256:" + "a" * 64,
    file_count=2,
    total_size_bytes=9,
    stage="production",
)


def pointer(**changes):
    values = {
        "model": MODEL,
        "model_uid": "mu",
        "kind": PointerKind.STAGE,
        "id": "production",
        "target": TARGET,
        "previous_number": 2,
        "revision": 7,
        "set_time": NOW,
    }
    return Pointer(**(values | changes))


def test_a_vacant_stage_has_no_holder_but_still_an_etag():
    wire = pointers.stage_to_wire(pointer(target=None))
    assert (wire.version, wire.version_number, wire.HasField("assign_time")) == ("", 0, False)
    assert wire.previous_version == "projects/p/models/m/versions/2"
    assert wire.etag


def test_resolve_pins_what_the_pointer_points_at():
    wire = pointers.pointer_to_resolve_response(pointer(), max_age=timedelta(seconds=60))
    assert wire.location == "mreg://p/m/3@sha256:" + "a" * 64
    assert (wire.pointer_revision, wire.max_age.seconds) == (7, 60)


def upload(**changes):
    values = {
        "name": UploadName("p", "00000000-0000-4000-8000-000000000000"),
        "version": MODEL.version(1),
        "version_uid": "v",
        "path": "w.bin",
        "size_bytes": 10,
        "sha256": "",
        "media_type": "",
        "state": UploadState.ACTIVE,
        "epoch": 1,
        "key": "k",
        "store_upload": "",
        "part_bytes": 16 << 20,
        "persisted_size": 5,
        "creator": "user:ada",
        "create_time": NOW,
        "expire_time": NOW,
    }
    return Upload(**(values | changes))


def test_an_upload_says_where_it_stands_and_a_committed_one_what_it_became():
    active = artifacts.upload_to_wire(upload())
    assert (active.persisted_size, active.max_chunk_bytes) == (5, 2 << 20)
    assert active.rewind_bytes == 16 << 20
    file = Artifact(
        version=MODEL.version(1),
        version_uid="v",
        path="w.bin",
        blob_uid="b",
        digest=Digest("a" * 64, 10),
        media_type="x/y",
        create_time=NOW,
        revision=3,
    )
    done = artifacts.upload_to_wire(upload(state=UploadState.COMMITTED, artifact=file))
    assert done.WhichOneof("write_status") == "artifact"
    assert done.artifact.path == "w.bin"
