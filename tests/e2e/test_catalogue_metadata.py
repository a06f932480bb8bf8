"""The canonical metadata over real servers: kept to the last bit, frozen when finalized."""

import math
import struct

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from registry_grpc.v1 import metadata_pb2 as m
from registry_grpc.v1 import versions_pb2
from tests.kit.catalogue import Catalogue
from tests.kit.deployments import DEPLOYMENTS, deployed
from tests.kit.refusals import refused

MUTABLE = {"owner", "description", "model_card", "card", "tags", "annotations"}
DIGEST = "sha256:" + "ab" * 32
TEXT = "Zoë \u202bRTL\u202c 模型 🦀 e\u0301 \u200bend"
WHEN = Timestamp(seconds=1_700_000_000, nanos=123_456_000)


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def api(request):
    with deployed(request.param, request.getfixturevalue("service_environment")) as server:
        api = server.api()
        yield api
        api.close()


@pytest.fixture
def catalogue(api):
    return Catalogue(api)


def everything(parent: str) -> versions_pb2.ModelVersion:
    """A version with every field set that a caller may set, at the edges of its type."""
    value = m.ParameterValue
    return versions_pb2.ModelVersion(
        version_label="1.0.0-rc.1+build",
        owner=TEXT,
        description=f"{TEXT}\n\ttwo lines",
        model_card="# Card\n" + "x" * 100_000,
        card=m.ModelCard(
            intended_use=f"{TEXT}\n\ttwo lines",
            limitations="<script>alert(1)</script>",
            ethical_considerations="x" * 16_384,
            training_data="t",
            evaluation="e",
            contacts=[TEXT] * 16,
            license="apache-2.0",
            languages=["en", "pt-BR"],
            citation="@misc{x}",
        ),
        tags={"Team": TEXT, "k" * 128: "v" * 512},
        annotations={"ci/run": "https://ci/1", "e\u0301": "é"},
        framework=m.Framework(name="pytorch", version="2.5.1+cu121"),
        algorithm="gradient boosting",
        task="binary-classification",
        domain="fraud",
        signature=m.Signature(
            inputs=[
                m.TensorSpec(name=f"x{kind}", data_type=kind, shape=[-1, 0, 2**62], optional=True)
                for kind in m.DataType.values()
                if kind
            ],
            outputs=[m.TensorSpec(name="score", data_type=m.DATA_TYPE_FLOAT32)],
            parameters=[m.TensorSpec(name="temperature", data_type=m.DATA_TYPE_FLOAT64)],
        ),
        provenance=m.Provenance(
            training_run=m.TrainingRun(
                id="run-1", uri="https://runs/1?a=b#c", start_time=Timestamp(), end_time=WHEN, hardware="8 x H100"
            ),
            code=m.CodeRevision(repository="git@host:repo.git", revision="abc", path="train.py", dirty=True),
            training_data=[
                m.DatasetVersion(name="d", version="3", uri="s3://b/k", digest="md5:00ff", role=role)
                for role in m.DatasetVersion.Role.values()
            ],
            preprocessing=[
                m.PreprocessingStep(
                    name="scale",
                    version="1",
                    code=m.CodeRevision(revision="def"),
                    parameters={"with_mean": value(bool_value=False)},
                ),
                m.PreprocessingStep(name="drop"),
            ],
            parents=[
                m.ParentModel(relation=relation, version=parent, uri="hf://base", digest=DIGEST)
                for relation in m.ParentModel.Relation.values()
                if relation
            ],
        ),
        parameters={
            "nan": value(double_value=math.nan),
            "inf": value(double_value=-math.inf),
            "negative zero": value(double_value=-0.0),
            "tiny": value(double_value=5e-324),
            "third": value(double_value=0.1),
            "most": value(int64_value=2**63 - 1),
            "least": value(int64_value=-(2**63)),
            "zero": value(int64_value=0),
            "yes": value(bool_value=True),
            "no": value(bool_value=False),
            "text": value(string_value=TEXT),
            "empty": value(string_value=""),
        },
        dependencies=[
            m.Dependency(ecosystem="pypi", name="torch", version=">=2.5,<3", marker='sys_platform == "linux"'),
            m.Dependency(ecosystem="deb", name="libgomp1"),
        ],
        metrics=[
            m.Metric(
                name="auc",
                value=number,
                dataset="holdout",
                dataset_version="7",
                slice="country=DE",
                direction=direction,
                measure_time=WHEN,
            )
            for number, direction in (
                (math.nan, m.Metric.DIRECTION_MAXIMISE),
                (math.inf, m.Metric.DIRECTION_MINIMISE),
                (-0.0, m.Metric.DIRECTION_UNSPECIFIED),
                (1.7976931348623157e308, m.Metric.DIRECTION_MAXIMISE),
            )
        ],
    )


def bits(number: float) -> bytes:
    return struct.pack(">d", number)


def given_part(version: versions_pb2.ModelVersion, given: versions_pb2.ModelVersion) -> bytes:
    """The fields of `version` that `given` has, as bytes that tell NaN from NaN and -0.0 from 0.0."""
    part = versions_pb2.ModelVersion()
    part.CopyFrom(version)
    for field in versions_pb2.ModelVersion.DESCRIPTOR.fields:
        if field.name not in {known.name for known, _ in given.ListFields()}:
            part.ClearField(field.name)
    return part.SerializeToString(deterministic=True)


def test_every_field_comes_back_exactly(catalogue):
    model = catalogue.model()
    parent = catalogue.ready(model)
    given = everything(parent.name)
    made = catalogue.api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=model, version=given))
    wanted = given.SerializeToString(deterministic=True)
    assert given_part(made, given) == wanted
    catalogue.upload(made.name, "weights.bin", b"w")
    catalogue.finalize(made.name)
    for version in (catalogue.version(made.name), catalogue.versions(model)[0]):
        assert given_part(version, given) == wanted
        assert bits(version.parameters["negative zero"].double_value) == bits(-0.0)
        assert bits(version.metrics[2].value) == bits(-0.0)
        assert math.isnan(version.metrics[0].value)


def test_what_the_server_sets_is_ignored_in_a_creation(catalogue):
    model = catalogue.model()
    made = catalogue.draft(
        model, uid="mine", number=77, state=3, stage="production", aliases=["a"], manifest_digest="x", revision=9
    )
    assert (made.number, made.state, made.stage, list(made.aliases)) == (
        1,
        versions_pb2.VERSION_STATE_DRAFT,
        "",
        [],
    )
    assert made.uid != "mine"
    assert (made.manifest_digest, made.revision) == ("", catalogue.revision())


def test_a_finalized_version_is_frozen_field_by_field_and_what_people_write_still_changes(catalogue):
    model = catalogue.model()
    parent = catalogue.ready(model)
    given = everything(parent.name)
    made = catalogue.api.models.CreateVersion(versions_pb2.CreateVersionRequest(parent=model, version=given))
    catalogue.upload(made.name, "weights.bin", b"w")
    catalogue.finalize(made.name)
    before = catalogue.revision()
    frozen = {field.name for field, _ in given.ListFields()} - MUTABLE - {"version_label"}
    for name in sorted(frozen):
        for fields in ({}, {name: getattr(given, name)}):
            kept = refused(catalogue.update, made.name, name, **fields)
            assert (kept.code, kept.reason) == ("FAILED_PRECONDITION", "VERSION_IMMUTABLE"), name
            assert kept.subjects == (f"version.{name}",)
            assert kept.facts == {"version": made.name, "state": "READY"}
    both = refused(catalogue.update, made.name, "task", "owner", "domain", owner="x")
    assert both.subjects == ("version.domain", "version.task")
    assert catalogue.revision() == before
    assert given_part(catalogue.version(made.name), given) == given.SerializeToString(deterministic=True)
    for name, value in (
        ("owner", "new"),
        ("description", "new"),
        ("model_card", "# New"),
        ("card", m.ModelCard(limitations="new", contacts=["a"])),
        ("tags", {"a": "b"}),
        ("annotations", {}),
    ):
        changed = catalogue.update(made.name, name, **{name: value})
        shown = getattr(changed, name)
        assert (dict(shown) if isinstance(value, dict) else shown) == value
        assert changed.manifest_digest
        assert changed.etag != made.etag


def test_everything_but_the_label_changes_while_draft_and_each_change_puts_the_end_off(catalogue):
    model = catalogue.model()
    parent = catalogue.ready(model)
    given = everything(parent.name)
    draft = catalogue.draft(model, version_label=given.version_label)
    given.ClearField("version_label")
    given.name = draft.name
    changed = catalogue.api.models.UpdateVersion(versions_pb2.UpdateVersionRequest(version=given))
    given.ClearField("name")
    assert given_part(changed, given) == given.SerializeToString(deterministic=True)
    assert changed.expire_time.ToNanoseconds() > draft.expire_time.ToNanoseconds()
    cleared = catalogue.update(draft.name, "*")
    for field, _ in given.ListFields():
        assert not getattr(cleared, field.name) or not cleared.HasField(field.name), field.name
    assert cleared.version_label == draft.version_label


def test_lineage_to_a_version_that_does_not_exist_is_refused(catalogue):
    model = catalogue.model()
    before = catalogue.revision()
    for name in (f"{model}/versions/9", "projects/default/models/none/versions/1"):
        parents = [m.ParentModel(relation=m.ParentModel.RELATION_DISTILLED, version=name)]
        absent = refused(catalogue.draft, model, provenance=m.Provenance(parents=parents))
        assert (absent.code, absent.reason, absent.facts["resource"]) == ("NOT_FOUND", "VERSION_NOT_FOUND", name)
    assert catalogue.revision() == before


def test_an_empty_draft_is_not_finalized_and_a_finalized_one_stays_as_it_is(catalogue):
    model = catalogue.model()
    draft = catalogue.draft(model)
    assert refused(catalogue.finalize, draft.name).reason == "VERSION_EMPTY"
    one = catalogue.ready(model)
    assert catalogue.finalize(one.name, manifest_digest=one.manifest_digest) == one
    other = refused(catalogue.finalize, one.name, manifest_digest=DIGEST)
    assert (other.reason, other.facts["actual"]) == ("DIGEST_MISMATCH", one.manifest_digest)
    assert one.location == f"mreg://{model.split('/')[1]}/{model.split('/')[3]}/2@{one.manifest_digest}"
