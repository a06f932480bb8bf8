from datetime import UTC, datetime

import pytest

from registry_grpc.client import InvalidArgument, metadata
from registry_grpc.client.push import push_key, push_message
from registry_grpc.client.version_fields import version_message
from registry_grpc.v1 import metadata_pb2


@pytest.mark.parametrize(
    ("value", "name", "version"),
    [
        ("scikit-learn==1.5.2", "scikit-learn", "1.5.2"),
        ("PyTorch", "pytorch", ""),
        (("scikit-learn", "1.5.0"), "scikit-learn", "1.5.0"),
        (metadata_pb2.Framework(name="x", version="1"), "x", "1"),
    ],
)
def test_frameworks(value, name, version):
    made = metadata.framework(value)
    assert (made.name, made.version) == (name, version)


@pytest.mark.parametrize("value", [True, False, 0, 1, -5, 0.5, float("inf"), "text", ""])
def test_parameters_keep_their_type(value):
    made = metadata.plain(metadata.parameter(value))
    assert made == value
    assert type(made) is type(value)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("numpy==2.1.0", ("numpy", "2.1.0", "")),
        ("numpy == 2.1.0", ("numpy", "2.1.0", "")),
        ("Scikit_Learn>=1.5,<2", ("scikit-learn", "<2,>=1.5", "")),
        ("torch", ("torch", "", "")),
        ("uvloop>=0.21; sys_platform != 'win32'", ("uvloop", ">=0.21", 'sys_platform != "win32"')),
        ("psycopg[binary]>=3.2", ("psycopg", ">=3.2", "")),
        ("x==1.*", ("x", "==1.*", "")),
        ("x @ https://example.org/x.whl", ("x", "@ https://example.org/x.whl", "")),
    ],
)
def test_requirement_lines(line, expected):
    (made,) = metadata.dependencies([line])
    assert (made.name, made.version, made.marker) == expected
    assert made.ecosystem == "pypi"


def test_mappings_become_messages_with_short_enum_names():
    (made,) = metadata.metrics([{"name": "rmse", "value": 1, "direction": "minimise", "measure_time": 0}])
    assert made.direction == metadata_pb2.Metric.DIRECTION_MINIMISE
    assert made.measure_time.ToJsonString() == "1970-01-01T00:00:00Z"
    parents = [{"relation": "fine-tuned", "uri": "https://example.com/base"}]
    steps = [{"name": "scale", "parameters": {"mean": 0.5}}]
    source = metadata.provenance({"parents": parents, "preprocessing": steps})
    assert source.parents[0].relation == metadata_pb2.ParentModel.RELATION_FINE_TUNED
    assert source.preprocessing[0].parameters["mean"].double_value == 0.5


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"metrics": [{"nme": "auc"}]}, "no field 'nme'"),
        ({"metrics": [{"direction": "up"}]}, "none of maximise, minimise"),
        ({"signature": {"inputs": [{"shape": "wide"}]}}, r"signature.inputs\[0\].shape"),
        ({"parameters": {"x": [1]}}, "is a list"),
        ({"dependencies": ["=="]}, "no requirement"),
        ({"framework": ""}, "has no name"),
        ({"provenance": {"training_run": {"start_time": datetime(2026, 1, 1)}}}, "no time zone"),  # noqa: DTZ001
        ({"colour": "red"}, "no field 'colour'"),
    ],
)
def test_faults_name_the_field(fields, complaint):
    with pytest.raises(InvalidArgument, match=complaint):
        version_message(fields)


def test_a_time_with_a_zone_is_kept():
    made = metadata.timestamp(datetime(2026, 1, 1, tzinfo=UTC), "t")
    assert made.ToJsonString() == "2026-01-01T00:00:00Z"


def test_a_push_key_follows_from_content_and_not_from_order():
    one = push_message({"tags": {"a": "1", "b": "2"}, "parameters": {"x": 1, "y": 2.0}})
    two = push_message({"parameters": {"y": 2.0, "x": 1}, "tags": {"b": "2", "a": "1"}})
    assert push_key("sha256:1", one) == push_key("sha256:1", two)
    assert push_key("sha256:1", one) != push_key("sha256:2", one)
    assert push_key("sha256:1", one) != push_key("sha256:1", push_message({"tags": {"a": "1", "b": "2"}}))


def test_provenance_is_given_whole_or_in_parts():
    with pytest.raises(InvalidArgument, match="not both"):
        push_message({"provenance": {}, "code": {"revision": "abc"}})
    with pytest.raises(InvalidArgument, match="written by push"):
        push_message({"annotations": {"mreg.dev/push-key": "x"}})
