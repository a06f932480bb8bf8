"""The SDK's calls about deployments, against a real server."""

from datetime import UTC, datetime, timedelta

import pytest

from registry_grpc.client import InvalidArgument, Registry
from registry_grpc.v1 import deployments_pb2


@pytest.fixture
def versions(registry, tmp_path, request):
    name = request.node.name.replace("_", "-")[:40].strip("-")
    made = []
    for number in range(2):
        (tmp_path / "w.bin").write_bytes(f"{name} {number}".encode())
        made.append(registry.push(name, tmp_path / "w.bin"))
    return made


def test_a_reference_to_a_stage_is_followed(registry, versions):
    model = versions[0].name.split("/")[3]
    registry.promote(versions[0].location, "staging")
    made = registry.deployments.report(f"{model}@staging", environment="e", workload="follows", traffic_percent=10)
    assert (made.version, made.stage, made.manifest_digest) == (
        versions[0].name,
        "staging",
        versions[0].manifest_digest,
    )
    assert made.traffic_percent == 10
    latest = registry.deployments.report(f"{model}@latest", environment="e", workload="newest")
    assert (latest.version, latest.stage) == (versions[1].name, "")
    pinned = registry.deployments.report(versions[0].location, environment="e", workload="pinned", stage="production")
    assert (pinned.version, pinned.stage) == (versions[0].name, "production")
    listed = [one.workload for one in registry.deployments.list(model, environment="e", page_size=2)]
    assert listed == ["pinned", "newest", "follows"]
    assert [one.workload for one in registry.deployments.list(f"{model}/2")] == ["newest"]
    assert [one.workload for one in registry.deployments.list(f"{model}@staging")] == ["pinned", "follows"]
    [drift] = registry.deployments.drift(model)
    assert list(drift.kinds) == [deployments_pb2.Drift.KIND_NO_HOLDER]


def test_from_report_to_retirement(registry, versions):
    calls = registry.deployments
    ttl = timedelta(seconds=30)
    made = calls.report(versions[0].name, environment="e", workload="w", state="rolling_out", heartbeat_ttl=ttl)
    assert (made.state, made.heartbeat_ttl.seconds) == (deployments_pb2.DEPLOYMENT_STATE_ROLLING_OUT, 30)
    assert calls.heartbeat(made, made.name, made.name.rpartition("/")[2]) == []
    assert calls.get(made.name.rpartition("/")[2]).name == made.name
    model = versions[0].name.split("/")[3]
    now = datetime.now(UTC)
    assert [run.version for run in calls.runs(model, from_time=now, to_time=now)] == [versions[0].name]
    assert calls.retire(made, etag=made.etag).HasField("retire_time")
    assert calls.heartbeat(made) == [made.name]
    assert list(calls.list(model)) == []
    assert [one.name for one in calls.list(model, states=["retired"])] == [made.name]
    assert list(calls.runs(model, to_time=now - timedelta(days=1))) == []
    assert list(calls.consumers(model, first_day=now.date() - timedelta(days=1), last_day=now.date())) == []


def test_what_cannot_be_meant_is_refused_before_anything_is_sent():
    calls = Registry("127.0.0.1:1", token="t").deployments
    with pytest.raises(InvalidArgument, match="one project"):
        calls.heartbeat("projects/a/deployments/x", "projects/b/deployments/x")
    with pytest.raises(InvalidArgument, match="state 'gone' is none of pending"):
        calls.list(states=["gone"])
    with pytest.raises(InvalidArgument, match="there is no field 'colour'"):
        calls.report("m/1", environment="e", workload="w", colour="red")
    with pytest.raises(InvalidArgument, match="no time zone"):
        calls.runs(from_time=datetime(2030, 1, 1))  # noqa: DTZ001
